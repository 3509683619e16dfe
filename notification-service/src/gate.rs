//! Whether mail may be tried at all.
//!
//! A failure of the mail server, not of an address, closes the gate. From then on nothing is sent but one probe at a time,
//! with back-off, until the server is back. The backlog is never drained into refusals. Pure: `now` and the jitter are
//! arguments.
//!
//! Refusals close it, too: at once where the server says that it means us, otherwise when several recipients in a row were
//! refused and nobody was served. On a quiet system a stranger can cause that by registering such addresses. The cost to
//! others is bounded: the first accepted email opens the gate, every second probe is the newest email that was never tried,
//! and after the refusal of a recipient the next probe comes within a second.
//!
//! Each mail server has a gate of its own. While another server takes the mail, a closed gate costs nobody more than one
//! probe, and it opens late: only after the server has served all probes for a while. Otherwise the mail would move to and
//! fro between a server that half works and the next one.

use std::time::{Duration, Instant};

/// This many recipients in a row, refused for now or for their content and each at its first try, say more about the server
/// than about the recipients.
const REFUSALS_IN_A_ROW: usize = 10;
/// The same for recipients that are refused for good without a reason. Fewer, because each of them is a dead letter.
const REFUSALS_FOR_GOOD_IN_A_ROW: usize = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Short, so that a backlog begins to move within seconds of the server's return.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause after the refusal of a recipient. One reply costs the server little, and others may wait behind this
/// recipient.
const LONGEST_PAUSE_OF_RECIPIENTS: Duration = Duration::from_secs(1);
/// The longest pause while another server takes the mail: nobody waits for this one.
pub(crate) const LONGEST_PAUSE_BESIDE_ANOTHER: Duration = Duration::from_secs(30);
/// For how long a server must serve all probes before it gets the mail back from another one.
pub(crate) const TRIAL: Duration = Duration::from_secs(30);
/// From a probe that was served to the next one, during the trial.
const PAUSE_IN_TRIAL: Duration = Duration::from_secs(1);

/// A delivery's evidence about the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// It accepted an email.
    Accepted,
    /// It refused for now, or refused the content.
    Refused,
    /// It refused again what it had refused before. That may well be about the recipient.
    RefusedAgain,
    /// It refused for good and did not say whether it means the recipient or us.
    RefusedForGood,
    /// It refused this recipient, for good or for now. So the server works.
    RecipientRefused,
    /// It refuses us, whoever the recipient is.
    Unwelcome,
    /// The same for a record that it had refused before. If it serves others, it may mean this recipient.
    UnwelcomeAgain,
    /// It can't be reached, does not answer, or takes mail from nobody.
    Failed,
    /// Nothing: it was not asked.
    Silent,
}

/// The delivery behind a signal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tried {
    pub(crate) probe: bool,
    /// Identifies the recipient.
    pub(crate) recipient: u64,
    pub(crate) began: Instant,
}

/// What may be started now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Any number of deliveries.
    All,
    /// One, as a probe.
    Probe,
    /// None before that time. `None`: a probe is in flight.
    Nothing(Option<Instant>),
}

/// Closed while the mail server, not an address, is the problem; a circuit breaker. Open at first.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closed: Option<Closed>,
    row: Row,
}

/// Refusals since the last accepted email.
#[derive(Debug, Default)]
struct Row {
    /// The refused recipients, each once.
    recipients: Vec<u64>,
    /// When the first of the deliveries that were refused for good began.
    for_good_since: Option<Instant>,
}

#[derive(Debug)]
struct Closed {
    /// Refusals closed it, so only an accepted email opens it.
    by_refusals: bool,
    failed_probes: u32,
    next_probe: Instant,
    probing: bool,
    /// Since when all probes were served, while another server took the mail.
    on_trial_since: Option<Instant>,
}

impl Gate {
    pub(crate) fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    pub(crate) fn admission(&self, now: Instant) -> Admission {
        match &self.closed {
            None => Admission::All,
            Some(closed) if closed.probing => Admission::Nothing(None),
            Some(closed) if closed.next_probe <= now => Admission::Probe,
            Some(closed) => Admission::Nothing(Some(closed.next_probe)),
        }
    }

    /// Since when a probe is due. `None` if none is.
    pub(crate) fn due_since(&self, now: Instant) -> Option<Instant> {
        let due = self.closed.as_ref().filter(|closed| !closed.probing && closed.next_probe <= now);
        due.map(|closed| closed.next_probe)
    }

