//! Administration of topics: create, delete, add partitions, delete records.

use crate::broker::{
    Node,
    configs::{FROM_DEFAULTS, FROM_TOPIC},
    topics::Refusal,
};
use kafka_protocol::{
    ResponseError,
    messages::{
        CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
        DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
        create_partitions_response::CreatePartitionsTopicResult,
        create_topics_request::CreatableTopic,
        create_topics_response::{CreatableTopicConfigs, CreatableTopicResult},
        delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
        delete_topics_response::DeletableTopicResult,
    },
    protocol::StrBytes,
};

/// Kafka's `num.partitions`, for clients that leave the number to the broker.
const DEFAULT_PARTITIONS: i32 = 1;

pub(super) fn create_topics(node: &Node, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = match i32::try_from(topic.assignments.len()) {
            Ok(0) if topic.num_partitions == -1 => DEFAULT_PARTITIONS,
            Ok(0) => topic.num_partitions,
            assigned => assigned.unwrap_or(i32::MAX),
        };
        let result = create(node, &topic, partitions, request.validate_only);
        let name = topic.name.to_string();
        let answer = CreatableTopicResult::default().with_name(topic.name);
        match result {
            Ok(id) => answer
                .with_configs(Some(settings(node, &name)))
                .with_topic_id(id)
                .with_num_partitions(partitions)
                .with_replication_factor(1),
            Err((error, reason)) => answer
                .with_error_code(error.code())
                .with_error_message(Some(StrBytes::from_string(reason)))
                .with_num_partitions(-1)
                .with_replication_factor(-1),
        }
    });
    CreateTopicsResponse::default().with_topics(topics.collect())
}

/// The settings of a new topic. Java clients need this list.
fn settings(node: &Node, topic: &str) -> Vec<CreatableTopicConfigs> {
    let settings = node.topics.get(topic).map(|topic| topic.settings());
    let shown = settings.iter().flat_map(|settings| settings.describe()).map(|setting| {
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(setting.name))
            .with_value(Some(StrBytes::from_string(setting.value)))
            .with_config_source(if setting.is_default { FROM_DEFAULTS } else { FROM_TOPIC })
    });
    shown.collect()
}

fn create(
    node: &Node,
    topic: &CreatableTopic,
    partitions: i32,
    only_check: bool,
) -> Result<uuid::Uuid, Refusal> {
    if topic.assignments.is_empty() && ![-1, 1].contains(&topic.replication_factor) {
        let reason = format!("a replication factor of {}; there is one broker", topic.replication_factor);
        return Err((ResponseError::InvalidReplicationFactor, reason));
    }
    let given = topic
        .configs
        .iter()
        .filter_map(|setting| Some((setting.name.to_string(), setting.value.as_ref()?.to_string())));
    node.topics.create(&topic.name, partitions, given.collect(), only_check)
}

pub(super) fn delete_topics(node: &Node, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let topics = request.topic_names.into_iter().map(|name| {
        let deleted = node.topics.delete(&name);
        if deleted.is_ok()
            && let Err(error) = node.offsets.forget(|_, topic| topic == name.as_str())
        {
            log::warn!("the offsets committed for {} remain: {error}", name.as_str());
        }
        let answer = DeletableTopicResult::default().with_name(Some(name));
        match deleted {
            Ok(id) => answer.with_topic_id(id),
            Err((error, reason)) => {
                answer.with_error_code(error.code()).with_error_message(Some(StrBytes::from_string(reason)))
            }
        }
    });
    DeleteTopicsResponse::default().with_responses(topics.collect())
}

pub(super) fn create_partitions(node: &Node, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let results = request.topics.into_iter().map(|wanted| {
        let grown = match node.topics.get(&wanted.name) {
            Some(topic) => topic.grow(wanted.count, request.validate_only),
            None => Err((ResponseError::UnknownTopicOrPartition, "there is no such topic".to_owned())),
        };
        let answer = CreatePartitionsTopicResult::default().with_name(wanted.name);
        match grown {
            Ok(()) => answer,
            Err((error, reason)) => {
                answer.with_error_code(error.code()).with_error_message(Some(StrBytes::from_string(reason)))
            }
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

pub(super) fn delete_records(node: &Node, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let answer = DeleteRecordsPartitionResult::default().with_partition_index(wanted.partition_index);
            match delete_before(node, &topic.name, wanted.partition_index, wanted.offset) {
                Ok(start) => answer.with_low_watermark(start),
                Err(error) => answer.with_error_code(error.code()).with_low_watermark(-1),
            }
        });
        let partitions = partitions.collect();
        DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions)
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}

/// Returns the new first offset. The offset -1 means the end.
fn delete_before(node: &Node, topic: &str, partition: i32, offset: i64) -> Result<i64, ResponseError> {
    let (settings, partition) = node.topics.partition(topic, partition)?;
    if !settings.deletes {
        return Err(ResponseError::PolicyViolation);
    }
    let mut log = partition.log();
    let offset = if offset == -1 { log.end() } else { offset };
    if !(0..=log.end()).contains(&offset) {
        return Err(ResponseError::OffsetOutOfRange);
    }
    log.delete_before(offset).map_err(|error| {
        log::error!("the broker can't delete records of {topic}: {error}");
        ResponseError::KafkaStorageError
    })?;
    Ok(log.start())
}
