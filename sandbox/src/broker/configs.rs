//! Shows and changes settings of topics. The broker itself has no settings.

use crate::broker::{Node, topics::Refusal};
use kafka_protocol::{
    ResponseError,
    messages::{
        DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
        IncrementalAlterConfigsResponse,
        describe_configs_request::DescribeConfigsResource,
        describe_configs_response::{
            DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
        },
        incremental_alter_configs_request::AlterConfigsResource,
        incremental_alter_configs_response::AlterConfigsResourceResponse,
    },
    protocol::StrBytes,
};

/// The protocol's numbers for types of resources.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// The protocol's numbers for the source of a value.
pub(super) const FROM_TOPIC: i8 = 1;
pub(super) const FROM_DEFAULTS: i8 = 5;
/// The protocol's numbers for changes of a setting.
const SET: i8 = 0;
const DELETE: i8 = 1;

pub(super) fn describe_configs(node: &Node, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| {
        let described = describe(node, &resource);
        let answer = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        match described {
            Ok(configs) => answer.with_configs(configs),
            Err(error) => answer.with_error_code(error.code()),
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn describe(
    node: &Node,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, ResponseError> {
    if resource.resource_type == BROKER {
        return Ok(Vec::new());
    }
    let topic = Some(&resource.resource_name).filter(|_| resource.resource_type == TOPIC);
    let topic = topic.ok_or(ResponseError::InvalidRequest)?;
    let settings = node.topics.get(topic).ok_or(ResponseError::UnknownTopicOrPartition)?.settings();
    let wanted = |name: &str| {
        let keys = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
        keys.is_none_or(|keys| keys.iter().any(|key| key.as_str() == name))
    };
    let shown = settings.describe().filter(|setting| wanted(setting.name)).map(|setting| {
        let (name, value) =
            (StrBytes::from_static_str(setting.name), Some(StrBytes::from_string(setting.value)));
        let source = if setting.is_default { FROM_DEFAULTS } else { FROM_TOPIC };
        let synonym = DescribeConfigsSynonym::default()
            .with_name(name.clone())
            .with_value(value.clone())
            .with_source(source);
        DescribeConfigsResourceResult::default()
            .with_name(name)
            .with_value(value)
            .with_config_source(source)
            .with_config_type(setting.kind)
            .with_synonyms(vec![synonym])
    });
    Ok(shown.collect())
}

pub(super) fn alter_configs(
    node: &Node,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let responses = request.resources.into_iter().map(|resource| {
        let altered = alter(node, &resource, request.validate_only);
        let answer = AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        match altered {
            Ok(()) => answer,
            Err((error, reason)) => {
                answer.with_error_code(error.code()).with_error_message(Some(StrBytes::from_string(reason)))
            }
        }
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn alter(node: &Node, resource: &AlterConfigsResource, only_check: bool) -> Result<(), Refusal> {
    if resource.resource_type != TOPIC {
        return Err((
            ResponseError::InvalidRequest,
            "only settings of topics can be changed here".to_owned(),
        ));
    }
    let topic = node
        .topics
        .get(&resource.resource_name)
        .ok_or((ResponseError::UnknownTopicOrPartition, "there is no such topic".to_owned()))?;
    let mut changes = Vec::new();
    for change in &resource.configs {
        let value = match change.config_operation {
            SET => change.value.as_ref().map(|value| value.to_string()),
            DELETE => None,
            _ => {
                return Err((
                    ResponseError::InvalidRequest,
                    "settings can be set and deleted here".to_owned(),
                ));
            }
        };
        changes.push((change.name.to_string(), value));
    }
    topic.alter(changes, only_check)
}
