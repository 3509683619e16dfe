//! From a frame to its answer: the supported requests, and the function that answers each.
//!
//! Only the requests in this list are advertised. Clients do without the others or report them as unsupported. A request's
//! versions end before those that name topics by id alone, or that need a type of group that does not exist here.

use crate::broker::{
    Node, configs, consumers, fetch, group_admin, lengths::Checked, list_offsets, metadata, produce,
    topic_admin,
};
use anyhow::{Context as _, bail};
use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, ApiVersionsResponse, RequestHeader, ResponseHeader, api_versions_response::ApiVersion,
    },
    protocol::{Decodable, Encodable, HeaderVersion},
};
use std::sync::Arc;

/// Key, lowest and highest version.
const SUPPORTED: [(ApiKey, i16, i16); 24] = [
    (ApiKey::Produce, 3, 9),
    (ApiKey::Fetch, 4, 12),
    (ApiKey::ListOffsets, 1, 8),
    (ApiKey::Metadata, 0, 12),
    (ApiKey::OffsetCommit, 2, 8),
    (ApiKey::OffsetFetch, 1, 8),
    (ApiKey::FindCoordinator, 0, 4),
    (ApiKey::JoinGroup, 0, 9),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::LeaveGroup, 0, 5),
    (ApiKey::SyncGroup, 0, 5),
    (ApiKey::DescribeGroups, 0, 5),
    (ApiKey::ListGroups, 0, 5),
    (ApiKey::ApiVersions, 0, 3),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DeleteTopics, 1, 5),
    (ApiKey::DeleteRecords, 0, 2),
    (ApiKey::InitProducerId, 0, 4),
    (ApiKey::OffsetForLeaderEpoch, 2, 4),
    (ApiKey::DescribeConfigs, 1, 4),
    (ApiKey::CreatePartitions, 0, 3),
    (ApiKey::DeleteGroups, 0, 2),
    (ApiKey::IncrementalAlterConfigs, 0, 1),
    (ApiKey::DescribeCluster, 0, 1),
];

/// A request with a parsed header.
struct Call {
    version: i16,
    correlation: i32,
    client: String,
    body: Bytes,
}

impl Call {
    fn read<T: Decodable>(&self) -> anyhow::Result<T> {
        T::decode(&mut Checked::new(self.body.clone()), self.version).context("a malformed request")?;
        T::decode(&mut self.body.clone(), self.version).context("a malformed request")
    }

    fn reply<T: Encodable + HeaderVersion>(&self, response: &T) -> anyhow::Result<Option<BytesMut>> {
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        let header = ResponseHeader::default().with_correlation_id(self.correlation);
        header.encode(&mut frame, T::header_version(self.version))?;
        response.encode(&mut frame, self.version)?;
        let length = i32::try_from(frame.len() - 4).context("an answer of more than 2 GiB")?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(Some(frame))
    }
}

/// Returns the answer's frame; `None` if the client wants no answer.
///
/// # Errors
/// The request is malformed or not advertised, so the connection can't continue.
pub(super) async fn answer(node: &Arc<Node>, mut frame: Bytes) -> anyhow::Result<Option<BytesMut>> {
    let number = i16::from_be_bytes([frame[0], frame[1]]);
    let version = i16::from_be_bytes([frame[2], frame[3]]);
    let correlation = i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]);
    let supported = SUPPORTED.iter().find(|(key, ..)| *key as i16 == number);
    let Some(&(key, least, greatest)) = supported else { bail!("a request with the unknown key {number}") };
    if !(least..=greatest).contains(&version) {
        // The only request that a client sends before it knows the versions.
        if key == ApiKey::ApiVersions {
            let call = Call { version: 0, correlation, client: String::new(), body: Bytes::new() };
            return call.reply(&api_versions().with_error_code(ResponseError::UnsupportedVersion.code()));
        }
        bail!("a {key:?} request of version {version}");
    }
    let header = RequestHeader::decode(&mut frame, key.request_header_version(version))
        .context("a malformed header")?;
    let client = header.client_id.map(|id| id.to_string()).unwrap_or_default();
    let call = Call { version, correlation, client, body: frame };
    match key {
        ApiKey::Produce => match produce::produce(node, call.read()?) {
            Some(response) => call.reply(&response),
            None => Ok(None),
        },
        ApiKey::Fetch => call.reply(&fetch::fetch(node, call.read()?).await),
        ApiKey::ListOffsets => call.reply(&list_offsets::list_offsets(node, call.read()?, version)),
        ApiKey::OffsetForLeaderEpoch => call.reply(&list_offsets::end_of_epoch(node, call.read()?)),
        ApiKey::InitProducerId => call.reply(&produce::init_producer_id(&call.read()?)),
        ApiKey::Metadata => call.reply(&metadata::metadata(node, call.read()?, version)),
        ApiKey::DescribeCluster => call.reply(&metadata::describe_cluster(node)),
        ApiKey::FindCoordinator => call.reply(&metadata::find_coordinator(node, call.read()?, version)),
        ApiKey::ApiVersions => call.reply(&api_versions()),
        ApiKey::CreateTopics => call.reply(&topic_admin::create_topics(node, call.read()?)),
        ApiKey::DeleteTopics => call.reply(&topic_admin::delete_topics(node, call.read()?)),
        ApiKey::CreatePartitions => call.reply(&topic_admin::create_partitions(node, call.read()?)),
        ApiKey::DeleteRecords => call.reply(&topic_admin::delete_records(node, call.read()?)),
        ApiKey::DescribeConfigs => call.reply(&configs::describe_configs(node, call.read()?)),
        ApiKey::IncrementalAlterConfigs => call.reply(&configs::alter_configs(node, call.read()?)),
        ApiKey::JoinGroup => {
            let (request, client) = (call.read()?, call.client.clone());
            call.reply(&consumers::join(node, request, client).await)
        }
        ApiKey::SyncGroup => call.reply(&consumers::sync(node, call.read()?).await),
        ApiKey::Heartbeat => call.reply(&consumers::heartbeat(node, &call.read()?)),
        ApiKey::LeaveGroup => call.reply(&consumers::leave(node, call.read()?)),
        ApiKey::OffsetCommit => call.reply(&consumers::commit(node, call.read()?)),
        ApiKey::OffsetFetch => call.reply(&consumers::committed(node, call.read()?, version)),
        ApiKey::ListGroups => call.reply(&group_admin::list_groups(node, &call.read()?)),
        ApiKey::DescribeGroups => call.reply(&group_admin::describe_groups(node, call.read()?)),
        ApiKey::DeleteGroups => call.reply(&group_admin::delete_groups(node, call.read()?)),
        _ => bail!("a {key:?} request"),
    }
}

fn api_versions() -> ApiVersionsResponse {
    let versions = SUPPORTED.iter().map(|(key, least, greatest)| {
        ApiVersion::default().with_api_key(*key as i16).with_min_version(*least).with_max_version(*greatest)
    });
    ApiVersionsResponse::default().with_api_keys(versions.collect())
}

#[cfg(test)]
mod tests;
