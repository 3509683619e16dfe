//! The variables of OpenTelemetry's standard that say where spans go and which ones.
//! Source: <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>

use crate::env::{self, Env};
use std::{convert::Infallible, time::Duration};
use url::Url;

/// The variables that say where spans go.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// Where spans go, if they go anywhere.
#[derive(Debug, Clone, Default)]
pub struct SpansConfig {
    /// `None`: no endpoint is set, or a switch turns spans off, and nothing is done.
    pub(super) on: Option<Box<On>>,
    /// The switch that turns spans off although an endpoint is set, such as `OTEL_SDK_DISABLED=true`.
    pub(super) off_by: Option<&'static str>,
}

/// Where spans go, from whom, and which of them.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(any(feature = "otel", test)),
    expect(dead_code, reason = "a build without `otel` names the endpoint alone")
)]
pub(super) struct On {
    /// The whole address, such as `http://localhost:4318/v1/traces`.
    pub(super) endpoint: Url,
    pub(super) service_name: String,
    pub(super) service_version: &'static str,
    pub(super) sampling: Sampling,
    /// The longest wait of a span that has ended.
    pub(super) delay: Duration,
}

/// Which traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sampling {
    /// The share of the traces, from 0 to 1.
    pub(super) share: f64,
    /// A trace that others have begun is recorded if they record it.
    pub(super) follows_parent: bool,
}

impl SpansConfig {
    /// Reads `OTEL_…`. `service`: the name of the service, unless one is set. When a switch turns spans off, the other variables
    /// don't matter: they may be set for all programs of a machine, for a collector that this one could not reach.
    pub fn from_env(env: &mut Env, service: &'static str, service_version: &'static str) -> Self {
        if let Some(switch) = switched_off(env) {
            let is_asked = ENDPOINTS.iter().any(|name| env.is_set(name));
            return Self { on: None, off_by: is_asked.then_some(switch) };
        }
        let [base, own] = ENDPOINTS.map(|name| read_endpoint(env, name));
        let base = base.map(|base| traces_below(&base));
        let service_name = env.or("OTEL_SERVICE_NAME", service.to_owned(), env::text);
        let sampler = env.or("OTEL_TRACES_SAMPLER", Sampler::ALL[0], Sampler::parse);
        let share = env.or("OTEL_TRACES_SAMPLER_ARG", 1.0, share);
        for name in ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] {
            env.optional(name, protocol);
        }
        let sampling = Sampling {
            share: match sampler.share {
                Share::All => 1.0,
                Share::None => 0.0,
                Share::Argument => share,
            },
            follows_parent: sampler.follows_parent,
        };
        // With 0 the library's thread never sleeps, and takes a whole core.
        let delay = env.or("OTEL_BSP_SCHEDULE_DELAY", 5_000, env::number(10..=3_600_000));
        let delay = Duration::from_millis(delay);
        let on = |endpoint| Box::new(On { endpoint, service_name, service_version, sampling, delay });
        Self { on: own.or(base).map(on), off_by: None }
    }
}

/// The switch that turns spans off, with its value.
fn switched_off(env: &mut Env) -> Option<&'static str> {
    if env.or("OTEL_SDK_DISABLED", false, true_or_false) {
        return Some("OTEL_SDK_DISABLED=true");
    }
    let is_exported = env.or("OTEL_TRACES_EXPORTER", true, exporter);
    (!is_exported).then_some("OTEL_TRACES_EXPORTER=none")
}

/// In any case, as the standard has it. It takes any other value for `false`; here that is refused, as somebody meant something.
fn true_or_false(text: &str) -> Result<bool, &'static str> {
    text.to_ascii_lowercase().parse().map_err(|_| "true or false")
}

/// Whether spans are exported.
fn exporter(text: &str) -> Result<bool, &'static str> {
    match text {
        "otlp" => Ok(true),
        "none" => Ok(false),
        _ => Err("otlp or none"),
    }
}

#[derive(Clone, Copy)]
struct Sampler {
    name: &'static str,
    share: Share,
    follows_parent: bool,
}

#[derive(Clone, Copy)]
enum Share {
    All,
    None,
    Argument,
}

impl Sampler {
    /// All that can be chosen, the default first.
    const ALL: [Self; 6] = [
        Self { name: "parentbased_always_on", share: Share::All, follows_parent: true },
        Self { name: "parentbased_always_off", share: Share::None, follows_parent: true },
        Self { name: "parentbased_traceidratio", share: Share::Argument, follows_parent: true },
        Self { name: "always_on", share: Share::All, follows_parent: false },
        Self { name: "always_off", share: Share::None, follows_parent: false },
        Self { name: "traceidratio", share: Share::Argument, follows_parent: false },
    ];

    fn parse(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|sampler| sampler.name == text);
        known.ok_or_else(|| format!("one of {}", Self::ALL.map(|sampler| sampler.name).join(", ")))
    }
}

/// A wrong value is not shown: it may have a password.
fn read_endpoint(env: &mut Env, name: &'static str) -> Option<Url> {
    let read = env.optional(name, |text| Ok::<_, Infallible>(endpoint(text)))?;
    read.map_err(|expected| env.problem(name, format!("expected {expected}; the value is not shown"))).ok()
}

/// There is no TLS here, and nothing that would keep a password.
fn endpoint(text: &str) -> Result<Url, &'static str> {
    const EXPECTED: &str = "http:// with the host and port of a collector beside this service, such as \
                            http://localhost:4318 (https:// is not supported: let a local collector or agent encrypt)";
    let url = Url::parse(text).map_err(|_| EXPECTED)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address without a user and a password; put a header into OTEL_EXPORTER_OTLP_HEADERS");
    }
    let is_plain =
        url.scheme() == "http" && url.has_host() && url.query().is_none() && url.fragment().is_none();
    is_plain.then_some(url).ok_or(EXPECTED)
}

