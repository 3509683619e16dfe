//! What surrounds a user service's replica (`application`, `follow`, `publisher`, `log_ends`), in simulated time.

use crate::{
    broker::OF_USERS,
    call::{Call, Verb},
    ledger::Read,
    people::encode,
    schedule::{Link, milliseconds},
    service::State,
    user_service::{Reader, Request, UserInput, UserService},
    world::{Happening, World},
};
use contract::{event::Event, topic::Topic};
use notification_service::simulated::Partition;
use rand::RngExt;
use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use user_service::simulated::{self, Answer, Offsets, Published, Replica};

/// A query of offsets is given up.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two looks at the log-end offsets, and between two while that has no answer.
const LOOK_PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
const TIDY_PAUSE: Duration = Duration::from_secs(5);
/// How long a stopping process waits for its requests.
const DRAIN: Duration = Duration::from_secs(8);

impl World {
    /// Starts a user service.
    pub(crate) fn start_user(&mut self, number: usize) {
        if self.users[number].state != State::Down {
            self.users[number].restarts = true;
            return;
        }
        self.chronicle.note(self.agenda.now(), || format!("replica {number} starts"));
        let seed = self.users[number].random.random();
        let replica = Replica::new(&self.config, self.user_wall(number), seed);
        self.users[number].start(replica, self.agenda.now());
        let wait = self.user_latency(number);
        self.user_later(number, wait, UserInput::Begin);
        self.user_later(number, TIDY_PAUSE, UserInput::Tidy);
    }

    /// What a user service's wall clock shows.
    pub(crate) fn user_wall(&self, number: usize) -> jiff::Timestamp {
        self.true_time() + self.users[number].skew
    }

    /// A user service goes on, if it still runs.
    pub(crate) fn user_goes_on(&mut self, number: usize, process: u64, input: UserInput) {
        let user = &mut self.users[number];
        if user.process != process || user.state == State::Down {
            return;
        }
        if user.state == State::Frozen {
            return user.missed.push(input);
        }
        self.pass_time(number);
        match input {
            UserInput::Begin => self.ask_for_span(number),
            UserInput::Begun(start, end) => self.begin_to_read(number, start, end),
            UserInput::Read(reader) => self.read(number, reader),
            UserInput::Call(call) => self.call_arrives(number, *call),
            UserInput::Poll(request) => self.poll(number, request),
            UserInput::Over(request) => self.must_be_over(number, request),
            UserInput::Acked { number: event, partition, offset, stamped_at } => {
                if let Some(published) = self.users[number].published.remove(&event) {
                    published.acknowledge(partition, offset, stamped_at);
                }
            }
            UserInput::Refused(event) => {
                if let Some(published) = self.users[number].published.remove(&event) {
                    published.refuse();
                }
            }
            UserInput::Ends(query, ends) => {
                let asked = self.users[number].asked.remove(&query);
                if let (Some(asked), Some(ends)) = (asked, ends) {
                    asked.answer(ends);
                }
            }
            UserInput::Look => {
                if let Some(work) = self.users[number].replica.as_ref().map(Replica::reach_end) {
                    self.begin_request(number, Request { work, call: None, woken: Arc::default() });
                }
            }
            UserInput::Tidy => {
                self.users[number].replica.iter().for_each(Replica::tidy);
                self.user_later(number, TIDY_PAUSE, UserInput::Tidy);
            }
            UserInput::Stop => {
                self.users[number].stopping = true;
                self.user_later(number, DRAIN, UserInput::Leave);
            }
            UserInput::Leave => return self.end_user(number),
        }
        self.wake_requests(number);
        let user = &self.users[number];
        if user.stopping && user.requests.values().all(|request| request.call.is_none()) {
            self.end_user(number);
        }
    }

    /// The process is gone.
    pub(crate) fn end_user(&mut self, number: usize) {
        self.ledger.calls_ended((number, self.users[number].process));
        self.chronicle.note(self.agenda.now(), || format!("replica {number} ends"));
        self.users[number].end();
        if self.users[number].restarts {
            self.start_user(number);
        }
    }

