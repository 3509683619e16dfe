//! What the shell of the state machine does (`consumer`), in simulated time: reports what happens, carries out what is commanded.

use crate::{
    schedule::Link,
    service::{Next, State, Task},
    world::{Happening, World},
};
use notification_service::simulated::{Command, DeliveryId, End, Input, Now, Position, Try};
use rand::RngExt;
use std::time::Duration;

/// The client's tries to leave the group, which somebody else's session timeout ends.
const LEAVES: [Link; 2] = [Link::Up, Link::Slow];

impl World {
    /// A process does what is next, if it still runs.
    pub(crate) fn go_on(&mut self, number: usize, process: u64, next: Next) {
        let service = &mut self.services[number];
        if service.process != process || service.state == State::Down {
            return;
        }
        if service.state == State::Frozen {
            return service.missed.push(next);
        }
        match next {
            // One that was entered before an earlier one has been overtaken.
            Next::Tick if service.wake.is_some_and(|wake| wake > self.agenda.now()) => {}
            Next::Tick => {
                service.wake = None;
                self.step(number, Input::Tick);
            }
            Next::Stop if self.services[number].stopping_since.is_none() => {
                self.services[number].stopping_since = Some(self.agenda.now());
                self.chronicle.note(self.agenda.now(), || format!("service {number} is asked to stop"));
                self.ledger.stopping(number);
                self.step(number, Input::Stop);
            }
            Next::Stop => {}
            Next::Heartbeat => self.heartbeat(number),
            Next::Rebalance => {
                if let Some(input) = self.services[number].next_rebalance() {
                    self.chronicle.note(self.agenda.now(), || format!("service {number}: {input:?}"));
                    self.ledger.rebalance(number, &input, self.agenda.now());
                    self.step(number, input);
                }
            }
            Next::Receive => self.receive(number),
            Next::Session(delivery, opened) => self.session(number, delivery, opened),
            Next::Answer(delivery, ended) => self.answered(number, delivery, ended),
            Next::NoAnswer(delivery, phase) => self.not_answered(number, delivery, phase),
            Next::Acked(delivery) => self.acked(number, delivery),
            Next::NoAck(delivery, times) => self.not_acked(number, delivery, times),
            Next::Ended(delivery) => {
                if let Some(Task::Ended(end)) = self.services[number].tasks.remove(&delivery) {
                    self.chronicle
                        .note(self.agenda.now(), || format!("service {number}: {delivery:?} ended: {end:?}"));
                    self.ledger.told(number, delivery, &end, self.agenda.now());
                    self.step(number, Input::Ended { delivery, end });
                }
            }
            Next::Commit => self.commit(number),
            Next::Committed(result) => {
                self.chronicle
                    .note(self.agenda.now(), || format!("service {number}: commit ended: {result:?}"));
                self.ledger.commit_told(number, result);
                let input = match result {
                    Ok(()) => Input::Committed,
                    Err(expelled) => Input::CommitFailed { expelled },
                };
                self.step(number, input);
            }
        }
    }

    /// The state machine takes an input in.
    pub(crate) fn step(&mut self, number: usize, input: Input<'_>) {
        let now = self.now_of(number);
        self.ledger.shown(number, now.wall);
        let commands = self.services[number].mailing.on(input, now);
        let gates = self.services[number].mailing.work().gates;
        self.ledger.gates(number, &gates, &commands, self.agenda.now());
        let count = commands.len();
        for (index, command) in commands.into_iter().enumerate() {
            if matches!(command, Command::Leave) && index + 1 < count {
                self.ledger.breaks(
                    "nothing is commanded after the end",
                    self.agenda.now(),
                    format!("service {number}"),
                );
            }
            self.carry_out(number, command);
        }
        self.ledger.stepped(number, self.agenda.now());
        let fair_since = self.servers.iter().map(|server| server.fair_since(number));
        self.ledger.look_at_progress(number, fair_since, self.agenda.now());
        if self.services[number].state == State::Running {
            self.set_alarm(number);
        }
    }

    fn set_alarm(&mut self, number: usize) {
        let at = Self::since_begin(self.services[number].mailing.wake_at()).max(self.agenda.now());
        let service = &mut self.services[number];
        if service.wake.is_none_or(|wake| at < wake) {
            service.wake = Some(at);
            let process = service.process;
            self.agenda.at(at, Happening::Process { service: number, process, next: Next::Tick });
        }
    }