    /// Whether the next probe should be an email that was never tried. Probes alternate. Otherwise recipients that are always
    /// refused, or those that are refused at their first try, could keep the gate closed.
    pub(crate) fn prefers_untried(&self) -> bool {
        self.closed.as_ref().is_some_and(|closed| closed.failed_probes % 2 == 1)
    }

    /// The start of a row of unexplained permanent refusals in which nobody was served.
    pub(crate) fn refused_for_good_since(&self) -> Option<Instant> {
        self.row.for_good_since
    }

    /// Whether the server serves its probes, and does not have the mail back from another one yet.
    pub(crate) fn is_on_trial(&self) -> bool {
        self.closed.as_ref().is_some_and(|closed| closed.on_trial_since.is_some())
    }

    /// Notes that a probe has begun. The next one waits for its signal.
    pub(crate) fn probe_started(&mut self) {
        if let Some(closed) = &mut self.closed {
            closed.probing = true;
        }
    }

    /// Lets the next probe begin now: no other server takes the mail any more.
    pub(crate) fn hasten(&mut self, now: Instant) {
        if let Some(closed) = &mut self.closed {
            closed.next_probe = closed.next_probe.min(now);
        }
    }

    /// Closes an open gate because the server has been silent for too long. `jitter` is uniform in 0..1.
    pub(crate) fn close_for_silence(&mut self, now: Instant, jitter: f64) {
        self.close(false, now, jitter);
    }

    /// Takes in how a delivery ended. `jitter` is uniform in 0..1. `beside_another`: the gate of another server is open.
    pub(crate) fn observe(
        &mut self,
        signal: Signal,
        tried: Tried,
        beside_another: bool,
        now: Instant,
        jitter: f64,
    ) {
        use Signal::{
            Accepted, Failed, RecipientRefused, Refused, RefusedAgain, RefusedForGood, Silent, Unwelcome,
            UnwelcomeAgain,
        };
        if beside_another && !self.is_open() {
            return self.observe_beside_another(signal, tried.probe, now, jitter);
        }
        match (&mut self.closed, signal) {
            (_, Accepted) => *self = Self::default(),
            (None, Refused | RefusedForGood) => {
                if self.row.add(signal, tried) {
                    self.close(true, now, jitter);
                }
            }
            (None, Unwelcome) => self.close(true, now, jitter),
            (None, Failed) => self.close(false, now, jitter),
            (None, RefusedAgain | RecipientRefused | UnwelcomeAgain | Silent) => {}
            // Deliveries that began before the gate closed add nothing.
            (Some(_), _) if !tried.probe => {}
            (Some(closed), Failed) => closed.postpone(now, jitter, LONGEST_PAUSE),
            (Some(closed), Unwelcome | UnwelcomeAgain) => {
                closed.by_refusals = true;
                closed.postpone(now, jitter, LONGEST_PAUSE_OF_RECIPIENTS);
            }
            (Some(closed), Refused | RefusedAgain) if closed.by_refusals => {
                closed.postpone(now, jitter, LONGEST_PAUSE);
            }
            (Some(closed), RefusedForGood) if closed.by_refusals => {
                closed.postpone(now, jitter, LONGEST_PAUSE_OF_RECIPIENTS);
            }
            (Some(closed), RecipientRefused) if closed.by_refusals => closed.probing = false,
            (Some(_), Refused | RefusedForGood) => {
                *self = Self::default();
                self.row.add(signal, tried);
            }
            (Some(_), RefusedAgain | RecipientRefused) => *self = Self::default(),
            // The probe never reached the server (for example, its code had expired). The next one may start at once.
            (Some(closed), Silent) => closed.probing = false,
        }
    }

    /// The same for a closed gate while another server takes the mail. What opens a lone gate at once is a part of the trial,
    /// except refusals: a server that refuses everybody would get the mail back, and ten people would wait for it.
    fn observe_beside_another(&mut self, signal: Signal, probe: bool, now: Instant, jitter: f64) {
        let Some(closed) = &mut self.closed else { return };
        match signal {
            // Deliveries that began before the gate closed don't count.
            _ if !probe => {}
            Signal::Silent => closed.probing = false,
            // It says nothing about others, whom the server refused before.
            Signal::RecipientRefused if closed.by_refusals => closed.next_in_trial(now),
            // Perhaps it means this recipient, since it has served others.
            Signal::Refused | Signal::RefusedAgain | Signal::RefusedForGood
                if closed.on_trial_since.is_some() =>
            {
                closed.next_in_trial(now);
            }
            Signal::Refused | Signal::RefusedAgain | Signal::RefusedForGood => {
                closed.postpone(now, jitter, LONGEST_PAUSE_BESIDE_ANOTHER);
            }
            Signal::Unwelcome | Signal::UnwelcomeAgain => {
                closed.by_refusals = true;
                closed.postpone(now, jitter, LONGEST_PAUSE_BESIDE_ANOTHER);
            }
            Signal::Failed => closed.postpone(now, jitter, LONGEST_PAUSE_BESIDE_ANOTHER),
            _ if closed.passes_trial(now) => *self = Self::default(),
            _ => {}
        }
    }

