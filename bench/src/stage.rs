//! The parts of a scenario: a broker, the release binaries, the sink and the bare route.

use crate::{
    fill,
    load::Target,
    process::{OwnProcess, bare, sink::client::MailSink},
    usage,
};
use acceptance::{service::Service, world::World};
use std::time::Duration;

/// The length of the closed loop before a measurement. The broker's JVM compiles its hot code meanwhile, and its CPU time
/// per record falls.
pub(crate) const WARM_UP: Duration = Duration::from_secs(12);

/// The broker of one scenario.
pub(crate) struct Stage {
    pub(crate) world: World,
}

impl Stage {
    /// Starts a broker.
    pub(crate) async fn start() -> Self {
        let world = World::new().await;
        world.kafka.start().await;
        Self { world }
    }

    /// The bootstrap address.
    pub(crate) fn brokers(&self) -> String {
        self.world.kafka.bootstrap()
    }

    /// A user service that is not running, with room for all registrations of the bench.
    pub(crate) fn user_service(&self, name: &str) -> Service {
        traced(self.world.user_service(name).with("MAX_PENDING", "50000000"))
    }

    /// A notification service that is not running and mails to this sink.
    pub(crate) fn notification_service(&self, name: &str, sink: &MailSink) -> Service {
        let port = sink.address().port().to_string();
        traced(self.world.notification_service(name).with("SMTP_PORT", &port))
    }

    /// A listening bare route.
    ///
    /// # Errors
    /// When its topic can't be created.
    pub(crate) async fn bare_route(&self) -> anyhow::Result<OwnProcess> {
        fill::create_topic(&self.brokers(), bare::TOPIC).await?;
        OwnProcess::start(&["process-bare", &self.brokers()]).await
    }

    /// CPU time of the broker.
    ///
    /// # Errors
    /// When it does not run.
    pub(crate) fn broker_cpu_time(&self) -> anyhow::Result<Duration> {
        usage::cpu_time(self.world.kafka.id())
    }
}

/// The target of a service's endpoint.
pub(crate) fn target(service: &Service, path: &'static str) -> Target {
    Target::new(service.address(), path)
}

/// With the bench's own `OTEL_*` variables, so that the cost of spans can be measured.
fn traced(service: Service) -> Service {
    let settings = std::env::vars().filter(|(variable, _)| variable.starts_with("OTEL_"));
    settings.fold(service, |service, (variable, value)| service.with(&variable, &value))
}
