//! The two trips that every design needs, each alone at the same rate: through the broker, and to the mail server.

use crate::{fill, latency::Latencies, load::Schedule, stage::Stage};
use anyhow::{Context as _, ensure};
use rdkafka::{
    Message, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use runtime::{env::Env, kafka::KafkaConfig};
use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

const TOPIC: &str = "bench_trip";
/// The size of a record: about that of a registration.
const RECORD_OCTETS: usize = 600;
const LIMIT: Duration = Duration::from_secs(30);

/// Creates the topic of the trips.
///
/// # Errors
/// When the broker does not create it.
pub(super) async fn create_topic(stage: &Stage) -> anyhow::Result<()> {
    fill::create_topic(&stage.brokers(), TOPIC).await
}

/// From a record's due time until it is consumed: `acks=all`, sent at once, one partition.
///
/// # Errors
/// When a record does not come back.
pub(super) async fn broker_trips(stage: &Stage, schedule: Schedule) -> anyhow::Result<Latencies> {
    let kafka = KafkaConfig::from_env(&mut Env::from_pairs([("KAFKA_BROKERS", stage.brokers())]));
    let producer: ThreadedProducer<DefaultProducerContext> =
        kafka.client().set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "0").create()?;
    let consumer: BaseConsumer =
        kafka.client().set("group.id", "bench").set("enable.auto.commit", "false").create()?;
    tokio::task::spawn_blocking(move || {
        let (_, end) = consumer.fetch_watermarks(TOPIC, 0, LIMIT)?;
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(TOPIC, 0, rdkafka::Offset::Offset(end))?;
        consumer.assign(&place)?;
        // A producer's first record waits for its id, a consumer's first one for its connection.
        send(&producer, u64::MAX)?;
        receive(&consumer)?;
        let began = Instant::now();
        let sending = std::thread::spawn(move || -> anyhow::Result<()> {
            for (_, due) in schedule.moments() {
                std::thread::sleep((began + due).saturating_duration_since(Instant::now()));
                send(&producer, u64::try_from(due.as_nanos())?)?;
            }
            Ok(producer.flush(LIMIT)?)
        });
        let mut times = Vec::new();
        for _ in schedule.moments() {
            let due = Duration::from_nanos(receive(&consumer)?);
            times.push(began.elapsed().saturating_sub(due));
        }
        sending.join().ok().context("the producer failed")??;
        Latencies::of(times)
    })
    .await?
}

fn send(producer: &ThreadedProducer<DefaultProducerContext>, due_ns: u64) -> anyhow::Result<()> {
    let mut payload = [0; RECORD_OCTETS];
    payload[..8].copy_from_slice(&due_ns.to_be_bytes());
    let record = BaseRecord::<(), _>::to(TOPIC).partition(0).payload(&payload[..]);
    producer.send(record).map_err(|(error, _)| error.into())
}

fn receive(consumer: &BaseConsumer) -> anyhow::Result<u64> {
    let record = consumer.poll(LIMIT).context("a record did not come back")??;
    let due =
        record.payload().and_then(|payload| payload.first_chunk()).context("not a record of this bench")?;
    Ok(u64::from_be_bytes(*due))
}

/// From a mail's due time until its final reply, over one session that stays open.
///
/// # Errors
/// When the session breaks.
pub(super) async fn dialogues(
    address: SocketAddr,
    schedule: Schedule,
    octets: f64,
) -> anyhow::Result<Latencies> {
    tokio::task::spawn_blocking(move || {
        let mut session = Session::open(address)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a mail has some thousand octets"
        )]
        let mut mail =
            "a line of sixty octets, as a mail consists of, with its end\r\n".repeat(octets as usize / 60);
        mail.push_str(".\r\n");
        let began = Instant::now();
        let mut times = Vec::new();
        for (number, due) in schedule.moments() {
            std::thread::sleep((began + due).saturating_duration_since(Instant::now()));
            session.command("MAIL FROM:<sender@example.com>\r\n", b'2')?;
            session.command(&format!("RCPT TO:<recipient.{number}@example.com>\r\n"), b'2')?;
            session.command("DATA\r\n", b'3')?;
            session.command(&mail, b'2')?;
            times.push(began.elapsed().saturating_sub(due));
        }
        Latencies::of(times)
    })
    .await?
}

/// One SMTP session.
struct Session {
    replies: BufReader<TcpStream>,
}

impl Session {
    fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let mut session = Self { replies: BufReader::new(stream) };
        session.command("", b'2')?;
        session.command("HELO bench\r\n", b'2')?;
        Ok(session)
    }

    /// Sends a command and expects a reply of this class.
    fn command(&mut self, command: &str, class: u8) -> anyhow::Result<()> {
        self.replies.get_mut().write_all(command.as_bytes())?;
        let mut line = String::new();
        loop {
            line.clear();
            self.replies.read_line(&mut line)?;
            ensure!(line.as_bytes().first() == Some(&class), "the sink replied {line:?}");
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}
