//! How large everything is in a run, and how it is configured: a pure function of the seed.

use crate::random::{Random, generator};
use contract::code_secrets::{CodeKey, CodeSecrets};
use notification_service::{
    CommitConfig,
    simulated::{ServerSettings, Settings},
};
use rand::RngExt;
use runtime::env::Env;
use std::time::Duration;
use user_service::{Config, IdSecret, Rules, simulated};

/// The consumer group of all services of a run.
pub(crate) const GROUP: &str = "mailers";
/// What codes and link tokens are derived from.
const CODE_SECRETS: &str = "k1:d2hhdCBjb2RlcyBhcmUgbWFkZSBvZjogMzIgYnl0ZXM=";
/// What ids are derived from.
const ID_SECRET: &str = "YW5kIHdoYXQgaWRzIGFyZSBkZXJpdmVkIGZyb206IDM=";

/// How many processes a run has, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Notification services.
    pub(crate) services: usize,
    /// User services.
    pub(crate) users: usize,
    /// Ten minutes, in which at least three windows end.
    pub(crate) short: bool,
}

/// What a run is made of.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) scale: Scale,
    /// Of each topic.
    pub(crate) partitions: i32,
    /// Faults begin and end in this time.
    pub(crate) faults_for: Duration,
    /// Between two sign-ups, about.
    pub(crate) pause: Duration,
    /// Most people only register, and faults are frequent: cheap hours for the notification services.
    pub(crate) is_light: bool,
    /// Between two requests of strangers, about.
    pub(crate) strangers: Duration,
    /// `SMTP_FINAL_TIMEOUT`; the time-out of other replies is half of it.
    pub(crate) final_timeout: Duration,
    /// The mail servers, in the order in which they are preferred.
    pub(crate) servers: Vec<ServerSettings>,
    pub(crate) max_uncommitted: usize,
    max_records: usize,
    max_wait: Duration,
    /// The numbers of the flow.
    pub(crate) rules: Rules,
}

impl Setup {
    pub(crate) fn new(seed: u64, scale: Scale) -> Self {
        let mut random = generator(seed, 1);
        let sessions = one_of(&mut random, [1, 2, 4, 16]);
        let max_uncommitted = sessions.max(one_of(&mut random, [1, 5, 20, 100, 500]));
        let partitions = one_of(&mut random, [1, 2, 3, 6]);
        let minutes = one_of(&mut random, [3, 10, 30]);
        let pause = Duration::from_millis(one_of(&mut random, [500, 2_000, 5_000, 10_000]));
        let final_timeout = Duration::from_secs(one_of(&mut random, [20, 60, 600]));
        let max_records = max_uncommitted.min(one_of(&mut random, [1, 10, 100]));
        let max_wait = Duration::from_millis(one_of(&mut random, [50, 250, 2_000]));
        let is_light = !scale.short && random.random_bool(0.4);
        let strangers = Duration::from_millis(one_of(&mut random, [200, 1_000, 5_000, 30_000]));
        let has_short_windows = scale.short || (!is_light && random.random_bool(0.7));
        Self {
            seed,
            scale,
            partitions,
            faults_for: Duration::from_mins(if scale.short { 9 } else { minutes }),
            pause,
            is_light,
            strangers: if is_light { Duration::from_mins(1) } else { strangers },
            final_timeout,
            servers: servers(seed, sessions, final_timeout, max_uncommitted),
            max_uncommitted,
            max_records,
            max_wait,
            rules: rules(&mut random, has_short_windows),
        }
    }

