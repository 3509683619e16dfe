//! What deliveries do (`Delivery::mail`, `Delivery::write`): wait for a session, talk with the mail server, write copies until the
//! broker has acknowledged them.

use crate::{
    broker::Outgoing,
    mail_server::failure,
    schedule::Link,
    service::{Next, Task},
    setup::GROUP,
    world::{Happening, World},
};
use contract::{event::Event, topic::Topic};
use notification_service::simulated::{
    Cause, DeliveryId, End, Outcome, Phase, Record, ServerFailure, Target, Try, dead_letter_headers,
    is_expired, retry_headers,
};
use rand::RngExt;
use std::{sync::Arc, time::Duration};

/// `message.timeout.ms` of the writer, and its first pause.
const NO_ACK_AFTER: Duration = Duration::from_millis(10_200);

impl World {
    /// Gives free sessions to those that wait; where none is idle one is opened.
    pub(crate) fn take_sessions(&mut self, number: usize) {
        let (most, timeout) = (self.setup.sessions, self.setup.final_timeout / 2);
        while self.services[number].sessions_in_use < most
            && let Some(delivery) = self.services[number].waiting.pop_front()
        {
            let service = &mut self.services[number];
            let Some(Task::Waiting { connecting, .. }) = service.tasks.get_mut(&delivery) else { continue };
            *connecting = true;
            service.sessions_in_use += 1;
            let (wait, opened) = if service.sessions_idle > 0 {
                service.sessions_idle -= 1;
                (self.moment(number), Ok(()))
            } else {
                self.server.connect(number, timeout)
            };
            self.later(number, wait, Next::Session(delivery, opened));
        }
    }

    fn give_session_back(&mut self, number: usize, reusable: bool) {
        let service = &mut self.services[number];
        service.sessions_in_use = service.sessions_in_use.saturating_sub(1);
        service.sessions_idle += usize::from(reusable);
        self.take_sessions(number);
    }

    /// A session is there: the transaction begins, if it is not too late for the mail.
    pub(crate) fn session(&mut self, number: usize, delivery: DeliveryId, opened: Result<(), ServerFailure>) {
        let wall = self.wall(number);
        let Some(task) = self.services[number].tasks.get_mut(&delivery) else { return };
        let Task::Waiting { event, connecting: true } = task else { return };
        let event = Arc::clone(event);
        if let Err(failure) = opened {
            self.give_session_back(number, false);
            return self.end_try(number, delivery, Try::Failed(failure));
        }
        if is_expired(&event, wall) {
            self.give_session_back(number, true);
            return self.end_try(number, delivery, Try::Expired);
        }
        *task = Task::Talking;
        let (process, began) = (self.services[number].process, self.agenda.now());
        let takes = self.server.takes(number);
        self.agenda.after(takes, Happening::Mailed { service: number, process, delivery, event, began });
    }

    /// The mail server has read a mail whole, whether or not its sender is still there.
    pub(crate) fn mailed(
        &mut self,
        number: usize,
        process: u64,
        delivery: DeliveryId,
        event: &Event,
        began: Duration,
    ) {
        let (now, treatment) = (self.agenda.now(), self.treatment(event));
        let answer = self.server.answer(number, self.ledger.recipient(event), treatment, now);
        self.chronicle.note(now, || {
            format!("mail server: {} of service {number}: {answer:?}", event.request_id().as_str())
        });
        if answer.accepted {
            self.ledger.accepted(number, process, delivery, event, now);
            self.mail_arrives(event);
        }
        self.ledger.answered(event, treatment, &answer.says);
        match answer.says {
            Ok(ended) => {
                let wait = self.moment(number);
                self.process_later(number, process, wait, Next::Answer(delivery, ended));
            }
            Err(phase) => {
                let final_timeout = self.setup.final_timeout;
                let timeout = if phase == Phase::Content { final_timeout } else { final_timeout / 2 };
                let wait = (began + timeout).saturating_sub(now);
                self.process_later(number, process, wait, Next::NoAnswer(delivery, phase));
            }
        }
    }

    pub(crate) fn answered(&mut self, number: usize, delivery: DeliveryId, ended: Try) {
        if let Some(Task::Talking) = self.services[number].tasks.get(&delivery) {
            let reusable = matches!(ended, Try::Accepted | Try::Refused(_));
            self.give_session_back(number, reusable);
            self.end_try(number, delivery, ended);
        }
    }

