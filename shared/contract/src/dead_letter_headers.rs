//! The headers of dead letters, and of the markers that resolve them. The notification service writes them; operators'
//! commands of both services read them.

/// `topic/partition/offset` of the record that could not be mailed; identifies the dead letter.
pub const SOURCE: &str = "dead_letter_source";
/// The topic alone.
pub const SOURCE_TOPIC: &str = "dead_letter_source_topic";
/// The partition alone.
pub const SOURCE_PARTITION: &str = "dead_letter_source_partition";
/// The offset alone.
pub const SOURCE_OFFSET: &str = "dead_letter_source_offset";
/// The class of the reason.
pub const REASON: &str = "dead_letter_reason";
/// The mail server's reply code; absent when the server was not asked.
pub const SMTP_STATUS: &str = "dead_letter_smtp_status";
/// The enhanced status code of that reply (RFC 3463), such as `5.1.1`; absent when the reply has none.
pub const SMTP_ENHANCED_STATUS: &str = "dead_letter_smtp_enhanced_status";
/// Number of tries.
pub const ATTEMPTS: &str = "dead_letter_attempts";
/// Time of the first failure, RFC 3339.
pub const FIRST_FAILURE: &str = "dead_letter_first_failure";
/// Time of the last failure, RFC 3339.
pub const LAST_FAILURE: &str = "dead_letter_last_failure";
/// The consumer group that could not mail it.
pub const GROUP: &str = "dead_letter_group";
/// SHA-256, in hexadecimal digits, of a value that was not kept.
pub const VALUE_SHA256: &str = "dead_letter_value_sha256";
/// Length in octets of a value that was not kept.
pub const VALUE_OCTETS: &str = "dead_letter_value_octets";
/// On a marker: the offset of the dead letter that it resolves, in the same partition.
pub const RESOLVED: &str = "dead_letter_resolved";
/// On a marker: `replayed` or `discarded`.
pub const RESOLUTION: &str = "dead_letter_resolution";
