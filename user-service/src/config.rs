//! The configuration of the user service, read from the environment.

use crate::{
    identity::IdSecret,
    pages::{Pages, Setting, return_urls},
    patience::Patience,
    rate_limit::RateLimit,
    rules::Rules,
};
use contract::code_secrets::CodeSecrets;
use ipnet::IpNet;
use runtime::{
    env::{self, Env, EnvError},
    kafka::KafkaConfig,
    secret_check::{self, KeyRing},
    spans::SpansConfig,
    texts_watch,
};
use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};
use texts::Kept;

/// Everything that `Application::start` needs. `Debug` hides the secrets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where HTTP is served; port 0 takes any free one.
    pub address: SocketAddr,
    /// Where metrics and health are served; port 0 takes any free one.
    pub admin_address: SocketAddr,
    /// Where people reach the signup page, without a slash at its end.
    pub public_url: String,
    /// The broker.
    pub kafka: KafkaConfig,
    /// The keys from which codes and link tokens are derived.
    pub code_secrets: KeyRing,
    /// The key from which the ids of accounts and guesses are derived.
    pub id_secret: IdSecret,
    /// Times and limits of the signup flow.
    pub rules: Rules,
    /// The most registrations that are held; at the limit new ones are refused.
    pub max_pending: u64,
    /// Wrong codes per client address; `None` is `off`.
    pub wrong_codes: Option<RateLimit>,
    /// POSTs per client address, and 20 times as many other requests; `None` is `off`.
    pub rate_limit: Option<RateLimit>,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How many proxies stand in front of this service. `None`: each address in `trusted_proxies` is a proxy.
    pub trusted_hops: Option<NonZeroUsize>,
    /// The most connections at a time, of all clients.
    pub max_connections: usize,
    /// The most connections at a time from an address that is not in `trusted_proxies`.
    pub max_connections_per_address: u32,
    /// Time limits for slow clients; the same in every installation.
    pub patience: Patience,
    /// Whether `/openapi.json` and `/docs/` are served.
    pub api_docs: bool,
    /// Pages of other origins that may call the API.
    pub cors_origins: Vec<String>,
    /// What the service says and shows to people, in all languages.
    pub pages: Arc<Kept<Pages>>,
    /// Where spans go.
    pub spans: SpansConfig,
}

impl Config {
    /// Reads the variables, and reports to `env` what is wrong with them.
    ///
    /// `None` means that a required variable is missing or wrong; `env` then has that problem, too.
    pub fn from_env(env: &mut Env) -> Option<Self> {
        Self::with(env, |env, setting| {
            texts_watch::from_env(env, move |texts, folder, faults| {
                Pages::build(texts, folder, &setting, faults)
            })
        })
    }

    /// Reads the variables; the pages come from the caller, who may have them already.
    pub(crate) fn with(
        env: &mut Env,
        load_pages: impl FnOnce(&mut Env, Setting) -> Option<Arc<Kept<Pages>>>,
    ) -> Option<Self> {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        let rules = Rules {
            window: env.or("WINDOW", minutes(60), env::duration),
            code_ttl: env.or("CODE_TTL", minutes(15), env::duration),
            link_ttl: env.or("LINK_TTL", minutes(75), env::duration),
            max_clock_skew: env.or("MAX_CLOCK_SKEW", minutes(2), env::duration),
            code_attempts: env.or("CODE_ATTEMPTS", 5, env::number(1..=100)),
            window_attempts: env.or("WINDOW_ATTEMPTS", 25, env::number(1..=1000)),
            resend_cooldown: env.or("RESEND_COOLDOWN", minutes(1), env::duration),
            max_tagged_mails: env.or("MAX_TAGGED_MAILS", 10, env::number(1..=1_000_000)),
            publish_timeout: env.or("PUBLISH_TIMEOUT", Duration::from_secs(5), env::duration),
        };
        check(&rules, env);
        let trusted_proxies = env.or("TRUSTED_PROXIES", Vec::new(), networks);
        let trusted_hops = env.optional("TRUSTED_HOPS", env::number(1..=100)).and_then(NonZeroUsize::new);
        if trusted_hops.is_some() && trusted_proxies.is_empty() {
            env.problem(
                "TRUSTED_HOPS",
                "expected together with TRUSTED_PROXIES: the network of the nearest proxy",
            );
        }
        let code_secrets = env.required_secret(
            "CODE_SECRETS",
            "CODE_SECRETS_FILE",
            "key-id:base64 with 32 random bytes, the same in both services",
            CodeSecrets::parse,
        );
        let id_secret = env
            .required_secret("ID_SECRET", "ID_SECRET_FILE", "32 random bytes in base64", IdSecret::parse)
            .map(|secret| secret.get());
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let address = env.or("USER_SERVICE_ADDR", local(3006), env::socket_address);
        let admin_address = env.or("USER_SERVICE_ADMIN_ADDR", local(3008), env::socket_address);
        let public_url = env.or("PUBLIC_URL", "http://localhost:3006".to_owned(), env::web_address);
        let published_allowed = env.or("ALLOW_DEVELOPMENT_SECRETS", false, env::yes_or_no)
            || secret_check::is_local(&[address, admin_address], &public_url);
        let id_octets = id_secret.as_ref().map(IdSecret::octets).copied();
        let code_secrets = secret_check::check(env, code_secrets, id_octets, published_allowed);
        let cors_origins = env.or("CORS_ORIGINS", Vec::new(), origins);
        let setting = Setting {
            return_urls: env.or("RETURN_URLS", Vec::new(), return_urls),
            is_embeddable: !cors_origins.is_empty(),
        };
        let pages = load_pages(env, setting);
        Some(Self {
            address,
            admin_address,
            public_url,
            kafka: KafkaConfig::from_env(env),
            rules,
            max_pending: env.or("MAX_PENDING", 1_000_000, env::number(1..=u64::MAX)),
            wrong_codes: env.or("WRONG_CODES", RateLimit::parse("30/1h").ok().flatten(), RateLimit::parse),
            rate_limit: env.or("RATE_LIMIT", RateLimit::parse("30/1m").ok().flatten(), RateLimit::parse),
            trusted_proxies,
            trusted_hops,
            max_connections: env.or("MAX_CONNECTIONS", 4096, env::number(1..=1_000_000)),
            max_connections_per_address: env.or(
                "MAX_CONNECTIONS_PER_ADDRESS",
                128,
                env::number(1..=1_000_000),
            ),
            patience: Patience::default(),
            api_docs: env.or("API_DOCS", true, env::on_or_off),
            cors_origins,
            spans: SpansConfig::from_env(env, "user-service", env!("CARGO_PKG_VERSION")),
            pages: pages?,
            code_secrets: code_secrets?,
            id_secret: id_secret?,
        })
    }

