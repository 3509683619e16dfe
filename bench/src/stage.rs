//! What a scenario measures: a broker, the release binaries, and beside them the sink and the bare route.

use crate::{
    fill,
    load::Target,
    process::{OwnProcess, bare, sink::client::MailSink},
    usage,
};
use acceptance::{service::Service, world::World};
use std::time::Duration;

/// A closed loop so long comes before what is measured: the broker, a JVM, compiles what it does often, and its CPU time per
/// record falls meanwhile.
pub(crate) const WARM_UP: Duration = Duration::from_secs(12);

/// Started for one scenario, and ended with it.
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

    /// A user service that does not run yet, with room for every registration of the bench.
    pub(crate) fn user_service(&self, name: &str) -> Service {
        self.world.user_service(name).with("MAX_PENDING", "50000000")
    }

    /// A notification service that does not run yet, and mails to this sink.
    pub(crate) fn notification_service(&self, name: &str, sink: &MailSink) -> Service {
        let port = sink.address().port().to_string();
        self.world.notification_service(name).with("SMTP_PORT", &port)
    }

    /// A bare route that listens.
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
