//! Whether mail may be tried at all.
//!
//! A failure that concerns the mail server, not an address, closes the gate: nothing is taken up, and one probe at a
//! time, with back-off, finds out when the server is back. The backlog is never drained into refusals. Pure: `now`
//! and the jitter are arguments.

use std::time::{Duration, Instant};

/// So many refusals in a row, each of an email that was never refused before, say more of the server than of the
/// recipients.
const REFUSALS_IN_A_ROW: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// With it a backlog begins to move within seconds of the server's return.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a delivery says about the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// It accepted an email.
    Accepted,
    /// It refused for the time being, or refused the content.
    Refused,
    /// It refused again what was refused before: that may well be about the recipient.
    RefusedAgain,
    /// It refused this recipient for good, so it works.
    RecipientRefused,
    /// It can't be reached, does not answer, or takes mail from nobody.
    Failed,
    /// Nothing: it was not asked.
    Silent,
}

/// What may be started now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Any number of deliveries.
    All,
    /// One, as a probe.
    Probe,
    /// None before that time; `None`: a probe is under way.
    Nothing(Option<Instant>),
}

/// Open at first; see the module's text.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closed: Option<Closed>,
    refusals: u32,
}

#[derive(Debug)]
struct Closed {
    /// Refusals closed it, so only an accepted email opens it.
    by_refusals: bool,
    failed_probes: u32,
    next_probe: Instant,
    probing: bool,
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

    /// Whether the next probe should be of an email that was never refused: every second one, so that neither recipients
    /// that are always refused keep the gate closed, nor those that are always refused at first.
    pub(crate) fn prefers_untried(&self) -> bool {
        self.closed.as_ref().is_some_and(|closed| closed.failed_probes % 2 == 1)
    }

    /// Notes that the probe has begun: no second one until its signal is in.
    pub(crate) fn probe_started(&mut self) {
        if let Some(closed) = &mut self.closed {
            closed.probing = true;
        }
    }

    /// Takes in how a delivery ended. `jitter` is uniform in 0..1.
    pub(crate) fn observe(&mut self, signal: Signal, was_probe: bool, now: Instant, jitter: f64) {
        match (&mut self.closed, signal) {
            (_, Signal::Accepted) => *self = Self::default(),
            (None, Signal::Refused) => {
                self.refusals += 1;
                if self.refusals >= REFUSALS_IN_A_ROW {
                    self.close(true, now, jitter);
                }
            }
            (None, Signal::Failed) => self.close(false, now, jitter),
            (None, Signal::RefusedAgain | Signal::RecipientRefused | Signal::Silent) => {}
            // Deliveries that began before the gate closed say nothing new.
            (Some(_), _) if !was_probe => {}
            (Some(closed), Signal::Failed) => closed.postpone(now, jitter),
            (Some(closed), Signal::Refused | Signal::RefusedAgain) if closed.by_refusals => {
                closed.postpone(now, jitter);
            }
            (Some(closed), Signal::RecipientRefused) if closed.by_refusals => closed.probing = false,
            (Some(_), Signal::Refused) => *self = Self { closed: None, refusals: 1 },
            (Some(_), Signal::RefusedAgain | Signal::RecipientRefused) => *self = Self::default(),
            // The probe never reached the server (its code had expired): the next one may start at once.
            (Some(closed), Signal::Silent) => closed.probing = false,
        }
    }

    fn close(&mut self, by_refusals: bool, now: Instant, jitter: f64) {
        let next_probe = now + pause(0, jitter);
        self.closed = Some(Closed { by_refusals, failed_probes: 0, next_probe, probing: false });
    }
}

impl Closed {
    fn postpone(&mut self, now: Instant, jitter: f64) {
        self.failed_probes = self.failed_probes.saturating_add(1);
        self.next_probe = now + pause(self.failed_probes, jitter);
        self.probing = false;
    }
}