    /// Its clocks show what they show now.
    fn pass_time(&mut self, number: usize) {
        let (now, wall) = (self.agenda.now(), self.user_wall(number));
        let user = &mut self.users[number];
        let passed = now.saturating_sub(std::mem::replace(&mut user.passed, now));
        user.replica.iter().for_each(|replica| replica.pass_time(passed, wall));
    }

    fn ask_for_span(&mut self, number: usize) {
        if self.users[number].link() >= Link::AnswersLost {
            let wait = milliseconds(&mut self.users[number].random, 50..500);
            return self.user_later(number, wait, UserInput::Begin);
        }
        let Some(since) = self.users[number].replica.as_ref().map(Replica::since) else { return };
        let start = |partition: Partition| match partition.topic {
            Topic::Verified => 0,
            _ => self.broker.first_since(partition, since),
        };
        let offsets = |of: &dyn Fn(Partition) -> i64| -> Offsets {
            let partitions = self.broker.partitions_of(OF_USERS);
            partitions.map(|partition| ((partition.topic, partition.number), of(partition))).collect()
        };
        let (start, end) = (offsets(&start), offsets(&|partition| self.broker.log_end(partition)));
        let wait = self.user_latency(number);
        self.user_later(number, wait, UserInput::Begun(start, end));
    }

    fn begin_to_read(&mut self, number: usize, start: Offsets, end: Offsets) {
        let user = &mut self.users[number];
        let by_partition = |offsets: &Offsets| {
            let offsets = offsets.iter();
            offsets
                .map(|((topic, number), offset)| (Partition { topic: *topic, number: *number }, *offset))
                .collect()
        };
        (user.next, user.replay) = (by_partition(&start), by_partition(&end));
        if let Some(replica) = &user.replica {
            replica.begin(start, end);
        }
        self.read_soon(number, Reader::Patient);
        self.read_soon(number, Reader::Prompt);
        self.user_later(number, LOOK_PAUSES[0], UserInput::Look);
    }

    /// Looks for records after a moment, as a client fetches them.
    pub(crate) fn read_soon(&mut self, number: usize, reader: Reader) {
        let user = &mut self.users[number];
        if user.state == State::Down || user.next.is_empty() || user.reads[reader as usize] {
            return;
        }
        user.reads[reader as usize] = true;
        let fetch = match reader {
            Reader::Patient => milliseconds(&mut user.random, 0..100),
            Reader::Prompt => Duration::ZERO,
        };
        let wait = self.user_latency(number) + fetch;
        self.user_later(number, wait, UserInput::Read(reader));
    }

    /// Takes some records of one of the partitions that have some: between partitions there is no order.
    fn read(&mut self, number: usize, reader: Reader) {
        let user = &mut self.users[number];
        user.reads[reader as usize] = false;
        if user.link() >= Link::AnswersLost {
            return;
        }
        let is_read = |topic| (topic == Topic::Created) == (reader == Reader::Patient);
        let has_more = |(partition, next): (&Partition, &i64)| {
            (is_read(partition.topic) && *next < self.broker.log_end(*partition)).then_some(*partition)
        };
        let available: Vec<_> = user.next.iter().filter_map(has_more).collect();
        if available.is_empty() {
            return;
        }
        let partition = available[user.random.random_range(0..available.len())];
        let most = user.random.random_range(1..20);
        let (Some(next), Some(replica)) = (user.next.get_mut(&partition), &user.replica) else { return };
        for _ in 0..most {
            if *next >= self.broker.log_end(partition) {
                break;
            }
            let offset = *next;
            *next += 1;
            let Some(stored) = self.broker.get(partition, offset) else { continue };
            let header =
                |name: &str| stored.headers.iter().find(|header| header.name == name)?.value.as_deref();
            replica.take(&simulated::Record {
                topic: partition.topic,
                partition: partition.number,
                offset,
                timestamp: Some(stored.timestamp),
                key: stored.key.as_deref(),
                payload: stored.payload.as_deref(),
                header: &header,
            });
        }
        user.reads[reader as usize] = true;
        let wait = Duration::from_micros(user.random.random_range(100..5_000));
        self.user_later(number, wait, UserInput::Read(reader));
    }

