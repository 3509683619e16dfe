//! Which mail server a service uses, and when: what fail-over promises. Where the ledger can't know what the service knows (which
//! server is silent to it), it takes what forbids less.

use super::Ledger;
use notification_service::{
    ServerNumber,
    simulated::{Command, DeliveryId, End, Gates, Try},
};
use std::{collections::BTreeMap, time::Duration};

/// A server gets the mail back from another one after it has served all probes for this time.
const TRIAL: Duration = Duration::from_secs(30);
/// The longest pause between two probes while another server takes the mail.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A mail server, as the present process of a service has it.
#[derive(Debug, Default)]
pub(super) struct Server {
    /// Mails that are with it.
    with_it: BTreeMap<DeliveryId, Asked>,
    /// Since when its gate is closed.
    closed_since: Option<Duration>,
    /// It was silent for too long while no other gate was open, and has accepted no mail in time since.
    silent: bool,
    /// Since when it has accepted each probe, beside another server.
    on_trial_since: Option<Duration>,
    /// When something ended that may be a sign of it.
    last_sign: Duration,
    /// When something happened after which the next probe may be put off.
    put_off_at: Duration,
    /// A probe was accepted after the trial.
    is_proved: bool,
}

/// A mail with a server.
#[derive(Debug)]
struct Asked {
    since: Duration,
    /// It was begun while the gate was closed, which was not open since, and the gate waits for it.
    probe: bool,
    /// It was to be taken back.
    withdrawn: bool,
}

impl Server {
    /// Whether it takes mail and certainly is not silent.
    pub(super) fn answers(&self) -> bool {
        self.closed_since.is_none() && !self.silent
    }

    /// Whether a mail is still with it that began before.
    pub(super) fn has_one_from_before(&self, time: Duration) -> bool {
        self.with_it.values().any(|asked| asked.since < time)
    }

    /// A mail begins with it. Returns whether it is a probe beside another one.
    fn begins(&mut self, delivery: DeliveryId, since: Duration) -> bool {
        let probe = self.closed_since.is_some();
        let is_second = probe && self.with_it.values().any(|asked| asked.probe);
        self.with_it.insert(delivery, Asked { since, probe, withdrawn: false });
        is_second
    }

    /// The gate is open and waits for no probe; with all gates closed it does not wait for one that was taken back.
    fn waits_for_no(&mut self, which: impl Fn(&Asked) -> bool, now: Duration) {
        for asked in self.with_it.values_mut().filter(|asked| asked.probe && which(asked)) {
            asked.probe = false;
            self.put_off_at = now;
        }
    }

    /// Whether the next mail that was never tried is its probe.
    fn is_to_be_probed(&self, sessions: usize, now: Duration) -> bool {
        self.closed_since.is_some()
            && self.with_it.len() < 2 * sessions
            && self.with_it.values().all(|asked| !asked.probe)
            && now > self.put_off_at + LONGEST_PAUSE
    }

    /// A mail is no longer with it.
    fn ended(&mut self, asked: &Asked, end: &End, longest_silence: Duration, now: Duration) {
        self.put_off_at = now;
        let is_answer = matches!(end, End::Tried(Try::Accepted | Try::Refused(_)));
        if is_answer || matches!(end, End::Tried(Try::Unwelcome(_))) {
            self.last_sign = now;
        }
        // An answer to a mail that was to be taken back is late.
        if asked.probe && (asked.withdrawn || !is_answer) {
            self.on_trial_since = None;
        }
        if matches!(end, End::Tried(Try::Accepted)) {
            self.silent &= now - asked.since >= longest_silence;
            if asked.probe && !asked.withdrawn {
                let since = *self.on_trial_since.get_or_insert(now);
                self.is_proved = now - since >= TRIAL;
            }
        }
    }

    /// Whether mails are with it that should not be: it has ended none for too long.
    fn is_left_with_mails(&self, longest_silence: Duration, now: Duration) -> bool {
        let mut asked = self.with_it.values().filter(|asked| !asked.withdrawn);
        asked.any(|asked| now >= asked.since.max(self.last_sign) + longest_silence)
    }
}

/// Whether another server than this one takes mail.
fn is_another_open(servers: &[Server], number: ServerNumber) -> bool {
    (0..).zip(servers).any(|(other, it)| other != number.index() && it.closed_since.is_none())
}

