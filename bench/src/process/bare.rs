//! The bare route: an actix route that parses the same JSON, publishes as many bytes with an ack, and does nothing else.
//!
//! The user service's extra cost is the price of validation, the id, the view, limits, request ids and metrics. The bare
//! route's records go to a topic of its own, because user services follow the topics of the contract.

use crate::fill::Person;
use actix_web::{
    App, HttpResponse, HttpServer,
    web::{self, Data, Json},
};
use anyhow::Context as _;
use contract::event::EncodedEvent;
use rdkafka::{
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};
use runtime::{
    env::Env,
    kafka::{KafkaConfig, owned_headers},
};
use serde::{Deserialize, Serialize};
use std::{io::Write as _, net::Ipv4Addr, time::Duration};
use uuid::Uuid;

/// The topic of the bare route's records.
pub(crate) const TOPIC: &str = "bench_bare";

/// The user service's setting: records are sent at once.
const LINGER_MS: &str = "0";

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is parsed, as in the user service, and not looked at")]
struct Registration {
    first_name: String,
    last_name: String,
    email: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is parsed, as in the user service, and not looked at")]
struct Verification {
    id: String,
    code: String,
}

#[derive(Serialize)]
struct Success {
    status: bool,
    message: &'static str,
    data: Identified,
}

/// The part of `data` that a client reads.
#[derive(Serialize)]
struct Identified {
    id: String,
}

struct Bare {
    producer: FutureProducer,
    created: EncodedEvent,
    attempt: EncodedEvent,
    verified: EncodedEvent,
}

impl Bare {
    fn new(brokers: &str) -> anyhow::Result<Self> {
        let kafka = KafkaConfig::from_env(&mut Env::from_pairs([("KAFKA_BROKERS", brokers)]));
        let producer = kafka
            .client()
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("max.in.flight.requests.per.connection", "1")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", LINGER_MS)
            .set("message.timeout.ms", "4000")
            .create()?;
        let person = Person::numbered(0, jiff::Timestamp::now())?;
        Ok(Self {
            producer,
            created: person.created()?.encode()?,
            attempt: person.attempt().encode()?,
            verified: person.verified().encode()?,
        })
    }

    async fn publish(&self, event: &EncodedEvent, key: &str) -> bool {
        let headers = owned_headers(&event.headers);
        let record = FutureRecord::to(TOPIC).key(key).payload(&event.payload).headers(headers);
        self.producer.send(record, Timeout::After(Duration::ZERO)).await.is_ok()
    }
}

async fn register(_: Json<Registration>, bare: Data<Bare>) -> HttpResponse {
    let id = Uuid::new_v4().to_string();
    if !bare.publish(&bare.created, &id).await {
        return HttpResponse::ServiceUnavailable().finish();
    }
    HttpResponse::Accepted().json(success(id))
}

/// Publishes an attempt and, after its ack, a verified account.
async fn verify(_: Json<Verification>, bare: Data<Bare>) -> HttpResponse {
    let id = Uuid::new_v4().to_string();
    if !(bare.publish(&bare.attempt, &id).await && bare.publish(&bare.verified, &id).await) {
        return HttpResponse::ServiceUnavailable().finish();
    }
    HttpResponse::Ok().json(success(id))
}

fn success(id: String) -> Success {
    Success {
        status: true,
        message: "The record is in the log, acknowledged by the broker.",
        data: Identified { id },
    }
}

/// Serves until standard input ends.
///
/// # Errors
/// When no port is free or librdkafka refuses its configuration.
pub(crate) fn run(brokers: &str) -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(async {
        let bare = Data::new(Bare::new(brokers)?);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(bare.clone())
                .route("/api/register", web::post().to(register))
                .route("/api/verify", web::post().to(verify))
        })
        .tcp_nodelay(true)
        .disable_signals()
        .bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = *server.addrs().first().context("no address")?;
        writeln!(std::io::stdout(), "{address}")?;
        let server = server.run();
        let handle = server.handle();
        std::thread::spawn(move || {
            // Nobody writes to it. The read returns when the bench ends.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            drop(handle.stop(false));
            std::process::exit(0);
        });
        server.await.context("the bare route failed")
    })
}
