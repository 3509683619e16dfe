//! Administration of consumer groups: list, describe, delete.

use crate::broker::Node;
use kafka_protocol::{
    ResponseError,
    messages::{
        DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
        ListGroupsRequest, ListGroupsResponse,
        delete_groups_response::DeletableGroupResult,
        describe_groups_response::{DescribedGroup, DescribedGroupMember},
        list_groups_response::ListedGroup,
    },
    protocol::StrBytes,
};
use std::collections::BTreeSet;

/// The type of all groups here, as opposed to Kafka's newer protocols.
const CLASSIC: StrBytes = StrBytes::from_static_str("classic");
const CLIENT_HOST: &str = "/127.0.0.1";

pub(super) fn list_groups(node: &Node, request: &ListGroupsRequest) -> ListGroupsResponse {
    let allows = |filter: &[StrBytes], value: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let groups = all(node).into_iter().map(|name| {
        let (state, protocol_type) = node.groups.with(&name, |group| (group.state(), group.protocol_type()));
        ListedGroup::default()
            .with_group_id(GroupId(name.into()))
            .with_protocol_type(protocol_type.into())
            .with_group_state(StrBytes::from_static_str(state))
            .with_group_type(CLASSIC)
    });
    let wanted = groups.filter(|group| {
        allows(&request.states_filter, &group.group_state) && allows(&request.types_filter, &CLASSIC)
    });
    ListGroupsResponse::default().with_groups(wanted.collect())
}

pub(super) fn describe_groups(node: &Node, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let known = all(node);
    let groups = request.groups.into_iter().map(|id| {
        if !known.contains(id.as_str()) {
            return DescribedGroup::default()
                .with_group_id(id)
                .with_group_state(StrBytes::from_static_str("Dead"));
        }
        let described = node.groups.with(&id, |group| {
            let members = group.describe().map(|(id, join, subscription, assignment)| {
                DescribedGroupMember::default()
                    .with_member_id(id.to_owned().into())
                    .with_group_instance_id(join.instance.clone().map(StrBytes::from))
                    .with_client_id(join.client.clone().into())
                    .with_client_host(StrBytes::from_static_str(CLIENT_HOST))
                    .with_member_metadata(subscription)
                    .with_member_assignment(assignment)
            });
            DescribedGroup::default()
                .with_group_state(StrBytes::from_static_str(group.state()))
                .with_protocol_type(group.protocol_type().into())
                .with_protocol_data(group.protocol().to_owned().into())
                .with_members(members.collect())
        });
        described.with_group_id(id)
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

pub(super) fn delete_groups(node: &Node, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let results = request.groups_names.into_iter().map(|id| {
        let deleted = delete(node, &id);
        let code = deleted.map_or_else(|error| error.code(), |()| 0);
        DeletableGroupResult::default().with_group_id(id).with_error_code(code)
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}

fn delete(node: &Node, name: &str) -> Result<(), ResponseError> {
    if !all(node).contains(name) {
        return Err(ResponseError::GroupIdNotFound);
    }
    if !node.groups.with(name, |group| group.is_empty()) {
        return Err(ResponseError::NonEmptyGroup);
    }
    node.offsets.forget(|group, _| group == name).map_err(|error| {
        log::error!("the broker can't delete the offsets of a group: {error}");
        ResponseError::KafkaStorageError
    })
}

/// Groups with members or offsets.
fn all(node: &Node) -> BTreeSet<String> {
    let with_members = node.groups.names().into_iter();
    let with_members = with_members.filter(|name| node.groups.with(name, |group| !group.is_empty()));
    with_members.chain(node.offsets.groups()).collect()
}
