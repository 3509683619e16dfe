//! Duplicate mails and their causes.
//!
//! At least once allows duplicates, but only with a cause. Either a fault killed, froze or cut something between a mail and
//! its commit. Or two records ask for the mail, because two replicas took its place at once or a producer wrote a record
//! twice. Each cause allows a stated number.

use super::{Count, index::Index};
use crate::evidence::{Incident, Mail};
use contract::event::EventId;
use jiff::SignedDuration;
use std::collections::{BTreeMap, HashMap, HashSet};

/// An incident may take effect only after the time-outs of a group session, a commit and a mail.
const AFTER_EFFECT: SignedDuration = SignedDuration::from_secs(12);
/// A mail may have arrived a moment before the fault that kept its acceptance from the sender.
const ON_THE_WIRE: SignedDuration = SignedDuration::from_secs(1);

/// A duplicate, and the mail with the same id before it.
struct Copy<'a> {
    mail_id: EventId,
    earlier: &'a Mail,
    mail: &'a Mail,
}

/// All duplicates, against the number that the faults and repeated records allow.
pub(super) fn duplicates(index: &Index<'_>) -> Count {
    let incidents: usize = index.evidence.incidents.iter().map(|incident| incident.duplicates).sum();
    let twice: usize = written_again(index).values().sum();
    Count::bounded("duplicates of mails", incidents + twice, all(index).map(|copy| copy.line()))
}

/// Duplicates of a mail that one record asks for, with no fault between the two mails.
pub(super) fn without_cause(index: &Index<'_>) -> Count {
    let twins = with_twins(index);
    let without =
        all(index).filter(|copy| !twins.contains(&copy.mail_id) && copy.causes(index).next().is_none());
    Count::none("duplicates of mails without a fault that explains them", without.map(|copy| copy.line()))
}

/// Duplicates that exactly one fault explains, beyond the number that this fault allows.
pub(super) fn beyond_their_cause(index: &Index<'_>) -> Count {
    let twins = with_twins(index);
    let mut by_cause: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for copy in all(index).filter(|copy| !twins.contains(&copy.mail_id)) {
        let mut causes = copy.causes(index);
        if let (Some((cause, _)), None) = (causes.next(), causes.next()) {
            by_cause.entry(cause).or_default().push(copy.line());
        }
    }
    let beyond = by_cause.into_iter().flat_map(|(cause, duplicates)| {
        let incident = &index.evidence.incidents[cause];
        duplicates
            .into_iter()
            .skip(incident.duplicates)
            .map(|copy| format!("{copy}, after {}", incident.what))
    });
    Count::none("duplicates beyond what the one fault allows that explains them", beyond)
}

fn all<'a>(index: &'a Index<'_>) -> impl Iterator<Item = Copy<'a>> {
    index.mails.iter().flat_map(|(mail_id, mails)| {
        mails.windows(2).map(|pair| Copy { mail_id: *mail_id, earlier: pair[0], mail: pair[1] })
    })
}

/// Mails that more than one record asks for, with the number of further records. One process sends such a mail once, but two
/// processes may get one record each.
fn written_again(index: &Index<'_>) -> HashMap<EventId, usize> {
    let mut written: HashMap<EventId, usize> = HashMap::new();
    for event in &index.writings {
        *written.entry(event.mail_id()).or_default() += 1;
    }
    written.retain(|_, times| *times > 1);
    written.values_mut().for_each(|times| *times -= 1);
    written
}

/// Mails whose records or retries were written more than once. A retry is written twice if the ack of the first is lost.
/// That fault may be long over when both are due.
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
    /// The faults that may have duplicated this mail, by their times.
    fn causes<'a>(&self, index: &Index<'a>) -> impl Iterator<Item = (usize, &'a Incident)> {
        let (from, until) = (self.earlier.received_at - ON_THE_WIRE, self.mail.received_at + ON_THE_WIRE);
        let allows = move |incident: &Incident| {
            incident.duplicates > 0 && incident.from <= until && incident.until + AFTER_EFFECT >= from
        };
        index.evidence.incidents.iter().enumerate().filter(move |(_, incident)| allows(incident))
    }

    fn line(&self) -> String {
        let (earlier, later) = (self.earlier.received_at, self.mail.received_at);
        format!("{} to {}, at {earlier:.3} and {later:.3}", self.mail_id, self.mail.recipient)
    }
}