    fn call_arrives(&mut self, number: usize, call: Call) {
        let user = &self.users[number];
        let Some(replica) = user.replica.as_ref().filter(|_| !user.stopping) else {
            return self.refused(&call);
        };
        let request = call.request.clone();
        let work = match &call.verb {
            Verb::Register(person) => replica.register(person.clone(), request),
            Verb::Resend(id) => replica.resend(*id, request),
            Verb::Code(id, code) => replica.try_code(*id, code.clone(), request),
            Verb::Link(id, token) => replica.follow_link(*id, token.clone(), request),
            Verb::Show(id, token) => replica.show(*id, token.clone()),
        };
        let known = (self.broker.ends(), user.next.clone());
        let by = (number, user.process);
        self.ledger.called(&call, by, self.user_wall(number), known, self.agenda.now());
        self.chronicle
            .note(self.agenda.now(), || format!("replica {number}: {} {:?}", call.request, call.verb));
        self.begin_request(number, Request { work, call: Some(call), woken: Arc::default() });
    }

    fn begin_request(&mut self, number: usize, request: Request) {
        let timeout = self.setup.rules.publish_timeout;
        let name = self.users[number].number();
        self.users[number].requests.insert(name, request);
        self.user_later(number, timeout, UserInput::Over(name));
        self.poll(number, name);
    }

    /// A request goes on as far as it gets.
    fn poll(&mut self, number: usize, name: u64) {
        let user = &mut self.users[number];
        let Some(request) = user.requests.get_mut(&name) else { return };
        let waker = Waker::from(Arc::clone(&request.woken));
        let polled = request.work.as_mut().poll(&mut Context::from_waker(&waker));
        let replica = user.replica.iter();
        let published: Vec<_> = replica.clone().flat_map(Replica::take_published).collect();
        let asked: Vec<_> = replica.flat_map(Replica::take_asked).collect();
        for event in published {
            self.publish(number, event);
        }
        for query in asked {
            let name = self.users[number].number();
            self.users[number].asked.insert(name, query);
            self.ask_for_ends(number, name);
        }
        if let Poll::Ready(answer) = polled {
            let Some(Request { call, .. }) = self.users[number].requests.remove(&name) else { return };
            match call {
                Some(call) => self.answer(number, call, answer),
                None => {
                    let pause = LOOK_PAUSES[usize::from(answer == Answer::AtEnd)];
                    self.user_later(number, pause, UserInput::Look);
                }
            }
        }
    }

    /// A request ends with its deadline at the latest.
    fn must_be_over(&mut self, number: usize, name: u64) {
        self.poll(number, name);
        if let Some(request) = self.users[number].requests.get(&name) {
            let detail = format!("replica {number}: {:?}", request.call);
            self.ledger.breaks("a request ends with its deadline", self.agenda.now(), detail);
        }
    }

    fn wake_requests(&mut self, number: usize) {
        let requests = self.users[number].requests.iter();
        let woken: Vec<_> =
            requests.filter(|(_, request)| request.woken.take()).map(|(name, _)| *name).collect();
        for name in woken {
            let wait = Duration::from_micros(self.users[number].random.random_range(10..2_000));
            self.user_later(number, wait, UserInput::Poll(name));
        }
    }

    fn answer(&mut self, number: usize, call: Call, answer: Answer) {
        let now = self.agenda.now();
        self.chronicle.note(now, || format!("replica {number}: {} is answered: {answer:?}", call.request));
        let UserService { next, replay, .. } = &self.users[number];
        let is_behind =
            replay.iter().any(|(partition, end)| next.get(partition).is_none_or(|next| next < end));
        if (is_behind || next.is_empty()) && !matches!(answer, Answer::Unavailable(_)) {
            let detail = format!("replica {number}: {answer:?} to {call:?}");
            self.ledger.breaks("nothing is answered before the replay is over", now, detail);
        }
        let wall = self.user_wall(number);
        let read = Read { next: &self.users[number].next, count: self.setup.partitions };
        self.ledger.answers(&call.request, &answer, (wall, &read), self.calm_since, now);
        // Answers get lost now and then.
        if !self.users[number].random.random_bool(0.01) {
            let wait = milliseconds(&mut self.users[number].random, 1..50);
            self.agenda.after(wait, Happening::Told(call.request, Some(answer)));
        }
    }

