use super::*;

const SESSION: Duration = Duration::from_secs(6);
const REBALANCE: Duration = Duration::from_secs(60);

fn request(member_id: &str, subscription: &'static str) -> Join {
    Join {
        member_id: member_id.to_owned(),
        instance: None,
        client: "client".to_owned(),
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), Bytes::from_static(subscription.as_bytes()))],
    }
}

/// A stable group with two members, the leader first.
fn stable(now: Instant) -> (Group, String, String) {
    let mut group = Group::default();
    let first = group.join(now, request("", "a")).try_recv().unwrap().unwrap().member_id;
    let mut second = group.join(now, request("", "b"));
    assert!(second.try_recv().is_err(), "waits for the first member");
    let mut again = group.join(now, request(&first, "a"));
    let (leader, second) = (again.try_recv().unwrap().unwrap(), second.try_recv().unwrap().unwrap());
    assert_eq!((leader.members.len(), second.members.len()), (2, 0));
    assert_eq!((&leader.leader, leader.generation), (&first, second.generation));

    let mut waiting = group.sync(now, &second.member_id, leader.generation, []);
    assert!(waiting.try_recv().is_err(), "waits for the leader");
    let shares = [(first.clone(), Bytes::from("one")), (second.member_id.clone(), Bytes::from("two"))];
    assert_eq!(
        group.sync(now, &first, leader.generation, shares).try_recv().unwrap(),
        Ok(Bytes::from("one"))
    );
    assert_eq!(waiting.try_recv().unwrap(), Ok(Bytes::from("two")));
    (group, first, second.member_id)
}

#[test]
fn two_members_get_what_the_leader_assigned() {
    let (mut group, first, second) = stable(Instant::now());
    assert_eq!(group.heartbeat(Instant::now(), &first, group.generation), Ok(()));
    assert_eq!(group.heartbeat(Instant::now(), &second, group.generation), Ok(()));
}

#[test]
fn a_member_that_leaves_makes_the_other_join_again() {
    let now = Instant::now();
    let (mut group, first, second) = stable(now);
    assert_eq!(group.leave(now, &first, None), Ok(()));
    assert_eq!(group.heartbeat(now, &second, group.generation), Err(ResponseError::RebalanceInProgress));
    let alone = group.join(now, request(&second, "b")).try_recv().unwrap().unwrap();
    assert_eq!((&alone.leader, alone.members.len()), (&second, 1));
}

#[test]
fn a_silent_member_is_removed_after_its_session_timeout() {
    let now = Instant::now();
    let (mut group, first, second) = stable(now);
    let later = now + SESSION + Duration::from_millis(1);
    assert_eq!(group.heartbeat(later, &second, group.generation), Ok(()));
    group.expire(later);
    assert_eq!(group.heartbeat(later, &first, group.generation), Err(ResponseError::UnknownMemberId));
    assert_eq!(group.heartbeat(later, &second, group.generation), Err(ResponseError::RebalanceInProgress));
}

#[test]
fn a_rebalance_does_not_wait_longer_than_its_timeout() {
    let now = Instant::now();
    let (mut group, first, second) = stable(now);
    let mut rejoined = group.join(now, request(&second, "changed"));
    let late = now + REBALANCE;
    assert_eq!(group.heartbeat(late, &first, group.generation), Err(ResponseError::RebalanceInProgress));
    group.expire(late);
    assert_eq!(rejoined.try_recv().unwrap().unwrap().leader, second);
}

#[test]
fn a_static_member_that_restarts_takes_its_own_place() {
    let now = Instant::now();
    let mut group = Group::default();
    let join = Join { instance: Some("one".to_owned()), ..request("", "a") };
    let before = group.join(now, join.clone()).try_recv().unwrap().unwrap();
    let after = group.join(now, join).try_recv().unwrap().unwrap();
    assert_eq!(after.members.len(), 1);
    assert_eq!(
        group.heartbeat(now, &before.member_id, after.generation),
        Err(ResponseError::UnknownMemberId)
    );
}

#[test]
fn offsets_of_another_generation_or_a_stranger_are_refused() {
    let (group, first, _) = stable(Instant::now());
    assert_eq!(group.may_commit(&first, group.generation), Ok(()));
    assert_eq!(group.may_commit(&first, group.generation - 1), Err(ResponseError::IllegalGeneration));
    assert_eq!(group.may_commit("stranger", group.generation), Err(ResponseError::UnknownMemberId));
    assert_eq!(group.may_commit("", -1), Err(ResponseError::UnknownMemberId));
    assert_eq!(Group::default().may_commit("", -1), Ok(()));
}

#[test]
fn members_without_a_common_protocol_are_refused() {
    let (mut group, ..) = stable(Instant::now());
    let mut stranger = request("", "c");
    "sticky".clone_into(&mut stranger.protocols[0].0);
    let refused = group.join(Instant::now(), stranger).try_recv().unwrap();
    assert_eq!(refused.unwrap_err(), ResponseError::InconsistentGroupProtocol);
}
