//! Faults, carried out.

use crate::{
    schedule::{Fault, GroupFault, ProcessFault},
    service::{Next, State},
    user_service::{Reader, UserInput},
    world::World,
};
use jiff::SignedDuration;
use std::time::Duration;

impl World {
    pub(crate) fn begin_fault(&mut self, number: usize) {
        let fault = self.faults[number].fault;
        let now = self.agenda.now();
        self.chronicle.note(now, || format!("fault {number} begins: {fault:?}"));
        (self.faults_now, self.calm_since) = (self.faults_now + 1, None);
        match fault {
            Fault::Process(service, ProcessFault::Kill) => {
                self.services[service].end();
                self.ledger.process_ended(service);
            }
            Fault::Process(service, ProcessFault::Stop) => self.later(service, Duration::ZERO, Next::Stop),
            Fault::Process(service, ProcessFault::Freeze) => {
                if self.services[service].state == State::Running {
                    self.services[service].state = State::Frozen;
                    self.ledger.frozen(service, now);
                }
            }
            Fault::Link(who, link) => {
                for service in self.concerned(who) {
                    self.services[service].links.push((number, link));
                }
                if who.is_none() {
                    self.users.iter_mut().for_each(|user| user.links.push((number, link)));
                }
            }
            Fault::Mail { server, service, mood } => {
                for server in self.servers_concerned(server) {
                    self.servers[server].moods.push((number, service, mood));
                    self.servers[server].mood_changed(now);
                }
            }
            Fault::Group(service, GroupFault::Expel) => self.group.expel(service, now),
            Fault::Group(_, GroupFault::Rebalance) => self.group.rebalance(now),
            Fault::Group(service, GroupFault::JoinAgain) => {
                self.group.rebalance(now);
                self.services[service].client.join_again();
                self.later(service, Duration::ZERO, Next::Rebalance);
            }
            Fault::Commits(service, fault) => self.services[service].commit_faults.push((number, fault)),
            Fault::Clock(service, skew) => self.services[service].skew = SignedDuration::from_millis(skew),
            Fault::User(user, ProcessFault::Kill) => self.end_user(user),
            Fault::User(user, ProcessFault::Stop) => self.user_later(user, Duration::ZERO, UserInput::Stop),
            Fault::User(user, ProcessFault::Freeze) => {
                if self.users[user].state == State::Running {
                    self.users[user].state = State::Frozen;
                }
            }
            Fault::UserLink(user, link) => self.users[user].links.push((number, link)),
            Fault::UserClock(user, skew) => self.users[user].skew = SignedDuration::from_millis(skew),
        }
    }

    pub(crate) fn end_fault(&mut self, number: usize) {
        let fault = self.faults[number].fault;
        let now = self.agenda.now();
        self.chronicle.note(now, || format!("fault {number} ends: {fault:?}"));
        self.faults_now -= 1;
        self.calm_since = (self.faults_now == 0).then_some(now);
        match fault {
            Fault::Process(service, ProcessFault::Kill | ProcessFault::Stop) => {
                if self.services[service].state == State::Down {
                    self.start(service);
                } else {
                    self.restarts[service] = true;
                }
            }
            Fault::Process(service, ProcessFault::Freeze) => self.thaw(service),
            Fault::Link(who, _) => {
                for service in self.concerned(who) {
                    self.services[service].links.retain(|(at, _)| *at != number);
                    self.receive_soon(service);
                }
                if who.is_none() {
                    (0..self.users.len()).for_each(|user| self.end_user_link(user, number));
                }
            }
            Fault::Mail { server, .. } => {
                for server in self.servers_concerned(server) {
                    self.servers[server].moods.retain(|(at, ..)| *at != number);
                    self.servers[server].mood_changed(now);
                }
            }
            Fault::Commits(service, _) => {
                self.services[service].commit_faults.retain(|(at, _)| *at != number)
            }
            Fault::User(user, ProcessFault::Kill | ProcessFault::Stop) => self.start_user(user),
            Fault::User(user, ProcessFault::Freeze) => self.thaw_user(user),
            Fault::UserLink(user, _) => self.end_user_link(user, number),
            Fault::Group(..) | Fault::Clock(..) | Fault::UserClock(..) => {}
        }
    }

    fn end_user_link(&mut self, user: usize, number: usize) {
        self.users[user].links.retain(|(at, _)| *at != number);
        self.read_soon(user, Reader::Patient);
        self.read_soon(user, Reader::Prompt);
    }

    /// What it missed happens now, in any order.
    fn thaw(&mut self, service: usize) {
        if self.services[service].state != State::Frozen {
            return;
        }
        self.services[service].state = State::Running;
        for next in std::mem::take(&mut self.services[service].missed) {
            let wait = self.moment(service) * 3;
            self.later(service, wait, next);
        }
    }

    fn servers_concerned(&self, server: Option<usize>) -> Vec<usize> {
        server.map_or_else(|| (0..self.servers.len()).collect(), |server| vec![server])
    }

    fn concerned(&self, who: Option<usize>) -> Vec<usize> {
        who.map_or_else(|| (0..self.services.len()).collect(), |service| vec![service])
    }
}
