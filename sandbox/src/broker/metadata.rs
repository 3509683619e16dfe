//! Metadata and FindCoordinator: everything is on this node. A request for an unknown topic does not create it, as on the
//! project's Kafka.

use crate::broker::{CLUSTER, HOST, Node, topics::Topic};
use kafka_protocol::{
    ResponseError,
    messages::{
        BrokerId, DescribeClusterResponse, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest,
        MetadataResponse, TopicName,
        describe_cluster_response::DescribeClusterBroker,
        find_coordinator_response::Coordinator,
        metadata_request::MetadataRequestTopic,
        metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
    },
    protocol::StrBytes,
};

const NODE_ID: BrokerId = BrokerId(1);
/// The key type of a consumer group.
const GROUP: i8 = 0;
/// The first version of FindCoordinator with several keys.
const SEVERAL_KEYS: i16 = 4;

pub(super) fn metadata(node: &Node, request: MetadataRequest, version: i16) -> MetadataResponse {
    // In the first version an empty list means all topics.
    let topics = match request.topics.filter(|topics| version > 0 || !topics.is_empty()) {
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

/// This node coordinates every group. Transactions have no coordinator.
pub(super) fn find_coordinator(
    node: &Node,
    request: FindCoordinatorRequest,
    version: i16,
) -> FindCoordinatorResponse {
    let host = StrBytes::from_static_str(HOST);
    let here = Coordinator::default().with_node_id(NODE_ID).with_host(host).with_port(node.port.into());
    let found = match request.key_type {
        GROUP => here,
        // Clients give up only at this error.
        _ => Coordinator::default()
            .with_node_id(BrokerId(-1))
            .with_error_code(ResponseError::TransactionalIdAuthorizationFailed.code())
            .with_error_message(Some(StrBytes::from_static_str("this broker has no transactions"))),
    };
    if version >= SEVERAL_KEYS {
        let keys = request.coordinator_keys.into_iter();
        let found = keys.map(|key| found.clone().with_key(key));
        return FindCoordinatorResponse::default().with_coordinators(found.collect());
    }
    FindCoordinatorResponse::default()
        .with_error_code(found.error_code)
        .with_error_message(found.error_message)
        .with_node_id(found.node_id)
        .with_host(found.host)
        .with_port(found.port)
}
