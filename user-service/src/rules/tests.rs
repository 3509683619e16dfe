//! Tests of the rules, with the clock as an argument.

use super::*;

/// The defaults of the configuration.
pub(crate) const RULES: Rules = Rules {
    window: Duration::from_secs(3_600),
    code_ttl: Duration::from_secs(900),
    link_ttl: Duration::from_secs(4_500),
    max_clock_skew: Duration::from_secs(120),
    code_attempts: 5,
    window_attempts: 25,
    resend_cooldown: Duration::from_secs(60),
    max_tagged_mails: 10,
    publish_timeout: Duration::from_secs(5),
};
