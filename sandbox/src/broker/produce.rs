//! Produce and InitProducerId: checks a batch as Kafka does, and appends it.

use crate::broker::{
    Node,
    log::{
        Appended,
        batch::{self, Header},
    },
    now_ms,
};
use kafka_protocol::{
    ResponseError,
    messages::{
        InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse, ProducerId,
        produce_response::{PartitionProduceResponse, TopicProduceResponse},
    },
};

const ACKS_ALL: i16 = -1;
const ACKS_NONE: i16 = 0;

/// Appends the batches of a request. With `acks=0` there is no answer.
pub(super) fn produce(node: &Node, request: ProduceRequest) -> Option<ProduceResponse> {
    let acks = request.acks;
    let topics = request.topic_data.into_iter().map(|topic| {
        let name = topic.name;
        let partitions = topic.partition_data.into_iter().map(|partition| {
            let batch = partition.records.map(Vec::from).unwrap_or_default();
            let answer = PartitionProduceResponse::default().with_index(partition.index);
            match append(node, &name, partition.index, batch, acks) {
                Ok((appended, start)) => answer
                    .with_base_offset(appended.offset)
                    .with_log_append_time_ms(appended.time.unwrap_or(-1))
                    .with_log_start_offset(start),
                Err(error) => {
                    answer.with_error_code(error.code()).with_base_offset(-1).with_log_append_time_ms(-1)
                }
            }
        });
        let partitions = partitions.collect();
        TopicProduceResponse::default().with_name(name).with_partition_responses(partitions)
    });
    let topics = topics.collect();
    (acks != ACKS_NONE).then(|| ProduceResponse::default().with_responses(topics))
}

fn append(
    node: &Node,
    topic: &str,
    partition: i32,
    mut batch: Vec<u8>,
    acks: i16,
) -> Result<(Appended, i64), ResponseError> {
    if !(ACKS_ALL..=1).contains(&acks) {
        return Err(ResponseError::InvalidRequiredAcks);
    }
    let (settings, partition) = node.topics.partition(topic, partition)?;
    if acks == ACKS_ALL && settings.min_insync_replicas > 1 {
        return Err(ResponseError::NotEnoughReplicas);
    }
    let header = Header::read(&batch).ok_or(ResponseError::InvalidRecord)?;
    if header.length < batch.len() {
        return Err(ResponseError::InvalidRecord);
    }
    if header.length > batch.len() || !batch::is_intact(&batch) {
        return Err(ResponseError::CorruptMessage);
    }
    if i64::try_from(batch.len()).is_ok_and(|length| length > settings.max_message_bytes) {
        return Err(ResponseError::MessageTooLarge);
    }
    if settings.append_time && header.is_stamped() {
        return Err(ResponseError::InvalidTimestamp);
    }
    if !header.is_a_producers() {
        return Err(ResponseError::InvalidRecord);
    }
    if !header.is_compressed() {
        let records = batch::records(&header, &batch).ok_or(ResponseError::InvalidRecord)?;
        if settings.compacts && records.iter().any(|record| record.key.is_none()) {
            return Err(ResponseError::InvalidRecord);
        }
    }
    let mut log = partition.log();
    let appended = log.append(now_ms(), &settings, header, &mut batch)?;
    Ok((appended, log.start()))
}

/// Gives an idempotent producer a random id, which no other producer has.
pub(super) fn init_producer_id(request: &InitProducerIdRequest) -> InitProducerIdResponse {
    if request.transactional_id.is_some() {
        // Clients give up only at this error.
        let code = ResponseError::TransactionalIdAuthorizationFailed.code();
        return InitProducerIdResponse::default()
            .with_error_code(code)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
    }
    InitProducerIdResponse::default().with_producer_id(ProducerId(rand::random_range(1..i64::MAX)))
}