    /// Reads the whole configuration.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load(mut env: Env) -> Result<Self, EnvError> {
        let config = Self::from_env(&mut env);
        env.finish(|| config)
    }
}

fn check(rules: &Rules, env: &mut Env) {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let &Rules { window, code_ttl, link_ttl, max_clock_skew, resend_cooldown, publish_timeout, .. } = rules;
    let mut expect = |holds: bool, variable, expected: &str| {
        if !holds {
            env.problem(variable, expected);
        }
    };
    expect(window <= 6 * HOUR, "WINDOW", "expected at most 6h");
    expect(
        code_ttl.saturating_add(max_clock_skew.saturating_mul(3)) <= window,
        "CODE_TTL",
        "expected, with 3 x MAX_CLOCK_SKEW, at most WINDOW: at any moment at most two codes are right",
    );
    expect(
        link_ttl >= window.saturating_add(code_ttl),
        "LINK_TTL",
        "expected at least WINDOW + CODE_TTL: a link lasts as long as the code beside it",
    );
    expect(
        link_ttl <= 24 * HOUR,
        "LINK_TTL",
        "expected at most the 24h that the topic user_account_activity keeps its records",
    );
    expect(
        resend_cooldown >= Duration::from_secs(1) && resend_cooldown < code_ttl,
        "RESEND_COOLDOWN",
        "expected at least 1s and less than CODE_TTL: while no mail is sent, the last one's code is right",
    );
    expect(
        publish_timeout >= Duration::from_secs(2),
        "PUBLISH_TIMEOUT",
        "expected at least 2s: the broker's ack is awaited for one second less",
    );
}

fn networks(text: &str) -> Result<Vec<IpNet>, &'static str> {
    let Ok(networks) = env::list(text);
    let network = |text: &String| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let parsed: Result<_, _> = networks.iter().map(network).collect();
    parsed.map_err(|_| "networks such as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7, separated by commas")
}

