//! What a run is judged by, besides each step: whether it comes to its end, and whether the replicas agree.

use crate::{
    people::VICTIMS,
    service::State,
    user_service::UserService,
    world::{AFTER_FAULTS, AGREE, Verdict, World},
};
use contract::registration_id::RegistrationId;
use std::time::Duration;

impl World {
    /// Whether nothing is left to do, or the time for that is over.
    pub(crate) fn is_over(&mut self) -> bool {
        let over_at = self.setup.faults_for + AFTER_FAULTS;
        if self.agenda.now() < over_at + Duration::from_secs(10) {
            return false;
        }
        let behind = self.broker.read_by_the_group().find(|partition| {
            self.group.committed.get(partition).copied().unwrap_or_default() < self.broker.log_end(*partition)
        });
        let is_read = self.users.iter().all(|user| self.has_read_all(user));
        if behind.is_none() && is_read {
            return true;
        }
        if self.agenda.now() > over_at + self.setup.settles_within() {
            let Some(behind) = behind else {
                let detail = format!("of {:?}", self.broker.ends());
                self.ledger.breaks("the replicas have read the log in time", self.agenda.now(), detail);
                return true;
            };
            let committed = self.group.committed.get(&behind).copied().unwrap_or_default();
            let detail = format!(
                "{}/{} is committed to {committed} of {}; gates closed: {:?}",
                behind.topic.name(),
                behind.number,
                self.broker.log_end(behind),
                self.services
                    .iter()
                    .map(|service| service.mailing.work().gates.all_closed_by())
                    .collect::<Vec<_>>(),
            );
            self.ledger.breaks("the backlog is gone in time after the last fault", self.agenda.now(), detail);
            return true;
        }
        false
    }

    /// Whether a user service has read all, and works on nothing.
    fn has_read_all(&self, user: &UserService) -> bool {
        user.state == State::Running
            && !user.next.is_empty()
            && user.next == self.broker.ends()
            && user.requests.values().all(|request| request.call.is_none())
    }

    /// Replicas that have read all agree: on everything, or on those whom strangers are after and those who signed up last.
    pub(crate) fn compare(&mut self, on_all: bool) {
        // Of the windows that are over by the slowest clock, each replica forgets what it knew at its own time.
        let wall = self.true_time() + self.setup.rules.max_clock_skew;
        let replicas: Vec<_> = (0..self.users.len())
            .filter(|user| self.has_read_all(&self.users[*user]))
            .filter_map(|user| Some((user, self.users[user].replica.as_ref()?)))
            .collect();
        let [(one, first), others @ ..] = &replicas[..] else { return };
        for (_, replica) in &replicas {
            replica.pass_time(Duration::ZERO, wall);
        }
        let accounts: Vec<_> = if on_all {
            self.ledger.accounts()
        } else {
            let humans = self.people.humans.len();
            let newest = humans.saturating_sub(10).max(VICTIMS)..humans;
            (0..VICTIMS).chain(newest).map(|human| self.people.account(human)).collect()
        };
        for (other, replica) in others {
            for account in &accounts {
                let (known, other_known) = (first.knows_of(*account), replica.knows_of(*account));
                if known != other_known {
                    let detail = format!("{account}: replica {one} {known}, replica {other} {other_known}");
                    return self.ledger.breaks(AGREE, self.agenda.now(), detail);
                }
            }
            let differs = |id: &RegistrationId| first.registered(*id) != replica.registered(*id);
            let differing = self.ledger.registrations().filter(|_| on_all).find(differs);
            if let Some(id) = differing {
                let detail = format!("{id}: {:?}, {:?}", first.registered(id), replica.registered(id));
                return self.ledger.breaks(AGREE, self.agenda.now(), detail);
            }
        }
    }

    pub(crate) fn judge(mut self) -> Verdict {
        let now = self.agenda.now();
        if self.ledger.breach.is_none() {
            self.compare(true);
            let insisting: Vec<_> = self.people.insisting().collect();
            if !insisting.is_empty() {
                let promise = "whoever has a mail is verified after the last fault";
                self.ledger.breaks(promise, now, format!("{insisting:?}"));
            }
        }
        if self.ledger.breach.is_none() {
            self.ledger.judge(&self.faults, self.true_time(), now);
        }
        let (mails, duplicates) = self.ledger.figures();
        let answers = self.ledger.answers;
        let breach = self.ledger.breach.take();
        Verdict { breach, took: now, mails, duplicates, answers, chronicle: self.chronicle }
    }
}
