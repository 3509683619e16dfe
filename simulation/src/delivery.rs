//! What deliveries do (`Delivery::mail`, `Delivery::write`): wait for a session, talk with a mail server, write copies until the
//! broker has acknowledged them.

use crate::{
    broker::Outgoing,
    mail_server::failure,
    schedule::Link,
    service::{Next, Talk, Task},
    setup::GROUP,
    world::{Happening, World},
};
use contract::{event::Event, topic::Topic};
use notification_service::simulated::{
    Cause, DeliveryId, End, Outcome, Phase, Record, ServerFailure, Target, Try, Withdrawal,
    dead_letter_headers, is_expired, retry_headers,
};
use rand::RngExt;
use std::{sync::Arc, time::Duration};

/// `message.timeout.ms` of the writer, and its first pause.
const NO_ACK_AFTER: Duration = Duration::from_millis(10_200);

impl World {
    /// Gives free sessions to those that wait; where none is idle one is opened.
    pub(crate) fn take_sessions(&mut self, number: usize, server: usize) {
        let (most, timeout) = (self.setup.servers[server].sessions, self.setup.final_timeout / 2);
        while self.services[number].sessions[server].in_use < most
            && let Some(delivery) = self.services[number].sessions[server].waiting.pop_front()
        {
            let service = &mut self.services[number];
            let Some(Task::Waiting { connecting, .. }) = service.tasks.get_mut(&delivery) else { continue };
            *connecting = true;
            let sessions = &mut service.sessions[server];
            sessions.in_use += 1;
            let (wait, opened) = if sessions.idle > 0 {
                sessions.idle -= 1;
                (self.moment(number), Ok(()))
            } else {
                self.servers[server].connect(number, timeout)
            };
            self.later(number, wait, Next::Session(delivery, opened));
        }
    }

    fn give_session_back(&mut self, number: usize, server: usize, reusable: bool) {
        let sessions = &mut self.services[number].sessions[server];
        sessions.in_use = sessions.in_use.saturating_sub(1);
        sessions.idle += usize::from(reusable);
        self.take_sessions(number, server);
    }

    /// A session is there: the transaction begins, if it is not too late for the mail.
    pub(crate) fn session(&mut self, number: usize, delivery: DeliveryId, opened: Result<(), ServerFailure>) {
        let (wall, began) = (self.wall(number), self.agenda.now());
        let Some(task) = self.services[number].tasks.get_mut(&delivery) else { return };
        let Task::Waiting { server, event, connecting: true } = task else { return };
        let (server, event) = (*server, Arc::clone(event));
        if let Err(failure) = opened {
            self.give_session_back(number, server, false);
            return self.end_try(number, delivery, Try::Failed(failure));
        }
        if is_expired(&event, wall) {
            self.give_session_back(number, server, true);
            return self.end_try(number, delivery, Try::Expired);
        }
        let takes = self.servers[server].takes(number);
        let sent_at = began + self.servers[server].sends_after(takes);
        *task = Task::Talking(Talk { server, sent_at, unanswered: None, too_late: false });
        let process = self.services[number].process;
        self.agenda
            .after(takes, Happening::Mailed { server, service: number, process, delivery, event, began });
    }

    /// A mail server has read a mail whole, whether or not its sender is still there.
    pub(crate) fn mailed(
        &mut self,
        server: usize,
        (number, process, delivery): (usize, u64, DeliveryId),
        event: &Event,
        began: Duration,
    ) {
        if self.recalled.remove(&(number, process, delivery)) {
            return;
        }
        let (now, treatment) = (self.agenda.now(), self.treatment(event));
        let answer = self.servers[server].answer(number, self.ledger.recipient(event), treatment, now);
        self.chronicle.note(now, || {
            let request = event.request_id().as_str();
            format!("mail server {}: {request} of service {number}: {answer:?}", server + 1)
        });
        if answer.accepted {
            self.ledger.accepted(number, process, delivery, event, now);
            self.mail_arrives(event);
        }
        self.ledger.answered(event, treatment, &answer.says);
        let (wait, next) = match answer.says {
            Ok(ended) => (self.moment(number), Next::Answer(delivery, ended)),
            Err(phase) if self.is_recalled_from((number, process, delivery), phase) => {
                (Duration::ZERO, Next::Answer(delivery, Try::Interrupted))
            }
            Err(phase) => {
                let final_timeout = self.setup.final_timeout;
                let timeout = if phase == Phase::Content { final_timeout } else { final_timeout / 2 };
                ((began + timeout).saturating_sub(now), Next::NoAnswer(delivery, phase))
            }
        };
        self.process_later(number, process, wait, next);
    }