fn origins(text: &str) -> Result<Vec<String>, &'static str> {
    let Ok(origins) = env::list(text);
    // Origins are compared as text, so they must be spelled as browsers send them (RFC 6454, section 6.2).
    let is_origin = |origin: &String| {
        let (host, default_port) = match origin.split_once("://") {
            Some(("https", host)) => (host, ":443"),
            Some(("http", host)) => (host, ":80"),
            _ => return false,
        };
        let is_written = |b: u8| b.is_ascii_graphic() && !b.is_ascii_uppercase() && !b"/?#*".contains(&b);
        !host.is_empty() && host.bytes().all(is_written) && !host.ends_with(default_port)
    };
    if origins.iter().all(is_origin) {
        Ok(origins)
    } else {
        Err(
            "origins as browsers send them, such as https://www.example.com, separated by commas: in lower case, \
             international names as xn--, without a default port and a path",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<Config, EnvError> {
        let code_secrets = "k1:d2VsbC1rbm93biBkZXZlbG9wbWVudCBzZWNyZXQgMDE=";
        let id_secret = "d2VsbC1rbm93biBkZXZlbG9wbWVudCBzZWNyZXQgMDI=";
        let mut env = Env::from_pairs([("CODE_SECRETS", code_secrets), ("ID_SECRET", id_secret)]);
        for (name, value) in pairs {
            env.set_default(name, *value);
        }
        Config::load(env)
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let config = load(&[]).unwrap();
        assert_eq!(config.address.to_string(), "127.0.0.1:3006");
        assert_eq!(config.rules.code_ttl, Duration::from_secs(900));
        assert!(config.code_secrets.get().is_development() && config.id_secret.is_development());
    }

    #[test]
    fn values_that_contradict_each_other_are_refused() {
        let wrong = |pairs: &[(&str, &str)]| load(pairs).unwrap_err().to_string();
        for (variable, value, expected) in [
            ("WINDOW", "7h", "WINDOW: expected at most 6h"),
            ("WINDOW", "20m", "CODE_TTL: expected, with 3 x MAX_CLOCK_SKEW, at most WINDOW"),
            ("CODE_TTL", "55m", "CODE_TTL: expected, with 3 x MAX_CLOCK_SKEW, at most WINDOW"),
            ("MAX_CLOCK_SKEW", "16m", "CODE_TTL: expected, with 3 x MAX_CLOCK_SKEW, at most WINDOW"),
            ("LINK_TTL", "74m", "LINK_TTL: expected at least WINDOW + CODE_TTL"),
            ("LINK_TTL", "25h", "LINK_TTL: expected at most the 24h"),
            ("RESEND_COOLDOWN", "999ms", "RESEND_COOLDOWN: expected at least 1s"),
            ("RESEND_COOLDOWN", "15m", "RESEND_COOLDOWN: expected at least 1s and less than CODE_TTL"),
        ] {
            let error = wrong(&[(variable, value)]);
            assert!(error.contains(expected), "{variable}={value}: {error}");
        }
        load(&[("WINDOW", "6h"), ("LINK_TTL", "24h"), ("MAX_CLOCK_SKEW", "15m")]).unwrap();
        assert!(wrong(&[("PUBLISH_TIMEOUT", "1s")]).contains("PUBLISH_TIMEOUT: expected at least 2s"));
        assert!(
            wrong(&[("TRUSTED_HOPS", "1")]).contains("TRUSTED_HOPS: expected together with TRUSTED_PROXIES")
        );
        assert!(wrong(&[("API_DOCS", "no")]).contains("API_DOCS: expected on or off"));
        assert!(
            wrong(&[("CORS_ORIGINS", "https://a.example, *")]).contains("CORS_ORIGINS: expected origins")
        );
        // Browsers never spell an origin like this, so these would never match.
        for origin in [
            "https://Www.example.com",
            "https://a.example:443",
            "http://a.example:80",
            "https://bücher.example",
        ] {
            let error = wrong(&[("CORS_ORIGINS", origin)]);
            assert!(error.contains("CORS_ORIGINS: expected origins"), "{origin}: {error}");
        }
        for url in [
            "app.example.com",
            "http://app.example.com/",
            "https://app.example.com/?a",
            "https://App.example.com",
        ] {
            let error = wrong(&[("RETURN_URLS", url)]);
            assert!(
                error.contains("RETURN_URLS: expected web addresses as browsers write them"),
                "{url}: {error}"
            );
        }
        load(&[("RETURN_URLS", "https://app.example.com,http://localhost:3000/welcome")]).unwrap();
        load(&[("CORS_ORIGINS", "https://a.example:80, http://[::1]:443,http://localhost:3000")]).unwrap();
    }

    #[test]
    fn published_secrets_need_loopback_everywhere_or_the_operators_word() {
        for elsewhere in [
            ("USER_SERVICE_ADDR", "0.0.0.0:3006"),
            ("USER_SERVICE_ADMIN_ADDR", "[::]:3008"),
            ("PUBLIC_URL", "https://signup.example.com"),
        ] {
            let error = load(&[elsewhere, ("PUBLISH_TIMEOUT", "1s")]).unwrap_err();
            let named: Vec<_> = error.problems().iter().map(|problem| problem.name).collect();
            assert_eq!(named, ["PUBLISH_TIMEOUT", "CODE_SECRETS", "ID_SECRET"], "{elsewhere:?}");
            load(&[elsewhere, ("ALLOW_DEVELOPMENT_SECRETS", "yes")]).unwrap();
        }
    }

    #[test]
    fn debug_output_hides_the_secrets() {
        let text = format!("{:?}", load(&[]).unwrap());
        assert!(text.contains("code_secrets: Secret(***)") && text.contains("IdSecret(***)"), "{text}");
        assert!(!text.contains("d2VsbC1"));
    }
}
