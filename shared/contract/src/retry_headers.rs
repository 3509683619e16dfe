//! The headers of a record in the retry topic. The notification service writes and reads them; an operator's command of
//! the user service reads them.

/// Time of the next try, RFC 3339.
pub const NOT_BEFORE: &str = "retry_not_before";
/// Number of tries so far.
pub const ATTEMPT: &str = "retry_attempt";
/// `topic/partition/offset` of the record that was read first.
pub const SOURCE: &str = "retry_source";
/// Time of the first failure, RFC 3339.
pub const FIRST_FAILURE: &str = "retry_first_failure";
/// The consumer group that tries again. Without this header any group does.
pub const GROUP: &str = "retry_group";