    /// Notes that there will be no answer in this phase, and returns whether its sender does not wait for one.
    fn is_recalled_from(
        &mut self,
        (number, process, delivery): (usize, u64, DeliveryId),
        phase: Phase,
    ) -> bool {
        let service = &mut self.services[number];
        if service.process == process
            && let Some(Task::Talking(talk)) = service.tasks.get_mut(&delivery)
        {
            talk.unanswered = Some(phase);
            return talk.too_late && phase != Phase::Content;
        }
        false
    }

    pub(crate) fn answered(&mut self, number: usize, delivery: DeliveryId, ended: Try) {
        if let Some(Task::Talking(Talk { server, .. })) = self.services[number].tasks.get(&delivery) {
            let reusable = matches!(ended, Try::Accepted | Try::Refused(_));
            self.give_session_back(number, *server, reusable);
            self.end_try(number, delivery, ended);
        }
    }

    pub(crate) fn not_answered(&mut self, number: usize, delivery: DeliveryId, phase: Phase) {
        self.answered(number, delivery, Try::Failed(failure(phase, Cause::Timeout)));
    }

    /// Interrupts all that wait for a session with a server.
    pub(crate) fn call_back(&mut self, number: usize, server: usize) {
        self.services[number].sessions[server].waiting.clear();
        for (delivery, connecting) in self.tasks_that(number, |task| match task {
            Task::Waiting { server: at, connecting, .. } if *at == server => Some(*connecting),
            _ => None,
        }) {
            if connecting {
                self.give_session_back(number, server, false);
            }
            self.end_try(number, delivery, Try::Interrupted);
        }
    }

    /// Takes mails back from a server: those that wait for a session, and those whose content is not on its way. Of the others the
    /// server may have the mail.
    pub(crate) fn withdraw(&mut self, number: usize, server: usize, withdrawal: Withdrawal) {
        self.call_back(number, server);
        let (now, process) = (self.agenda.now(), self.services[number].process);
        for (delivery, (is_unsent, is_read)) in self.tasks_that(number, |task| match task {
            Task::Talking(talk) if talk.server == server => {
                Some((talk.is_unsent(now), talk.unanswered.is_some()))
            }
            _ => None,
        }) {
            if is_unsent && !is_read {
                self.recalled.insert((number, process, delivery));
            }
            if is_unsent || withdrawal == Withdrawal::Anyway {
                self.give_session_back(number, server, false);
                self.end_try(number, delivery, Try::Interrupted);
            } else if let Some(Task::Talking(talk)) = self.services[number].tasks.get_mut(&delivery) {
                talk.too_late = true;
            }
        }
    }

    /// Interrupts all talks.
    pub(crate) fn abandon(&mut self, number: usize) {
        for (delivery, server) in self.tasks_that(number, |task| match task {
            Task::Talking(talk) => Some(talk.server),
            _ => None,
        }) {
            self.give_session_back(number, server, false);
            self.end_try(number, delivery, Try::Interrupted);
        }
    }

    /// Drops all that was started and has not ended.
    pub(crate) fn discard(&mut self, number: usize) {
        for sessions in &mut self.services[number].sessions {
            sessions.waiting.clear();
            sessions.in_use = 0;
        }
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
