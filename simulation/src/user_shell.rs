//! What surrounds a user service's replica (`application`, `follow`, `publisher`, `log_ends`), in simulated time.

use crate::{
    broker::OF_USERS,
    schedule::{Link, milliseconds},
    service::State,
    user_service::{Reader, Request, UserInput, UserService},
    world::{Happening, World},
};
use contract::topic::Topic;
use notification_service::simulated::Partition;
use rand::RngExt;
use std::{sync::Arc, time::Duration};
use user_service::simulated::{self, Offsets, Replica};

/// Between two looks at the log-end offsets, and between two while that has no answer.
pub(crate) const LOOK_PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
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
        let Some(replica) = self.users[number].replica.as_ref() else { return };
        let start = |partition: Partition| {
            replica.since(partition.topic).map_or(0, |since| self.broker.first_since(partition, since))
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