    fn close(&mut self, by_refusals: bool, now: Instant, jitter: f64) {
        let next_probe = now + pause(0, jitter, LONGEST_PAUSE);
        let failed_probes = 0;
        self.closed =
            Some(Closed { by_refusals, failed_probes, next_probe, probing: false, on_trial_since: None });
    }
}

impl Row {
    /// Adds a refusal; true when the row is long enough to close the gate.
    fn add(&mut self, signal: Signal, tried: Tried) -> bool {
        if !self.recipients.contains(&tried.recipient) {
            self.recipients.push(tried.recipient);
        }
        let mut enough = REFUSALS_IN_A_ROW;
        if signal == Signal::RefusedForGood {
            let since = self.for_good_since.map_or(tried.began, |since| since.min(tried.began));
            self.for_good_since = Some(since);
            enough = REFUSALS_FOR_GOOD_IN_A_ROW;
        }
        self.recipients.len() >= enough
    }
}

impl Closed {
    fn postpone(&mut self, now: Instant, jitter: f64, longest: Duration) {
        self.failed_probes = self.failed_probes.saturating_add(1);
        self.next_probe = now + pause(self.failed_probes, jitter, longest);
        self.probing = false;
        self.on_trial_since = None;
    }

    /// Takes in a probe that was served; true when all were served for long enough.
    fn passes_trial(&mut self, now: Instant) -> bool {
        let since = *self.on_trial_since.get_or_insert(now);
        self.next_in_trial(now);
        now.saturating_duration_since(since) >= TRIAL
    }

    fn next_in_trial(&mut self, now: Instant) {
        self.next_probe = now + PAUSE_IN_TRIAL;
        self.probing = false;
    }
}

