//! All processes of a round, with a proxy in every connection that may fail.
//!
//! ```text
//!   clients ──► user services ──► proxies ──► broker ◄── proxies ◄── notification services ──► proxies ──► sink
//! ```

use crate::{
    chronicle::Chronicle,
    perform::{MAX_UNCOMMITTED, SMTP_CONNECTIONS, ServiceLane},
    rules,
    schedule::{REPLICAS, SERVICES, SLOWEST},
    sink::Sink,
};
use acceptance::{proxy::Proxy, service::Service, world::World};
use jiff::SignedDuration;
use std::sync::Arc;

/// All running parts of a round.
pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    pub(crate) sink: Arc<Sink>,
    pub(crate) broker_links: Vec<Arc<Proxy>>,
    pub(crate) mail_links: Vec<Arc<Proxy>>,
    pub(crate) services: Vec<ServiceLane>,
    pub(crate) chronicle: Arc<Chronicle>,
}

impl Stage {
    /// Starts everything, and waits until all services are ready.
    pub(crate) async fn set_up() -> anyhow::Result<Self> {
        let mut world = World::new().await;
        let sink = Arc::new(Sink::start().await?);
        let mut broker_links = Vec::new();
        for _ in 0..SERVICES {
            broker_links.push(Arc::new(Proxy::listen().await?));
        }
        let proxies: Vec<_> = broker_links.iter().map(|proxy| proxy.address()).collect();
        for (proxy, listener) in broker_links.iter().zip(world.kafka.behind(&proxies)) {
            proxy.leads_to(listener);
        }
        let mut mail_links = Vec::new();
        for _ in 0..REPLICAS {
            let proxy = Proxy::listen().await?;
            proxy.leads_to(sink.address());
            mail_links.push(Arc::new(proxy));
        }
        world.kafka.start().await;
        let chronicle = Arc::new(Chronicle::create(&world.folder().join("chronicle.log"))?);
        let mut services = Vec::new();
        for (number, broker) in broker_links.iter().enumerate() {
            let name = service_name(number);
            let service = match number.checked_sub(REPLICAS) {
                None => user_service(&world, &name),
                Some(mail) => notification_service(&world, &name, &mail_links[mail]),
            };
            let service = service
                .with("KAFKA_BROKERS", &broker.address().to_string())
                .with("KAFKA_PARTITIONS", "4")
                .with("LOG_FORMAT", "json");
            services.push(ServiceLane::new(name, number, service, Arc::clone(&chronicle)));
        }
        for lane in &mut services {
            lane.service.start();
        }
        for lane in &services {
            lane.service.ready().await;
        }
        Ok(Self { world: Arc::new(world), sink, broker_links, mail_links, services, chronicle })
    }
}

/// The name of a service and of its log.
pub(crate) fn service_name(number: usize) -> String {
    match number.checked_sub(REPLICAS) {
        None => format!("user-{number}"),
        Some(number) => format!("notification-{number}"),
    }
}

fn user_service(world: &World, name: &str) -> Service {
    let seconds = |time: SignedDuration| format!("{}s", time.as_secs());
    world
        .user_service(name)
        .with("WINDOW", &seconds(rules::WINDOW))
        .with("CODE_TTL", &seconds(rules::CODE_TTL))
        .with("LINK_TTL", &seconds(rules::LINK_TTL))
        .with("MAX_CLOCK_SKEW", &seconds(rules::MAX_CLOCK_SKEW))
        .with("RESEND_COOLDOWN", &seconds(rules::RESEND_COOLDOWN))
        .with("CODE_ATTEMPTS", &rules::CODE_ATTEMPTS.to_string())
        .with("WINDOW_ATTEMPTS", &rules::WINDOW_ATTEMPTS.to_string())
        .with("MAX_TAGGED_MAILS", &rules::MAX_TAGGED_MAILS.to_string())
}

fn notification_service(world: &World, name: &str, mail: &Proxy) -> Service {
    world
        .notification_service(name)
        .with("MAX_CLOCK_SKEW", &format!("{}s", rules::MAX_CLOCK_SKEW.as_secs()))
        .with("SMTP_HOST", &mail.address().ip().to_string())
        .with("SMTP_PORT", &mail.address().port().to_string())
        .with("SMTP_TIMEOUT", "2s")
        .with("SMTP_REPLY_TIMEOUT", "2s")
        .with("SMTP_FINAL_TIMEOUT", &format!("{}s", SLOWEST.as_secs() + 5))
        .with("SMTP_CONNECTIONS", &SMTP_CONNECTIONS.to_string())
        .with("COMMIT_MAX_RECORDS", "20")
        .with("MAX_UNCOMMITTED", &MAX_UNCOMMITTED.to_string())
}