/// Doubles from probe to probe; between half and all of it, so that replicas don't probe in step.
fn pause(failed_probes: u32, jitter: f64) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << failed_probes.min(10)).min(LONGEST_PAUSE);
    whole.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn closed_by(signal: Signal, times: u32, now: Instant) -> Gate {
        let mut gate = Gate::default();
        (0..times).for_each(|_| gate.observe(signal, false, now, 1.0));
        gate
    }

    #[test]
    fn one_failure_of_the_server_closes_and_one_probe_at_a_time_follows() {
        let now = Instant::now();
        let mut gate = closed_by(Signal::Failed, 1, now);
        assert_eq!(gate.admission(now), Admission::Nothing(Some(now + FIRST_PAUSE)));
        let later = now + FIRST_PAUSE;
        assert_eq!(gate.admission(later), Admission::Probe);
        gate.probe_started();
        assert_eq!(gate.admission(later), Admission::Nothing(None));
        gate.observe(Signal::Failed, false, later, 1.0);
        assert_eq!(gate.admission(later), Admission::Nothing(None), "an old delivery is not the probe");
        gate.observe(Signal::Failed, true, later, 1.0);
        assert_eq!(gate.admission(later), Admission::Nothing(Some(later + 2 * FIRST_PAUSE)));
        gate.probe_started();
        gate.observe(Signal::Accepted, true, later, 1.0);
        assert_eq!(gate.admission(later), Admission::All);
    }

    #[test]
    fn refusals_close_only_when_there_are_many_in_a_row() {
        let now = Instant::now();
        let mut gate = closed_by(Signal::Refused, REFUSALS_IN_A_ROW - 1, now);
        assert!(gate.is_open());
        gate.observe(Signal::Accepted, false, now, 1.0);
        (1..REFUSALS_IN_A_ROW).for_each(|_| gate.observe(Signal::Refused, false, now, 1.0));
        assert!(gate.is_open());
        gate.observe(Signal::Refused, false, now, 1.0);
        assert!(!gate.is_open());
    }

    #[test]
    fn refusals_of_what_was_refused_before_do_not_close() {
        let now = Instant::now();
        assert!(closed_by(Signal::RefusedAgain, 100, now).is_open());
    }

    #[test]
    fn every_second_probe_is_of_an_untried_email() {
        let now = Instant::now();
        let mut gate = closed_by(Signal::Refused, REFUSALS_IN_A_ROW, now);
        let mut preferences = Vec::new();
        for signal in [Signal::RefusedAgain, Signal::Refused, Signal::RefusedAgain] {
            preferences.push(gate.prefers_untried());
            gate.probe_started();
            gate.observe(signal, true, now, 1.0);
        }
        assert_eq!(preferences, [false, true, false]);
    }

    #[test]
    fn bad_recipients_neither_close_the_gate_nor_hold_up_its_probes() {
        let now = Instant::now();
        assert!(closed_by(Signal::RecipientRefused, 100, now).is_open());
        let mut gate = closed_by(Signal::Refused, REFUSALS_IN_A_ROW, now);
        let later = now + FIRST_PAUSE;
        for signal in [Signal::RecipientRefused, Signal::Silent] {
            gate.probe_started();
            gate.observe(signal, true, later, 1.0);
            assert_eq!(gate.admission(later), Admission::Probe);
        }
    }

    #[test]
    fn a_server_that_was_away_and_refuses_one_recipient_is_back() {
        let now = Instant::now();
        for signal in [Signal::Refused, Signal::RefusedAgain, Signal::RecipientRefused] {
            let mut gate = closed_by(Signal::Failed, 1, now);
            gate.probe_started();
            gate.observe(signal, true, now, 1.0);
            assert!(gate.is_open());
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_there_is_always_a_next_probe_within_the_longest_pause(
            signals in proptest::collection::vec(0..6_usize, 0..60), jitter in 0.0..1.0,
        ) {
            use Signal::{Accepted, Failed, RecipientRefused, Refused, RefusedAgain, Silent};
            let mut now = Instant::now();
            let mut gate = Gate::default();
            for signal in signals {
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
                let signal = [Accepted, Refused, RefusedAgain, RecipientRefused, Failed, Silent][signal];
                gate.observe(signal, probe, now, jitter);
            }
        }
    }
}
