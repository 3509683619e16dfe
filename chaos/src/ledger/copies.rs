//! Which mails came twice, and why.
//!
//! At least once means copies, but only for a reason: something was killed, frozen or cut between a mail and its
//! commit, or the mail had been asked for twice: by two replicas that took its place at once, or by one whose record was written
//! twice. Each reason allows a stated number.

use super::{Count, index::Index};
use crate::evidence::{Incident, Mail};
use contract::event::EventId;
use jiff::SignedDuration;
use std::collections::{BTreeMap, HashMap, HashSet};

/// An incident's effect may show only after a session with the group, a commit and a mail have run out of time.
const AFTER_EFFECT: SignedDuration = SignedDuration::from_secs(12);
/// A mail may have arrived a moment before the fault that kept its acceptance from the sender.
const ON_THE_WIRE: SignedDuration = SignedDuration::from_secs(1);

/// A mail that came again, after an earlier one with the same id.
struct Copy<'a> {
    mail_id: EventId,
    earlier: &'a Mail,
    mail: &'a Mail,
}

/// All copies, against the sum of what the faults of the round allow.
pub(super) fn copies(index: &Index<'_>) -> Count {
    let incidents: usize = index.evidence.incidents.iter().map(|incident| incident.copies).sum();
    let twice: usize = written_again(index).values().sum();
    Count::bounded("copies of mails", incidents + twice, all(index).map(|copy| copy.line()))
}

/// A copy with no fault between it and the mail before it, of a mail that one record asks for.
pub(super) fn without_cause(index: &Index<'_>) -> Count {
    let twins = with_twins(index);
    let without =
        all(index).filter(|copy| !twins.contains(&copy.mail_id) && copy.causes(index).next().is_none());
    Count::none("copies of mails without a fault that explains them", without.map(|copy| copy.line()))
}

/// Copies that only one fault explains, beyond what that fault allows.
pub(super) fn beyond_their_cause(index: &Index<'_>) -> Count {
    let twins = with_twins(index);
    let mut by_cause: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for copy in all(index).filter(|copy| !twins.contains(&copy.mail_id)) {
        let mut causes = copy.causes(index);
        if let (Some((cause, _)), None) = (causes.next(), causes.next()) {
            by_cause.entry(cause).or_default().push(copy.line());
        }
    }
    let beyond = by_cause.into_iter().flat_map(|(cause, copies)| {
        let incident = &index.evidence.incidents[cause];
        copies.into_iter().skip(incident.copies).map(|copy| format!("{copy}, after {}", incident.what))
    });
    Count::none("copies beyond what the one fault allows that explains them", beyond)
}

fn all<'a>(index: &'a Index<'_>) -> impl Iterator<Item = Copy<'a>> {
    index.mails.iter().flat_map(|(mail_id, mails)| {
        mails.windows(2).map(|pair| Copy { mail_id: *mail_id, earlier: pair[0], mail: pair[1] })
    })
}

/// Mails that further records ask for, and how many. A process sends such a mail once, but two processes may get one each.
fn written_again(index: &Index<'_>) -> HashMap<EventId, usize> {
    let mut written: HashMap<EventId, usize> = HashMap::new();
    for event in &index.writings {
        *written.entry(event.mail_id()).or_default() += 1;
    }
    written.retain(|_, times| *times > 1);
    written.values_mut().for_each(|times| *times -= 1);
    written
}

/// Mails whose records or whose tries were written more than once. A try is, when the ack of its first writing was
/// lost; the fault that kept it may be long over when both are due.
fn with_twins(index: &Index<'_>) -> HashSet<EventId> {
    let (mut tries, mut twins) = (HashSet::new(), written_again(index).into_keys().collect::<HashSet<_>>());
    for record in &index.evidence.records {
        if let (Some(event), Some(retry)) = (&record.event, &record.retry)
            && !tries.insert((event.mail_id(), retry))
        {
            twins.insert(event.mail_id());
        }
    }
    twins
}

impl Copy<'_> {
    /// The faults in whose time one mail turned into two.
    fn causes<'a>(&self, index: &Index<'a>) -> impl Iterator<Item = (usize, &'a Incident)> {
        let (from, until) = (self.earlier.received_at - ON_THE_WIRE, self.mail.received_at + ON_THE_WIRE);
        let allows = move |incident: &Incident| {
            incident.copies > 0 && incident.from <= until && incident.until + AFTER_EFFECT >= from
        };
        index.evidence.incidents.iter().enumerate().filter(move |(_, incident)| allows(incident))
    }

    fn line(&self) -> String {
        let (earlier, later) = (self.earlier.received_at, self.mail.received_at);
        format!("{} to {}, at {earlier:.3} and {later:.3}", self.mail_id, self.mail.recipient)
    }
}