/// Doubles with each failed probe. A random half of it keeps replicas from probing in step.
fn pause(failed_probes: u32, jitter: f64, longest: Duration) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << failed_probes.min(10)).min(longest);
    whole.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Signal::{
        Accepted, Failed, RecipientRefused, Refused, RefusedAgain, RefusedForGood, Silent, Unwelcome,
        UnwelcomeAgain,
    };
    use proptest::prelude::*;

    fn of(recipient: usize, probe: bool, began: Instant) -> Tried {
        Tried { probe, recipient: recipient.try_into().unwrap(), began }
    }

    /// A gate after this signal of as many recipients.
    fn after(signal: Signal, times: usize, now: Instant) -> Gate {
        let mut gate = Gate::default();
        (0..times).for_each(|recipient| gate.observe(signal, of(recipient, false, now), false, now, 1.0));
        gate
    }

    fn probe(gate: &mut Gate, signal: Signal, now: Instant) {
        gate.probe_started();
        gate.observe(signal, of(0, true, now), false, now, 1.0);
    }

    #[test]
    fn one_failure_of_the_server_closes_and_one_probe_at_a_time_follows() {
        let now = Instant::now();
        let mut gate = after(Failed, 1, now);
        assert_eq!(gate.admission(now), Admission::Nothing(Some(now + FIRST_PAUSE)));
        let later = now + FIRST_PAUSE;
        assert_eq!(gate.admission(later), Admission::Probe);
        gate.probe_started();
        assert_eq!(gate.admission(later), Admission::Nothing(None));
        gate.observe(Failed, of(1, false, now), false, later, 1.0);
        assert_eq!(gate.admission(later), Admission::Nothing(None), "an old delivery is not the probe");
        gate.observe(Failed, of(0, true, later), false, later, 1.0);
        assert_eq!(gate.admission(later), Admission::Nothing(Some(later + 2 * FIRST_PAUSE)));
        probe(&mut gate, Accepted, later);
        assert_eq!(gate.admission(later), Admission::All);
    }

    #[test]
    fn refusals_close_only_when_there_are_many_in_a_row() {
        let now = Instant::now();
        for (signal, enough) in [(Refused, REFUSALS_IN_A_ROW), (RefusedForGood, REFUSALS_FOR_GOOD_IN_A_ROW)] {
            let mut gate = after(signal, enough - 1, now);
            assert!(gate.is_open());
            gate.observe(Accepted, of(0, false, now), false, now, 1.0);
            assert_eq!(gate.refused_for_good_since(), None);
            (1..enough)
                .for_each(|recipient| gate.observe(signal, of(recipient, false, now), false, now, 1.0));
            assert!(gate.is_open());
            gate.observe(signal, of(99, false, now), false, now, 1.0);
            assert!(!gate.is_open());
            assert_eq!(gate.refused_for_good_since().is_some(), signal == RefusedForGood);
        }
    }

    #[test]
    fn one_recipient_who_is_refused_again_and_again_is_no_row() {
        let now = Instant::now();
        for signal in [Refused, RefusedForGood] {
            let mut gate = Gate::default();
            (0..100).for_each(|_| gate.observe(signal, of(7, false, now), false, now, 1.0));
            assert!(gate.is_open());
        }
    }

    #[test]
    fn a_row_began_with_its_first_delivery_not_with_its_first_answer() {
        let now = Instant::now();
        let later = now + Duration::from_secs(3);
        let mut gate = Gate::default();
        for (recipient, began) in [(1, later), (2, now), (3, later), (4, later), (5, later)] {
            gate.observe(RefusedForGood, of(recipient, false, began), false, later, 1.0);
        }
        assert!(!gate.is_open());
        assert_eq!(gate.refused_for_good_since(), Some(now));
    }

    #[test]
    fn a_server_that_refuses_us_closes_at_once_and_only_an_accepted_email_opens() {
        let now = Instant::now();
        let mut gate = after(Unwelcome, 1, now);
        for signal in [Unwelcome, UnwelcomeAgain, Refused, RefusedForGood, RefusedAgain, RecipientRefused] {
            probe(&mut gate, signal, now);
            assert!(!gate.is_open(), "{signal:?}");
        }
        // The server was away, and answers again.
        let mut gate = after(Failed, 1, now);
        probe(&mut gate, Unwelcome, now);
        probe(&mut gate, RecipientRefused, now);
        assert!(!gate.is_open());
        // A mail in flight shows that others are served.
        gate.observe(Accepted, of(3, false, now), false, now, 1.0);
        assert!(gate.is_open());
    }

    #[test]
    fn refusals_of_what_was_refused_before_do_not_close() {
        let now = Instant::now();
        assert!(after(RefusedAgain, 100, now).is_open());
        assert!(after(UnwelcomeAgain, 100, now).is_open());
    }

    #[test]
    fn every_second_probe_is_of_an_untried_email() {
        let now = Instant::now();
        let mut gate = after(Refused, REFUSALS_IN_A_ROW, now);
        let mut preferences = Vec::new();
        for signal in [RefusedAgain, Refused, RefusedForGood, UnwelcomeAgain] {
            preferences.push(gate.prefers_untried());
            probe(&mut gate, signal, now);
        }
        assert_eq!(preferences, [false, true, false, true]);
    }

    #[test]
    fn after_a_refused_recipient_the_next_probe_is_a_second_away_at_most() {
        let now = Instant::now();
        for (signal, longest) in [
            (RefusedForGood, LONGEST_PAUSE_OF_RECIPIENTS),
            (Unwelcome, LONGEST_PAUSE_OF_RECIPIENTS),
            (Refused, LONGEST_PAUSE),
        ] {
            let mut gate = after(Unwelcome, 1, now);
            (0..20).for_each(|_| probe(&mut gate, signal, now));
            assert_eq!(gate.admission(now), Admission::Nothing(Some(now + longest)), "{signal:?}");
        }
    }

    #[test]
    fn bad_recipients_neither_close_the_gate_nor_hold_up_its_probes() {
        let now = Instant::now();
        assert!(after(RecipientRefused, 100, now).is_open());
        let mut gate = after(Refused, REFUSALS_IN_A_ROW, now);
        let later = now + FIRST_PAUSE;
        for signal in [RecipientRefused, Silent] {
            probe(&mut gate, signal, later);
            assert_eq!(gate.admission(later), Admission::Probe);
        }
    }

    #[test]
    fn a_server_that_was_away_and_refuses_one_recipient_is_back() {
        let now = Instant::now();
        for signal in [Refused, RefusedAgain, RefusedForGood, RecipientRefused] {
            let mut gate = after(Failed, 1, now);
            probe(&mut gate, signal, now);
            assert!(gate.is_open());
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_there_is_always_a_next_probe_within_the_longest_pause(
            signals in proptest::collection::vec(0..9_usize, 0..60), jitter in 0.0..1.0,
        ) {
            let all = [
                Accepted, Refused, RefusedAgain, RefusedForGood, RecipientRefused, Unwelcome, UnwelcomeAgain,
                Failed, Silent,
            ];
            let mut now = Instant::now();
            let mut gate = Gate::default();
            for (recipient, signal) in signals.into_iter().enumerate() {
                let probe = match gate.admission(now) {
                    Admission::All => false,
                    Admission::Probe => true,
                    Admission::Nothing(until) => {
                        let until = until.expect("no probe is under way");
                        prop_assert!(until <= now + LONGEST_PAUSE);
                        now = until;
                        true
                    }
                };
                if probe {
                    gate.probe_started();
                }
                gate.observe(all[signal], of(recipient, probe, now), false, now, jitter);
            }
        }
    }

    /// A closed gate whose server serves probes, one a second, while another server takes the mail.
    fn on_trial(closed_by: Signal, now: Instant) -> (Gate, Instant) {
        let mut gate = after(closed_by, 1, now);
        let mut now = now + FIRST_PAUSE;
        for _ in 0..20 {
            assert_eq!(gate.admission(now), Admission::Probe);
            probe_beside_another(&mut gate, Accepted, now);
            assert!(!gate.is_open());
            now += PAUSE_IN_TRIAL;
        }
        (gate, now)
    }

    fn probe_beside_another(gate: &mut Gate, signal: Signal, now: Instant) {
        gate.probe_started();
        gate.observe(signal, of(0, true, now), true, now, 1.0);
    }

    #[test]
    fn beside_another_server_a_gate_opens_after_a_trial_and_a_failure_begins_it_again() {
        for closed_by in [Failed, Unwelcome] {
            let now = Instant::now();
            let (mut gate, later) = on_trial(closed_by, now);
            probe_beside_another(&mut gate, Accepted, later + TRIAL);
            assert!(gate.is_open(), "{closed_by:?}");
            for failed in [Failed, Unwelcome] {
                let (mut gate, later) = on_trial(closed_by, now);
                probe_beside_another(&mut gate, failed, later);
                probe_beside_another(&mut gate, Accepted, later + TRIAL);
                assert!(!gate.is_open(), "{closed_by:?}, {failed:?}");
                // Alone it is open at once.
                probe(&mut gate, Accepted, later + TRIAL);
                assert!(gate.is_open(), "{closed_by:?}, {failed:?}");
            }
        }
    }

    #[test]
    fn recipients_who_are_refused_hold_up_no_trial() {
        for refused in [RecipientRefused, Refused, RefusedAgain, RefusedForGood] {
            let (mut gate, later) = on_trial(Unwelcome, Instant::now());
            probe_beside_another(&mut gate, refused, later);
            assert_eq!(gate.admission(later + PAUSE_IN_TRIAL), Admission::Probe, "{refused:?}");
            probe_beside_another(&mut gate, Accepted, later + TRIAL);
            assert!(gate.is_open(), "{refused:?}");
        }
    }

    #[test]
    fn a_server_that_is_back_and_refuses_everybody_for_now_does_not_get_the_mail_back() {
        for refused in [Refused, RefusedForGood] {
            let mut now = Instant::now();
            let mut gate = after(Failed, 1, now);
            for _ in 0..100 {
                now += LONGEST_PAUSE_BESIDE_ANOTHER;
                assert_eq!(gate.admission(now), Admission::Probe);
                probe_beside_another(&mut gate, refused, now);
                assert!(!gate.is_open() && !gate.is_on_trial(), "{refused:?}");
            }
        }
    }

    #[test]
    fn what_began_before_the_gate_closed_counts_only_for_a_lone_server() {
        let now = Instant::now();
        for beside_another in [false, true] {
            let mut gate = after(Failed, 1, now);
            gate.observe(Accepted, of(1, false, now), beside_another, now + TRIAL, 1.0);
            assert_eq!(gate.is_open(), !beside_another);
        }
    }

    #[test]
    fn probes_beside_another_server_are_half_a_minute_apart_until_nobody_else_takes_the_mail() {
        let now = Instant::now();
        let mut gate = after(Failed, 1, now);
        (0..20).for_each(|_| probe_beside_another(&mut gate, Failed, now));
        assert_eq!(gate.admission(now), Admission::Nothing(Some(now + LONGEST_PAUSE_BESIDE_ANOTHER)));
        gate.hasten(now);
        assert_eq!(gate.admission(now), Admission::Probe);
    }
}