impl Ledger {
    /// The state machine has taken an input in: how its gates are now, and what it commands.
    pub(crate) fn gates(&mut self, service: usize, gates: &Gates, commands: &[Command], now: Duration) {
        let mut broken = self.gates_moved(service, gates, now);
        let mut passed_over = Vec::new();
        let is_writing = self.is_writing(service);
        let servers = &mut self.known[service].servers[..self.servers.len()];
        let all_closed = servers.iter().all(|server| server.closed_since.is_some());
        for server in &mut *servers {
            let is_open = server.closed_since.is_none();
            server.waits_for_no(|it| is_open || (all_closed && it.withdrawn), now);
        }
        for command in commands {
            match command {
                Command::Start { delivery, server: number, position, .. } => {
                    let mut all = servers.iter().zip(&self.servers);
                    if servers[number.index()].closed_since.is_none()
                        && all.any(|(server, settings)| server.is_to_be_probed(settings.sessions, now))
                    {
                        passed_over.push((*number, (position.partition, position.offset)));
                    }
                    let preferred = servers.iter().position(Server::answers);
                    let server = &mut servers[number.index()];
                    if server.closed_since.is_none() && preferred.is_some_and(|it| it < number.index()) {
                        broken.push(("the first server that takes mail and answers gets it", *number));
                    }
                    if server.begins(*delivery, now) {
                        broken.push(("one probe at a time while the gate is closed", *number));
                    }
                }
                Command::Withdraw { server: number, .. } => {
                    let is_another_open = is_another_open(servers, *number);
                    let server = &mut servers[number.index()];
                    server.silent |= !is_another_open;
                    server.with_it.values_mut().for_each(|asked| asked.withdrawn = true);
                    server.waits_for_no(|_| all_closed, now);
                }
                _ => {}
            }
        }
        broken.extend(self.left_with_silent(service, now));
        // A copy may be that of a probe, whose gate waits for its end.
        if !is_writing && !commands.iter().any(|command| matches!(command, Command::Write { .. })) {
            let fresh = passed_over.iter().find(|(_, record)| self.is_untried(service, *record));
            let promise = "a closed server is probed every half a minute while another one takes mail";
            broken.extend(fresh.map(|(number, _)| (promise, *number)));
        }
        if let Some((promise, number)) = broken.first() {
            let detail = format!("service {service}, server {number}: {commands:?}, {gates:?}");
            self.breaks(promise, now, detail);
        }
    }

    /// Notes which gates have opened and closed, and what forbids that.
    fn gates_moved(
        &mut self,
        service: usize,
        gates: &Gates,
        now: Duration,
    ) -> Vec<(&'static str, ServerNumber)> {
        let servers = &mut self.known[service].servers[..self.servers.len()];
        let answered: Vec<_> = servers.iter().map(Server::answers).collect();
        let mut broken = Vec::new();
        for (number, server) in ServerNumber::ALL.into_iter().zip(&mut *servers) {
            let is_proved = std::mem::take(&mut server.is_proved);
            if gates.closed_by(number).is_some() {
                if server.closed_since.is_none() {
                    (server.closed_since, server.put_off_at) = (Some(now), now);
                }
                if is_proved {
                    broken.push(("a server gets the mail back after a trial", number));
                }
                continue;
            }
            let beside_another = (0..).zip(&answered).any(|(other, it)| other != number.index() && *it);
            if let Some(since) = server.closed_since.take()
                && beside_another
                && now - since < TRIAL
            {
                broken.push(("no server gets the mail back from another without a trial", number));
            }
            server.on_trial_since = None;
        }
        if !servers.iter().any(Server::answers) {
            servers.iter_mut().for_each(|server| server.on_trial_since = None);
        }
        broken
    }

    /// Whether mails are with a server whose gate is closed, while another one takes mail.
    pub(super) fn has_mails_at_closed(&self, service: usize) -> bool {
        let servers = &self.known[service].servers[..self.servers.len()];
        let has_mails = |server: &Server| server.closed_since.is_some() && !server.with_it.is_empty();
        servers.iter().any(has_mails) && servers.iter().any(|server| server.closed_since.is_none())
    }

    /// Whether a service writes copies.
    pub(super) fn is_writing(&self, service: usize) -> bool {
        let known = &self.known[service];
        known.running.len() > known.servers.iter().map(|server| server.with_it.len()).sum::<usize>()
    }

    /// A server that has been silent for too long while another one takes mail.
    fn left_with_silent(&self, service: usize, now: Duration) -> Option<(&'static str, ServerNumber)> {
        let servers = &self.known[service].servers[..self.servers.len()];
        let mut silent = ServerNumber::ALL.into_iter().zip(servers).zip(&self.servers).filter(
            |((number, server), settings)| {
                is_another_open(servers, *number) && server.is_left_with_mails(settings.longest_silence, now)
            },
        );
        let ((number, _), _) = silent.next()?;
        Some(("no mail that can be taken back is left with a silent server", number))
    }

    /// What a service had begun is over.
    pub(super) fn ended_with_server(
        &mut self,
        service: usize,
        delivery: DeliveryId,
        end: &End,
        now: Duration,
    ) {
        for (server, settings) in self.known[service].servers.iter_mut().zip(&self.servers) {
            if let Some(asked) = server.with_it.remove(&delivery) {
                server.ended(&asked, end, settings.longest_silence, now);
            } else if matches!(end, End::Written(_)) {
                // The copy may be of a mail that this server refused: the service notes the refusal now.
                (server.last_sign, server.put_off_at) = (now, now);
            }
        }
    }
}
