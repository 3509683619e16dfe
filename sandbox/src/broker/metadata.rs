//! What there is, and where: always here. Topics are not created by asking for them, as on the project's Kafka.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeClusterResponse, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest,
    MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::broker::topics::Topic;
use crate::broker::{CLUSTER, HOST, Node};

const NODE_ID: BrokerId = BrokerId(1);
/// The key type of a consumer group.
const GROUP: i8 = 0;

pub(super) fn metadata(node: &Node, request: MetadataRequest, version: i16) -> MetadataResponse {
    let all = |_: &Vec<MetadataRequestTopic>| version > 0;
    let topics = match request.topics.filter(|topics| !topics.is_empty() || all(topics)) {
        Some(wanted) => wanted.iter().map(|topic| asked_for(node, topic)).collect(),
        None => node.topics.all().iter().map(|(name, topic)| describe(name, topic)).collect(),
    };
    let broker = MetadataResponseBroker::default()
        .with_node_id(NODE_ID)
        .with_host(StrBytes::from_static_str(HOST))
        .with_port(node.port.into());
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(StrBytes::from_static_str(CLUSTER)))
        .with_controller_id(NODE_ID)
        .with_topics(topics)
}

fn asked_for(node: &Node, wanted: &MetadataRequestTopic) -> MetadataResponseTopic {
    let all = || node.topics.all().into_iter();
    let (found, error) = match &wanted.name {
        Some(name) => (
            node.topics.get(name).map(|topic| (name.to_string(), topic)),
            ResponseError::UnknownTopicOrPartition,
        ),
        None => (all().find(|(_, topic)| topic.id == wanted.topic_id), ResponseError::UnknownTopicId),
    };
    match found {
        Some((name, topic)) => describe(&name, &topic),
        None => MetadataResponseTopic::default()
            .with_error_code(error.code())
            .with_name(wanted.name.clone())
            .with_topic_id(wanted.topic_id),
    }
}

fn describe(name: &str, topic: &Topic) -> MetadataResponseTopic {
    let partitions = (0..).zip(topic.partitions()).map(|(index, _)| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(NODE_ID)
            .with_leader_epoch(0)
            .with_replica_nodes(vec![NODE_ID])
            .with_isr_nodes(vec![NODE_ID])
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
}

pub(super) fn describe_cluster(node: &Node) -> DescribeClusterResponse {
    let broker = DescribeClusterBroker::default()
        .with_broker_id(NODE_ID)
        .with_host(StrBytes::from_static_str(HOST))
        .with_port(node.port.into());
    DescribeClusterResponse::default()
        .with_cluster_id(StrBytes::from_static_str(CLUSTER))
        .with_controller_id(NODE_ID)
        .with_brokers(vec![broker])
}

/// The coordinator of any group is here; there is none of transactions.
pub(super) fn find_coordinator(node: &Node, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let (host, port) = (StrBytes::from_static_str(HOST), i32::from(node.port));
    if request.key_type != GROUP {
        // Clients give up at this error, and only at this one.
        let code = ResponseError::TransactionalIdAuthorizationFailed.code();
        let refused =
            |key| Coordinator::default().with_key(key).with_node_id(BrokerId(-1)).with_error_code(code);
        return FindCoordinatorResponse::default()
            .with_error_code(code)
            .with_error_message(Some(StrBytes::from_static_str("this broker has no transactions")))
            .with_node_id(BrokerId(-1))
            .with_coordinators(request.coordinator_keys.into_iter().map(refused).collect());
    }
    let here = |key| {
        Coordinator::default().with_key(key).with_node_id(NODE_ID).with_host(host.clone()).with_port(port)
    };
    let coordinators = request.coordinator_keys.into_iter().map(here).collect();
    FindCoordinatorResponse::default()
        .with_node_id(NODE_ID)
        .with_host(host.clone())
        .with_port(port)
        .with_coordinators(coordinators)
}
