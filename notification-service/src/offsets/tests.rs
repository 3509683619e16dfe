use super::*;
use proptest::prelude::*;

const PARTITION: Partition = Partition { topic: Topic::Created, number: 3 };

/// When the record at this offset was written.
fn at(offset: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + offset).unwrap()
}

fn offsets_with(count: i64) -> (Offsets, Vec<Position>) {
    let mut offsets = Offsets::default();
    offsets.assign([PARTITION]);
    let positions = (0..count).map(|offset| offsets.take(PARTITION, offset, at(offset)).unwrap()).collect();
    (offsets, positions)
}

fn prefix(offsets: &mut Offsets) -> Option<i64> {
    offsets.prefixes().first().map(|position| position.offset)
}

#[test]
fn offsets_behind_a_gap_are_not_committed() {
    let (mut offsets, records) = offsets_with(4);
    for index in [1, 2] {
        assert!(offsets.finish(records[index]));
    }
    assert_eq!((prefix(&mut offsets), offsets.committable(), offsets.done()), (None, 0, 2));
    assert_eq!(offsets.blockers().collect::<Vec<_>>(), [records[0]]);
    offsets.finish(records[0]);
    assert_eq!(offsets.committable(), 3);
    assert_eq!(prefix(&mut offsets), Some(2));
    assert_eq!(
        (prefix(&mut offsets), offsets.committable()),
        (None, 0),
        "what was handed out waits for its answer"
    );
}

#[test]
fn a_record_holds_up_only_what_finished_behind_it() {
    let (mut offsets, records) = offsets_with(3);
    assert!(offsets.pass(records[2]));
    assert_eq!([0, 1].map(|index| offsets.holds_up_done(records[index])), [false, false]);
    assert_eq!(offsets.blockers().count(), 0);
    assert!(offsets.finish(records[1]));
    assert_eq!([0, 1, 2].map(|index| offsets.holds_up_done(records[index])), [true, false, false]);
    assert_eq!(offsets.blockers().collect::<Vec<_>>(), [records[0]]);
}

#[test]
fn finished_records_count_until_their_commit_is_confirmed() {
    let (mut offsets, records) = offsets_with(3);
    offsets.finish(records[0]);
    let stored = offsets.prefixes()[0];
    offsets.finish(records[1]);
    assert_eq!(offsets.done(), 2);
    offsets.committed(stored);
    assert_eq!((offsets.done(), offsets.committable()), (1, 1));
    assert_eq!(prefix(&mut offsets), Some(1));
}

#[test]
fn a_record_that_nothing_was_done_for_is_committed_and_does_not_count() {
    let (mut offsets, records) = offsets_with(3);
    for record in &records[1..] {
        assert!(offsets.pass(*record) && !offsets.finish(*record));
    }
    assert_eq!(offsets.done(), 0);
    assert!(offsets.finish(records[0]));
    assert_eq!((offsets.done(), prefix(&mut offsets)), (1, Some(2)));
    offsets.committed(records[2]);
    assert_eq!((offsets.done(), offsets.revoke()), (0, 0));
}

#[test]
fn a_failed_commit_is_handed_out_again() {
    let (mut offsets, records) = offsets_with(1);
    offsets.finish(records[0]);
    assert_eq!(prefix(&mut offsets), Some(0));
    offsets.commit_failed();
    assert_eq!(prefix(&mut offsets), Some(0));
}

#[test]
fn what_finishes_late_can_not_touch_a_new_assignment() {
    let (mut offsets, old) = offsets_with(2);
    offsets.finish(old[1]);
    assert_eq!(offsets.revoke(), 1);
    assert_eq!(offsets.done(), 0);
    offsets.assign([PARTITION]);
    let new = offsets.take(PARTITION, 0, at(0)).unwrap();
    assert!(!offsets.finish(old[0]) && !offsets.is_current(old[0]));
    offsets.committed(old[1]);
    assert_eq!((prefix(&mut offsets), offsets.done()), (None, 0));
    assert!(offsets.finish(new));
    assert_eq!(prefix(&mut offsets), Some(0));
}

#[test]
fn a_record_is_taken_once_and_only_while_its_partition_is_assigned() {
    let (mut offsets, _) = offsets_with(2);
    assert!(offsets.take(PARTITION, 1, at(1)).is_none());
    assert!(offsets.take(Partition { number: 4, ..PARTITION }, 0, at(0)).is_none());
}

#[test]
fn the_oldest_record_that_waits_is_the_first_unfinished_one_of_all_partitions() {
    let mut offsets = Offsets::default();
    let other = Partition { number: 4, ..PARTITION };
    offsets.assign([PARTITION, other]);
    let records = [0, 1, 2].map(|offset| offsets.take(PARTITION, offset, at(offset)).unwrap());
    let late = offsets.take(other, 0, at(1)).unwrap();
    assert_eq!(offsets.waiting_since(), Some(at(0)));
    offsets.finish(records[1]);
    assert_eq!(offsets.waiting_since(), Some(at(0)));
    offsets.finish(records[0]);
    assert_eq!(offsets.waiting_since(), Some(at(1)), "of the other partition");
    offsets.finish(late);
    assert_eq!(offsets.waiting_since(), Some(at(2)));
    offsets.finish(records[2]);
    assert_eq!(offsets.waiting_since(), None);
}

proptest! {
    #[test]
    fn any_order_of_completion_commits_exactly_the_contiguous_prefix(
        order in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle(),
        holes in proptest::collection::vec(1..5_i64, 40),
        commits in proptest::collection::vec(any::<Option<bool>>(), 40),
    ) {
        let mut offsets = Offsets::default();
        offsets.assign([PARTITION]);
        let mut next = 0;
        let records: Vec<_> = holes.iter().map(|hole| {
            next += hole;
            offsets.take(PARTITION, next, at(next)).unwrap()
        }).collect();
        let mut done = [false; 40];
        let mut committed = 0;
        for (index, commit) in order.into_iter().zip(commits) {
            prop_assert!(offsets.finish(records[index]));
            prop_assert!(!offsets.finish(records[index]));
            done[index] = true;
            let contiguous = done.iter().take_while(|done| **done).count();
            if let Some(succeeds) = commit {
                let handed_out = offsets.prefixes();
                if contiguous > committed {
                    prop_assert_eq!(&handed_out, &[records[contiguous - 1]]);
                } else {
                    prop_assert!(handed_out.is_empty());
                }
                if succeeds {
                    handed_out.into_iter().for_each(|position| offsets.committed(position));
                    committed = contiguous;
                } else {
                    offsets.commit_failed();
                }
            }
            prop_assert_eq!(offsets.done(), done.iter().filter(|done| **done).count() - committed);
        }
    }
}