    pub(crate) fn not_answered(&mut self, number: usize, delivery: DeliveryId, phase: Phase) {
        self.answered(number, delivery, Try::Failed(failure(phase, Cause::Timeout)));
    }

    /// Interrupts all that wait for a session.
    pub(crate) fn call_back(&mut self, number: usize) {
        self.services[number].waiting.clear();
        for (delivery, connecting) in self.tasks_that(number, |task| match task {
            Task::Waiting { connecting, .. } => Some(*connecting),
            _ => None,
        }) {
            if connecting {
                self.give_session_back(number, false);
            }
            self.end_try(number, delivery, Try::Interrupted);
        }
    }

    /// Interrupts all talks.
    pub(crate) fn abandon(&mut self, number: usize) {
        for (delivery, ()) in self.tasks_that(number, |task| matches!(task, Task::Talking).then_some(())) {
            self.give_session_back(number, false);
            self.end_try(number, delivery, Try::Interrupted);
        }
    }

    /// Drops all that was started and has not ended.
    pub(crate) fn discard(&mut self, number: usize) {
        self.services[number].waiting.clear();
        self.services[number].sessions_in_use = 0;
        for (delivery, ()) in self.tasks_that(number, |task| (!matches!(task, Task::Ended(_))).then_some(()))
        {
            self.end_task(number, delivery, End::Gone);
        }
    }

    fn tasks_that<T>(&self, number: usize, fits: impl Fn(&Task) -> Option<T>) -> Vec<(DeliveryId, T)> {
        self.services[number]
            .tasks
            .iter()
            .filter_map(|(delivery, task)| Some((*delivery, fits(task)?)))
            .collect()
    }

    pub(crate) fn begin_writing(
        &mut self,
        number: usize,
        delivery: DeliveryId,
        record: Arc<Record>,
        target: Target,
    ) {
        let headers = match &target {
            Target::Retry(retry) => retry_headers(&record, retry, GROUP),
            Target::DeadLetter { reason, status } => {
                dead_letter_headers(&record, GROUP, *reason, *status, self.wall(number))
            }
        };
        self.services[number].tasks.insert(delivery, Task::Writing { record, target, headers, times: 0 });
        self.write(number, delivery);
    }

    /// Sends the copy to the broker; again, if it was not acknowledged.
    fn write(&mut self, number: usize, delivery: DeliveryId) {
        let (wall, link) = (self.wall(number), self.services[number].link());
        let Some(Task::Writing { record, target, headers, times }) =
            self.services[number].tasks.get_mut(&delivery)
        else {
            return;
        };
        *times += 1;
        let (times, topic) = (
            *times,
            match target {
                Target::Retry(_) => Topic::MailRetry,
                Target::DeadLetter { .. } => Topic::DeadLetter,
            },
        );
        let outgoing = Box::new(Outgoing {
            topic,
            key: record.key.clone(),
            payload: record.payload.clone(),
            headers: headers.clone(),
            created_at: wall,
        });
        let process = self.services[number].process;
        let acked = link < Link::AnswersLost;
        // What is sent when nobody answers may arrive much later, or not at all.
        let (arrives, delay) = match link {
            Link::Up | Link::Slow | Link::Lossy | Link::AnswersLost => (true, Duration::ZERO),
            Link::Down => {
                let random = &mut self.services[number].random;
                (random.random_bool(0.3), Duration::from_millis(random.random_range(1_000..15_000)))
            }
        };
        if arrives {
            let wait = self.latency(number) + delay;
            self.agenda.after(
                wait,
                Happening::Copied { service: number, process, delivery, record: outgoing, acked },
            );
        }
        if !acked {
            self.later(number, NO_ACK_AFTER, Next::NoAck(delivery, times));
        }
    }

    pub(crate) fn acked(&mut self, number: usize, delivery: DeliveryId) {
        if let Some(Task::Writing { target, .. }) = self.services[number].tasks.get(&delivery) {
            let outcome = match target {
                Target::Retry(_) => Outcome::HandedOn,
                Target::DeadLetter { reason, .. } => Outcome::DeadLettered(*reason),
            };
            self.end_task(number, delivery, End::Written(outcome));
        }
    }

    pub(crate) fn not_acked(&mut self, number: usize, delivery: DeliveryId, written: u32) {
        if let Some(Task::Writing { times, .. }) = self.services[number].tasks.get(&delivery)
            && *times == written
        {
            self.write(number, delivery);
        }
    }
}
