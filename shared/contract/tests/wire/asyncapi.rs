//! The AsyncAPI document names exactly the topics, their configuration and the schemas.

use crate::{document, names};
use contract::{event::EventKind, topic::Topic};
use serde_json::{Value, json};

/// The records that the notification service writes for itself, and the schemas of their headers.
const INTERNAL: [(Topic, &str, &str); 3] = [
    (Topic::MailRetry, "mail_retry", "mail_retry_headers"),
    (Topic::DeadLetter, "dead_letter", "dead_letter_headers"),
    (Topic::DeadLetter, "dead_letter_resolved", "dead_letter_resolved_headers"),
];
const FORGOTTEN: &str = "user_account_forgotten";

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("schemas/{name}.json") })
}

#[test]
fn channels_are_the_topics_with_their_configuration() {
    let document = document("asyncapi.json");
    // Without KAFKA_TOPIC_PREFIX the addresses are the topics' names.
    assert_eq!(document["components"]["parameters"]["prefix"]["default"], "");
    let channels = &document["channels"];
    let mut topics = Topic::ALL.map(Topic::name);
    topics.sort_unstable();
    assert_eq!(names(channels), topics);
    for topic in Topic::ALL {
        let mut configuration = json!({});
        for (setting, value) in topic.settings(1) {
            match setting {
                "cleanup.policy" => configuration[setting] = json!([value]),
                "retention.ms" | "delete.retention.ms" => {
                    configuration[setting] = value.parse::<u64>().unwrap().into();
                }
                // The document states these settings alone.
                _ => {}
            }
        }
        let channel = &channels[topic.name()];
        assert_eq!(channel["address"], format!("{{prefix}}{}", topic.name()));
        assert_eq!(channel["parameters"], json!({"prefix": { "$ref": "#/components/parameters/prefix" }}));
        let expected = json!({"topicConfiguration": configuration, "bindingVersion": "0.5.0"});
        assert_eq!(channel["bindings"]["kafka"], expected, "{}", topic.name());
    }
}

#[test]
fn each_channel_has_the_records_that_are_written_to_its_topic() {
    let channels = &document("asyncapi.json")["channels"];
    for topic in Topic::ALL {
        let events = EventKind::ALL.into_iter().filter(|kind| kind.topic() == topic).map(EventKind::name);
        let internal =
            INTERNAL.iter().filter(|(written_to, ..)| *written_to == topic).map(|(_, name, _)| *name);
        let mut expected: Vec<_> = events.chain(internal).collect();
        if topic == Topic::Verified {
            expected.push(FORGOTTEN);
        }
        expected.sort_unstable();
        let records = &channels[topic.name()]["messages"];
        assert_eq!(names(records), expected, "{}", topic.name());
        for name in expected {
            assert_eq!(records[name], json!({ "$ref": format!("#/components/messages/{name}") }));
        }
    }
}

#[test]
fn each_record_refers_to_the_schemas_of_its_value_headers_and_key() {
    let records = &document("asyncapi.json")["components"]["messages"];
    for kind in EventKind::ALL {
        let record = &records[kind.name()];
        assert_eq!(record["payload"], reference(kind.name()));
        assert_eq!(record["headers"], reference("cloud_events_headers"));
    }
    assert_eq!(records[FORGOTTEN]["payload"], reference(FORGOTTEN));
    assert_eq!(records[FORGOTTEN].get("headers"), None);
    for (_, name, headers) in INTERNAL {
        assert_eq!(records[name]["headers"], reference(headers));
    }
    for name in names(records) {
        assert_eq!(records[name]["name"], name);
        assert_eq!(
            records[name]["bindings"]["kafka"]["key"],
            json!({ "$ref": "schemas/fields.json#/$defs/id" })
        );
    }
    assert_eq!(names(records).len(), EventKind::ALL.len() + INTERNAL.len() + 1);
}

#[test]
fn each_channel_has_one_operation_that_sends() {
    let operations = &document("asyncapi.json")["operations"];
    for topic in Topic::ALL {
        let operation = &operations[format!("send_{}", topic.name())];
        assert_eq!(operation["action"], "send");
        assert_eq!(operation["channel"], json!({ "$ref": format!("#/channels/{}", topic.name()) }));
    }
    assert_eq!(names(operations).len(), Topic::ALL.len());
}
