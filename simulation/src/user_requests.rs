//! The requests at a user service, with what their futures ask of the outside: `application`, `publisher` and `log_ends`, in simulated time.

use crate::{
    call::{Call, Verb},
    ledger::Read,
    people::encode,
    schedule::{Link, milliseconds},
    user_service::{Request, UserInput, UserService},
    user_shell::LOOK_PAUSES,
    world::{Happening, World},
};
use contract::event::Event;
use rand::RngExt;
use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use user_service::simulated::{Answer, Published, Replica};

/// A query of offsets is given up.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);

impl World {
    /// A request arrives.
    pub(crate) fn call_arrives(&mut self, number: usize, call: Call) {
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

    /// A request begins, or a look at the log-end offsets.
    pub(crate) fn begin_request(&mut self, number: usize, request: Request) {
        let timeout = self.setup.rules.publish_timeout;
        let name = self.users[number].number();
        self.users[number].requests.insert(name, request);
        self.user_later(number, timeout, UserInput::Over(name));
        self.poll(number, name);
    }

    /// A request goes on as far as it gets.
    pub(crate) fn poll(&mut self, number: usize, name: u64) {
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
    pub(crate) fn must_be_over(&mut self, number: usize, name: u64) {
        self.poll(number, name);
        if let Some(request) = self.users[number].requests.get(&name) {
            let detail = format!("replica {number}: {:?}", request.call);
            self.ledger.breaks("a request ends with its deadline", self.agenda.now(), detail);
        }
    }

    /// Requests that what was read or acknowledged wakes go on.
    pub(crate) fn wake_requests(&mut self, number: usize) {
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
}