/// The address of traces below that of all signals.
fn traces_below(base: &Url) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/v1/traces", base.path().trim_end_matches('/')));
    url
}

fn share(text: &str) -> Result<f64, &'static str> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or("a number from 0 to 1, such as 0.1")
}

fn protocol(text: &str) -> Result<(), &'static str> {
    (text == "http/protobuf").then_some(()).ok_or("http/protobuf, which collectors take at port 4318")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(pairs: &[(&str, &str)]) -> Result<SpansConfig, String> {
        let mut env = Env::from_pairs(pairs.iter().copied());
        let config = SpansConfig::from_env(&mut env, "user-service", "1.2.3");
        env.finish(|| Some(config)).map_err(|error| error.to_string())
    }

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Box<On>>, String> {
        read_all(pairs).map(|config| config.on)
    }

    #[test]
    fn a_switch_of_the_standard_that_is_off_is_noted_if_there_is_an_endpoint() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        let elsewhere = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector:4317");
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        for (off, said) in [
            (("OTEL_SDK_DISABLED", "true"), "OTEL_SDK_DISABLED=true"),
            (("OTEL_SDK_DISABLED", "TRUE"), "OTEL_SDK_DISABLED=true"),
            (("OTEL_TRACES_EXPORTER", "none"), "OTEL_TRACES_EXPORTER=none"),
        ] {
            for asked in [endpoint, elsewhere] {
                let config = read_all(&[off, asked, grpc]).unwrap();
                assert!(config.on.is_none(), "{off:?}");
                assert_eq!(config.off_by, Some(said));
            }
            assert_eq!(read_all(&[off]).unwrap().off_by, None, "nobody asked for spans");
        }
        let other = [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "console"), endpoint];
        assert_eq!(read_all(&other).unwrap().off_by, Some("OTEL_SDK_DISABLED=true"));
        for on in
            [("OTEL_SDK_DISABLED", "false"), ("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_SDK_DISABLED", "")]
        {
            let config = read_all(&[on, endpoint]).unwrap();
            assert!(config.on.is_some() && config.off_by.is_none(), "{on:?}");
        }
    }

    #[test]
    fn the_delay_is_in_milliseconds() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        for (delay, expected) in [("", 5_000), ("10", 10), ("3600000", 3_600_000)] {
            let on = read(&[endpoint, ("OTEL_BSP_SCHEDULE_DELAY", delay)]).unwrap().unwrap();
            assert_eq!(on.delay, Duration::from_millis(expected));
        }
    }

    #[test]
    fn without_an_endpoint_nothing_is_exported() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[("OTEL_TRACES_SAMPLER", "always_on"), ("OTEL_SERVICE_NAME", "x")]).unwrap().is_none());
    }

    #[test]
    fn the_endpoint_of_traces_is_taken_as_it_is_and_the_general_one_gets_a_path() {
        let general = "OTEL_EXPORTER_OTLP_ENDPOINT";
        for (endpoint, expected) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("http://[::1]:4318/", "http://[::1]:4318/v1/traces"),
            ("http://agent/otlp/", "http://agent/otlp/v1/traces"),
        ] {
            let on = read(&[(general, endpoint)]).unwrap().unwrap();
            assert_eq!(on.endpoint.as_str(), expected);
            assert_eq!((on.service_name.as_str(), on.service_version), ("user-service", "1.2.3"));
            assert_eq!(on.sampling, Sampling { share: 1.0, follows_parent: true });
        }
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other:1/mine");
        let on = read(&[(general, "http://localhost:4318"), own, ("OTEL_SERVICE_NAME", "signup")])
            .unwrap()
            .unwrap();
        assert_eq!((on.endpoint.as_str(), on.service_name.as_str()), ("http://other:1/mine", "signup"));
    }

    #[test]
    fn samplers_are_those_of_the_standard() {
        for (sampler, argument, share, follows_parent) in [
            ("always_on", "", 1.0, false),
            ("always_off", "", 0.0, false),
            ("traceidratio", "0.25", 0.25, false),
            ("traceidratio", "", 1.0, false),
            ("parentbased_always_on", "0.25", 1.0, true),
            ("parentbased_always_off", "", 0.0, true),
            ("parentbased_traceidratio", "0.25", 0.25, true),
        ] {
            let pairs = [
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"),
                ("OTEL_TRACES_SAMPLER", sampler),
                ("OTEL_TRACES_SAMPLER_ARG", argument),
            ];
            let on = read(&pairs).unwrap().unwrap();
            assert_eq!(on.sampling, Sampling { share, follows_parent }, "{sampler}");
        }
    }

    #[test]
    fn what_can_not_be_done_is_said_at_the_start_and_no_password_is_shown() {
        for (name, value, said) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318", "https:// is not supported"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "expected http://"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:4318/?key=1", "expected http://"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:secret@localhost:4318", "without a user"),
            ("OTEL_SDK_DISABLED", "yes", "expected true or false"),
            ("OTEL_TRACES_EXPORTER", "console", "expected otlp or none"),
            ("OTEL_TRACES_EXPORTER", "otlp,console", "expected otlp or none"),
            ("OTEL_BSP_SCHEDULE_DELAY", "0", "from 10 to 3600000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "9", "from 10 to 3600000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "5s", "from 10 to 3600000"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote", "parentbased_always_on, "),
            ("OTEL_TRACES_SAMPLER_ARG", "1.5", "from 0 to 1"),
            ("OTEL_TRACES_SAMPLER_ARG", "NaN", "from 0 to 1"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "http/protobuf"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.contains(name) && error.contains(said) && !error.contains("secret@"), "{error}");
        }
    }
}