    /// As a notification service gets it.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            group: GROUP.to_owned(),
            commit: CommitConfig {
                max_records: self.max_records,
                max_wait: self.max_wait,
                max_uncommitted: self.max_uncommitted,
            },
            servers: self.servers.clone(),
            max_backlog_octets: 4 << 20,
            clock_tolerance: self.clock_tolerance(),
        }
    }

    /// As a user service gets it.
    #[expect(clippy::expect_used, reason = "the numbers lie within the contract's bounds")]
    pub(crate) fn config(&self) -> Config {
        let mut env = Env::from_pairs([
            ("CODE_SECRETS", CODE_SECRETS),
            ("ID_SECRET", ID_SECRET),
            ("WRONG_CODES", "off"),
            // moka removes nothing here: its clock is the machine's.
            ("MAX_PENDING", "18446744073709551615"),
            ("KAFKA_TOPIC_SETTINGS", "ignore"),
            ("ALLOW_DEVELOPMENT_SECRETS", "yes"),
        ]);
        let rules = &self.rules;
        for (name, duration) in [
            ("WINDOW", rules.window),
            ("CODE_TTL", rules.code_ttl),
            ("LINK_TTL", rules.link_ttl),
            ("MAX_CLOCK_SKEW", rules.max_clock_skew),
            ("RESEND_COOLDOWN", rules.resend_cooldown),
            ("PUBLISH_TIMEOUT", rules.publish_timeout),
        ] {
            env.set(name, format!("{}ms", duration.as_millis()));
        }
        for (name, number) in [
            ("CODE_ATTEMPTS", rules.code_attempts),
            ("WINDOW_ATTEMPTS", rules.window_attempts),
            ("MAX_TAGGED_MAILS", rules.max_tagged_mails),
        ] {
            env.set(name, number.to_string());
        }
        simulated::config(env).expect("a configuration that the service accepts")
    }

    /// `MAX_CLOCK_SKEW` and `PUBLISH_TIMEOUT`.
    pub(crate) fn clock_tolerance(&self) -> Duration {
        self.rules.max_clock_skew + self.rules.publish_timeout
    }

    /// The largest difference of a wall clock from the true time, in milliseconds: two clocks differ by twice this at most.
    pub(crate) fn skew(&self) -> i64 {
        i64::try_from(self.rules.max_clock_skew.as_millis() / 2).unwrap_or_default()
    }

    /// The longest time from the last fault until everything is finished and committed. A mail without an answer is given up
    /// after the time-out. Its next try is 2 minutes away, by clocks that differ by 2 minutes. Then the backlog takes a while.
    pub(crate) fn settles_within(&self) -> Duration {
        self.final_timeout + Duration::from_mins(6)
    }
}

/// The key of all codes and tokens.
#[expect(clippy::expect_used, reason = "a constant that is valid")]
pub(crate) fn code_key() -> CodeKey {
    CodeSecrets::parse(CODE_SECRETS).expect("secrets").current().clone()
}

/// What ids are derived from.
#[expect(clippy::expect_used, reason = "a constant that is valid")]
pub(crate) fn id_secret() -> IdSecret {
    IdSecret::parse(ID_SECRET).expect("a secret")
}

/// One mail server, two or three; `sessions`: of the first one. A generator of its own: runs with one server don't depend on the others.
fn servers(
    seed: u64,
    sessions: usize,
    final_timeout: Duration,
    max_uncommitted: usize,
) -> Vec<ServerSettings> {
    let mut random = generator(seed, 4);
    let count = one_of(&mut random, [1, 1, 1, 2, 2, 3]);
    if count == 1 {
        return vec![ServerSettings { sessions, longest_silence: final_timeout }];
    }
    let server = |number| ServerSettings {
        sessions: if number == 0 {
            sessions
        } else {
            one_of(&mut random, [1, 2, 4, 16]).min(max_uncommitted)
        },
        longest_silence: Duration::from_secs(one_of(&mut random, [2, 10, 30])),
    };
    (0..count).map(server).collect()
}

/// Numbers within the bounds of the contract; of short windows at least three end in ten minutes.
fn rules(random: &mut Random, short: bool) -> Rules {
    let seconds = Duration::from_secs;
    let (window, max_clock_skew) = if short {
        (seconds(random.random_range(100..180)), seconds(random.random_range(2..20)))
    } else {
        (seconds(3_600), seconds(120))
    };
    let longest = (window - 3 * max_clock_skew).as_secs();
    let code_ttl = if short { seconds(random.random_range(20..=longest)) } else { seconds(900) };
    let link_ttl = window + code_ttl + seconds(random.random_range(0..120));
    let resend_cooldown = seconds(random.random_range(6..code_ttl.as_secs().min(60)));
    Rules {
        window,
        code_ttl,
        link_ttl,
        max_clock_skew,
        code_attempts: one_of(random, [1, 3, 5]),
        window_attempts: one_of(random, [1, 5, 10, 25]),
        resend_cooldown,
        max_tagged_mails: one_of(random, [1, 3, 10]),
        publish_timeout: seconds(5),
    }
}

/// One of these.
pub(crate) fn one_of<T: Copy, const N: usize>(random: &mut Random, choices: [T; N]) -> T {
    choices[random.random_range(0..N)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_has_numbers_that_the_services_accept_and_short_runs_cross_three_windows() {
        let mut counts = [0; 3];
        for seed in 0..200 {
            let setup = Setup::new(seed, Scale { services: 2, users: 2, short: seed % 2 == 0 });
            setup.config();
            assert!(seed % 2 == 1 || setup.faults_for >= 3 * setup.rules.window, "{setup:?}");
            counts[setup.servers.len() - 1] += 1;
        }
        assert!(counts[0] > 80 && counts[1] > 40 && counts[2] > 20, "mail servers: {counts:?}");
    }
}