    /// The way of an event into the log, and of its ack back.
    fn publish(&mut self, number: usize, published: Published) {
        let (now, event) = (self.agenda.now(), published.event.clone());
        self.chronicle.note(now, || {
            let what = match &event {
                Event::Registered(_, it) => {
                    format!("window {} send {} {}", it.window, it.send, it.registration)
                }
                Event::Attempt(it) => format!("{:?} {:?} {}", it.event_id, it.windows, it.registration),
                Event::Verified(it) => it.registration.to_string(),
            };
            format!("replica {number}: {} publishes {:?}: {what}", event.request_id(), event.kind())
        });
        let user = &self.users[number];
        let by = (number, user.process);
        let read = Read { next: &user.next, count: self.setup.partitions };
        self.ledger.published(&event, by, &read, now);
        self.ledger.asked(event.clone());
        let name = self.users[number].number();
        self.users[number].published.insert(name, published);

        let (link, wall) = (self.users[number].link(), self.user_wall(number));
        let random = &mut self.users[number].random;
        // What is sent when nobody answers may arrive much later, or not at all.
        let is_lost = link == Link::Down || (link == Link::Lossy && random.random_bool(0.5));
        let (arrives, delay, is_refused) = if is_lost {
            let delay = milliseconds(random, 1_000..15_000);
            (random.random_bool(0.3), delay, random.random_bool(0.1))
        } else {
            (true, Duration::ZERO, false)
        };
        let again = random.random_bool(0.01).then(|| milliseconds(random, 100..4_000));
        if is_refused {
            return self.user_later(number, Duration::ZERO, UserInput::Refused(name));
        }
        if arrives {
            let (process, acked) = (self.users[number].process, link < Link::AnswersLost && !is_lost);
            let wait = self.user_latency(number) + delay;
            let written = |acked| {
                let record = Box::new(encode(&event, wall));
                Happening::Written { user: number, process, name, record, event: event.clone(), acked }
            };
            if let Some(again) = again {
                self.agenda.after(wait + again, written(false));
            }
            self.agenda.after(wait, written(acked));
        }
    }

    fn ask_for_ends(&mut self, number: usize, name: u64) {
        if self.users[number].link() >= Link::AnswersLost {
            return self.user_later(number, QUERY_TIMEOUT, UserInput::Ends(name, None));
        }
        let (process, wait) = (self.users[number].process, self.user_latency(number));
        self.agenda.after(wait, Happening::AskedForEnds { user: number, process, name });
    }

    /// The broker looks where the log ends.
    pub(crate) fn answer_ends(&mut self, number: usize, process: u64, name: u64) {
        let ends: BTreeMap<_, _> = self.broker.ends();
        let ends =
            ends.into_iter().map(|(partition, end)| ((partition.topic, partition.number), end)).collect();
        let wait = self.user_latency(number);
        self.user_process_later(number, process, wait, UserInput::Ends(name, Some(ends)));
    }

    /// All that it missed happens now, in any order.
    pub(crate) fn thaw_user(&mut self, number: usize) {
        if self.users[number].state != State::Frozen {
            return;
        }
        self.users[number].state = State::Running;
        for input in std::mem::take(&mut self.users[number].missed) {
            let wait = Duration::from_micros(self.users[number].random.random_range(10..3_000));
            self.user_later(number, wait, input);
        }
    }

    pub(crate) fn user_latency(&mut self, number: usize) -> Duration {
        let UserService { random, links, .. } = &mut self.users[number];
        let slow = if Link::worst(links) == Link::Slow { random.random_range(500..4_000) } else { 0 };
        Duration::from_millis(slow) + Duration::from_micros(random.random_range(200..10_000))
    }

    pub(crate) fn user_later(&mut self, number: usize, wait: Duration, input: UserInput) {
        let process = self.users[number].process;
        self.user_process_later(number, process, wait, input);
    }

    pub(crate) fn user_process_later(&mut self, user: usize, process: u64, wait: Duration, input: UserInput) {
        self.agenda.after(wait, Happening::User { user, process, input });
    }
}
