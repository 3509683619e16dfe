//! Every answer can be encoded in every advertised version: some versions have no room for fields that others need.

use super::*;
use kafka_protocol::{
    messages::{
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        describe_configs_request::DescribeConfigsResource,
        fetch_request::{FetchPartition, FetchTopic},
        join_group_request::JoinGroupRequestProtocol,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch_request::OffsetFetchRequestGroup,
        produce_request::{PartitionProduceData, TopicProduceData},
        *,
    },
    protocol::StrBytes,
};

/// Encodes an answer in every version of this request.
fn in_all_versions<T: Encodable + HeaderVersion>(key: ApiKey, answer: impl Fn(i16) -> T) {
    let (_, least, greatest) = *SUPPORTED.iter().find(|(known, ..)| *known == key).unwrap();
    for version in least..=greatest {
        let call = Call { version, correlation: 1, client: String::new(), body: Bytes::new() };
        let written = call.reply(&answer(version));
        assert!(written.is_ok(), "{key:?} {version}: {:?}", written.unwrap_err());
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn named(topic: &str) -> TopicName {
    TopicName(text(topic))
}

fn group() -> GroupId {
    GroupId(text("group"))
}

/// A broker with a topic, a group with a member, and a committed offset.
async fn node(folder: &tempfile::TempDir) -> Arc<Node> {
    let node = Arc::new(crate::broker::open(folder.path(), 9092).unwrap());
    node.topics.create("topic", 1, Default::default(), false).unwrap();
    consumers::join(&node, join(), "client".to_owned()).await;
    node.offsets.commit("group", [(("topic".to_owned(), 0), Default::default())].into()).unwrap();
    node
}

fn join() -> JoinGroupRequest {
    JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(6_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![JoinGroupRequestProtocol::default().with_name(text("range"))])
}

#[tokio::test]
async fn answers_about_topics() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder).await;
    in_all_versions(ApiKey::ApiVersions, |_| api_versions());
    in_all_versions(ApiKey::Metadata, |version| {
        metadata::metadata(&node, MetadataRequest::default().with_topics(None), version)
    });
    in_all_versions(ApiKey::DescribeCluster, |_| metadata::describe_cluster(&node));
    let setting = CreatableTopicConfig::default().with_name(text("retention.ms")).with_value(Some(text("1")));
    let new = |name: &str, partitions| {
        let topic = CreatableTopic::default().with_name(named(name)).with_num_partitions(partitions);
        topic.with_replication_factor(1).with_configs(vec![setting.clone()])
    };
    in_all_versions(ApiKey::CreateTopics, |version| {
        let topics = vec![new(&format!("new-{version}"), 1), new("none", 0)];
        topic_admin::create_topics(&node, CreateTopicsRequest::default().with_topics(topics))
    });
    in_all_versions(ApiKey::DeleteTopics, |version| {
        let names = vec![named(&format!("new-{}", version + 1)), named("none")];
        topic_admin::delete_topics(&node, DeleteTopicsRequest::default().with_topic_names(names))
    });
    let resource = DescribeConfigsResource::default().with_resource_type(2).with_resource_name(text("topic"));
    in_all_versions(ApiKey::DescribeConfigs, |_| {
        let resources = vec![resource.clone().with_configuration_keys(None)];
        configs::describe_configs(&node, DescribeConfigsRequest::default().with_resources(resources))
    });
}

#[tokio::test]
async fn answers_about_records() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder).await;
    in_all_versions(ApiKey::InitProducerId, |_| {
        produce::init_producer_id(&InitProducerIdRequest::default().with_transactional_id(None))
    });
    in_all_versions(ApiKey::Produce, |_| {
        let data = TopicProduceData::default().with_name(named("topic"));
        let data = data.with_partition_data(vec![PartitionProduceData::default()]);
        produce::produce(&node, ProduceRequest::default().with_acks(1).with_topic_data(vec![data])).unwrap()
    });
    for partition in [0, 7] {
        let wanted = FetchTopic::default().with_topic(named("topic"));
        let wanted = wanted.with_partitions(vec![FetchPartition::default().with_partition(partition)]);
        let fetched = fetch::fetch(&node, FetchRequest::default().with_topics(vec![wanted])).await;
        in_all_versions(ApiKey::Fetch, |_| fetched.clone());
        in_all_versions(ApiKey::ListOffsets, |version| {
            let asked = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(-1);
            let topic = ListOffsetsTopic::default().with_name(named("topic")).with_partitions(vec![asked]);
            list_offsets::list_offsets(&node, ListOffsetsRequest::default().with_topics(vec![topic]), version)
        });
    }
}

#[tokio::test]
async fn answers_about_groups() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder).await;
    for key_type in [0, 1] {
        in_all_versions(ApiKey::FindCoordinator, |version| {
            let request = FindCoordinatorRequest::default().with_key(text("group")).with_key_type(key_type);
            let request = request.with_coordinator_keys(vec![text("group")]);
            metadata::find_coordinator(&node, request, version)
        });
    }
    let alone = join().with_group_id(GroupId(text("another")));
    let joined = consumers::join(&node, alone, String::new()).await;
    in_all_versions(ApiKey::JoinGroup, |_| joined.clone());
    let refused = consumers::join(&node, JoinGroupRequest::default(), String::new()).await;
    in_all_versions(ApiKey::JoinGroup, |_| refused.clone());
    let synced = consumers::sync(&node, SyncGroupRequest::default().with_group_id(group())).await;
    in_all_versions(ApiKey::SyncGroup, |_| synced.clone());
    in_all_versions(ApiKey::Heartbeat, |_| consumers::heartbeat(&node, &HeartbeatRequest::default()));
    in_all_versions(ApiKey::OffsetCommit, |_| {
        let partition = OffsetCommitRequestPartition::default();
        let topic = OffsetCommitRequestTopic::default().with_name(named("topic"));
        let topics = vec![topic.with_partitions(vec![partition])];
        consumers::commit(&node, OffsetCommitRequest::default().with_group_id(group()).with_topics(topics))
    });
    in_all_versions(ApiKey::OffsetFetch, |version| {
        let request = OffsetFetchRequest::default().with_group_id(group()).with_topics(None);
        let groups = vec![OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(None)];
        consumers::committed(&node, request.with_groups(groups), version)
    });
    in_all_versions(ApiKey::ListGroups, |_| group_admin::list_groups(&node, &ListGroupsRequest::default()));
    in_all_versions(ApiKey::DescribeGroups, |_| {
        let groups = vec![group(), GroupId(text("unknown"))];
        group_admin::describe_groups(&node, DescribeGroupsRequest::default().with_groups(groups))
    });
    in_all_versions(ApiKey::LeaveGroup, |version| {
        let request = LeaveGroupRequest::default().with_group_id(group());
        let member = leave_group_request::MemberIdentity::default().with_member_id(text("unknown"));
        let members = if version < 3 { Vec::new() } else { vec![member] };
        consumers::leave(&node, request.with_members(members))
    });
    in_all_versions(ApiKey::DeleteGroups, |_| {
        group_admin::delete_groups(&node, DeleteGroupsRequest::default().with_groups_names(vec![group()]))
    });
}