    fn now_of(&mut self, number: usize) -> Now {
        let jitter = self.services[number].random.random_range(0.0..1.0);
        Now { jitter, ..self.now_of_without_draw(number) }
    }

    pub(crate) fn now_of_without_draw(&self, number: usize) -> Now {
        Now { instant: self.instant(), wall: self.wall(number), jitter: 0.0 }
    }

    fn carry_out(&mut self, number: usize, command: Command) {
        let now = self.agenda.now();
        if !matches!(command, Command::Write { .. } | Command::Start { .. }) {
            self.chronicle.note(now, || format!("service {number}: {command:?}"));
        }
        match command {
            Command::Start { delivery, server, position, event, .. } => {
                self.chronicle.note(now, || {
                    let request = event.request_id().as_str();
                    format!("service {number}: {delivery:?} mails {request} by server {server}")
                });
                self.ledger.started(number, delivery, position, &event, now);
                let (server, connecting) = (server.index(), false);
                self.services[number].tasks.insert(delivery, Task::Waiting { server, event, connecting });
                self.services[number].sessions[server].waiting.push_back(delivery);
                self.take_sessions(number, server);
            }
            Command::Write { delivery, record, target } => {
                self.chronicle.note(now, || {
                    let Position { partition, offset, .. } = record.position;
                    format!(
                        "service {number}: {delivery:?} writes {} of {}/{}/{offset} to {target:?}",
                        self.ledger.sign_up((partition, offset)),
                        partition.topic.name(),
                        partition.number
                    )
                });
                let wall = self.wall(number);
                self.ledger.writes(number, delivery, &record, &target, wall, now);
                self.begin_writing(number, delivery, record, target);
            }
            Command::CallBack => (0..self.servers.len()).for_each(|server| self.call_back(number, server)),
            Command::Withdraw { server, withdrawal } => self.withdraw(number, server.index(), withdrawal),
            Command::Abandon => self.abandon(number),
            Command::Discard => self.discard(number),
            Command::Commit(positions) => {
                self.ledger.commits(number, &positions, now);
                self.services[number].client.store(&positions);
                let wait = self.moment(number);
                self.later(number, wait, Next::Commit);
            }
            Command::Pause(partitions) => self.services[number].client.set_paused(&partitions, true),
            Command::Resume(partitions) => {
                self.services[number].client.set_paused(&partitions, false);
                self.receive_soon(number);
            }
            Command::Assign(partitions) => {
                self.ledger.assigned(number);
                self.services[number].client.assign(&partitions);
                self.report_rebalances(number);
                self.receive_soon(number);
            }
            Command::Unassign => {
                self.ledger.unassigned(number, now);
                self.services[number].client.unassign();
            }
            Command::Leave => self.leave(number),
        }
    }

    fn leave(&mut self, number: usize) {
        let now = self.agenda.now();
        self.ledger.left(number, self.services[number].stopping_since, now);
        if let Some((member, _)) = self.services[number].client.member()
            && LEAVES.contains(&self.services[number].link())
        {
            self.group.leave(member, now);
        }
        self.services[number].end();
        self.ledger.process_ended(number);
        if self.restarts[number] {
            self.start(number);
        }
    }

    /// Between two things that a process does.
    pub(crate) fn moment(&mut self, number: usize) -> Duration {
        Duration::from_micros(self.services[number].random.random_range(10..1_000))
    }

    /// One way between a service and the broker.
    pub(crate) fn latency(&mut self, number: usize) -> Duration {
        let service = &mut self.services[number];
        let slow = if service.link() == Link::Slow { service.random.random_range(500..4_000) } else { 0 };
        Duration::from_millis(slow) + Duration::from_micros(service.random.random_range(200..10_000))
    }

    /// A task has ended; the state machine hears of it a moment later.
    pub(crate) fn end_task(&mut self, number: usize, delivery: DeliveryId, end: End) {
        self.services[number].tasks.insert(delivery, Task::Ended(end));
        let wait = self.moment(number);
        self.later(number, wait, Next::Ended(delivery));
    }

    /// A try to mail has ended.
    pub(crate) fn end_try(&mut self, number: usize, delivery: DeliveryId, ended: Try) {
        self.end_task(number, delivery, End::Tried(ended));
    }
}
