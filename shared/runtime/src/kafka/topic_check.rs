//! Checks that the topics are as the services would have made them: at the start, and every few minutes.
//!
//! Topics may exist already, made by an administrator, by an older version, or by any client
//! that asked for one (`auto.create.topics.enable`). A topic that would break a promise
//! makes the service not ready. Brokers that don't show settings leave it ready: the service
//! may lack the right to `DescribeConfigs`, or a managed Kafka may not have that request.

use super::{
    KafkaConfig, KafkaWatch,
    topic_settings::{Found, Judgement},
};
use contract::topic::Topic;
use rdkafka::{
    admin::{AdminOptions, OwnedResourceSpecifier, ResourceSpecifier},
    error::KafkaResult,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// The pause between two checks when all is well or can't be seen.
const PAUSE: Duration = Duration::from_secs(2 * 60);
/// The pause between two checks while a topic makes the service not ready.
/// It is short, so that the service is ready soon after the topic is mended.
const SHORT_PAUSE: Duration = Duration::from_secs(5);
/// The pause between two checks for a topic that does not exist yet.
const TOPIC_PAUSE: Duration = Duration::from_millis(50);
/// How long the brokers may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Compares the settings of the topics with what the services need, and remembers which promises are broken.
#[derive(Debug)]
pub struct TopicCheck {
    kafka: KafkaConfig,
    watch: Arc<KafkaWatch>,
    topics: &'static [Topic],
    least_retention: Duration,
    /// The result of the last check; `None` before the first.
    seen: Mutex<Option<Seen>>,
}

/// The result of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    flawed: Vec<Judgement>,
    /// Topics whose settings the brokers do not show.
    hidden: Vec<Topic>,
    /// Topics with fewer replicas than `KAFKA_REPLICATION`, each with its number of replicas.
    thin: Vec<(Topic, usize)>,
}

impl TopicCheck {
    /// Makes the check of these topics; `run` starts it. `least_retention`: how long a record must stay to be read.
    #[must_use]
    pub fn new(
        kafka: KafkaConfig,
        watch: Arc<KafkaWatch>,
        topics: &'static [Topic],
        least_retention: Duration,
    ) -> Arc<Self> {
        Arc::new(Self { kafka, watch, topics, least_retention, seen: Mutex::default() })
    }

    /// Why the service is not ready, if the topics' settings are the reason.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        if self.has_looked() { self.broken_promises() } else { Some("not looked at yet".to_owned()) }
    }

    /// The settings that break a promise, as far as the topics have been checked.
    #[must_use]
    pub fn broken_promises(&self) -> Option<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.as_ref()?;
        let grave: Vec<_> =
            seen.flawed.iter().filter_map(|it| Some(it.broken_promises()?.to_string())).collect();
        (!grave.is_empty()).then(|| grave.join("; "))
    }

    /// Whether the topics have been checked, or need not be.
    #[must_use]
    pub fn has_looked(&self) -> bool {
        !self.kafka.check_topics || self.seen.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Checks again and again until `stop` is cancelled; never with `KAFKA_TOPIC_SETTINGS=ignore`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        if !self.kafka.check_topics {
            log::warn!(
                "KAFKA_TOPIC_SETTINGS=ignore: the topics' settings are not checked, although the promises depend on them"
            );
            return stop.cancelled().await;
        }
        let mut pause = TOPIC_PAUSE;
        while tokio::time::timeout(pause, stop.cancelled()).await.is_err() {
            // There is no broker yet, or a topic does not exist yet.
            if self.topics.iter().any(|topic| self.watch.shape(*topic).is_none()) {
                continue;
            }
            tokio::select! {
                () = self.look() => {}
                () = stop.cancelled() => return,
            }
            pause = if self.problem().is_some() { SHORT_PAUSE } else { PAUSE };
        }
    }

    async fn look(&self) {
        let settings = self.settings().await;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match settings {
            Ok(settings) => self.judge(&settings),
            // The last result stays valid.
            Err(_) if seen.is_some() => return,
            Err(error) => {
                log::warn!("error" = error.to_string().as_str(); "the topics' settings can't be read");
                Seen { hidden: self.topics.to_vec(), ..Seen::default() }
            }
        };
        let before = seen.replace(now.clone());
        if before.as_ref() != Some(&now) {
            self.report(&now, before.is_some());
        }
    }

    /// The settings of each topic, as far as the brokers show them.
    async fn settings(&self) -> KafkaResult<HashMap<Topic, Found>> {
        let admin = self.kafka.admin()?;
        let names: Vec<_> = self.topics.iter().map(|topic| self.kafka.names.topic(*topic)).collect();
        let resources: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let answer = admin.describe_configs(&resources, &options).await;
        // Dropping the client waits for its thread.
        tokio::task::spawn_blocking(move || drop(admin));
        // rdkafka hides a refusal: the topic then has no settings.
        let resources = answer?.into_iter().flatten().filter_map(|resource| {
            let OwnedResourceSpecifier::Topic(name) = resource.specifier else { return None };
            let entries = resource.entries.into_iter();
            let told = entries.filter_map(|entry| Some((entry.name, entry.value?))).collect();
            Some((self.kafka.names.topic_of(&name)?, told))
        });
        Ok(resources.collect())
    }

    fn judge(&self, settings: &HashMap<Topic, Found>) -> Seen {
        let mut seen = Seen::default();
        let wanted = usize::try_from(self.kafka.replication).unwrap_or(1);
        for topic in self.topics.iter().copied() {
            let Some(shape) = self.watch.shape(topic) else { continue };
            if shape.replicas < wanted {
                seen.thin.push((topic, shape.replicas));
            }
            match settings.get(&topic).filter(|found| !found.is_empty()) {
                None => seen.hidden.push(topic),
                Some(found) => {
                    let name = self.kafka.names.topic(topic);
                    seen.flawed.push(Judgement::of(topic, name, shape, found, self.least_retention));
                }
            }
        }
        seen.flawed.retain(|judgement| !judgement.is_flawless());
        seen
    }

    fn report(&self, seen: &Seen, again: bool) {
        for judgement in &seen.flawed {
            let command = judgement.command(&self.kafka.brokers);
            if judgement.broken_promises().is_some() {
                log::error!("mend" = command.as_str(); "not ready, because of the settings of {judgement}");
            } else {
                log::warn!("mend" = command.as_str(); "settings that could be better: {judgement}");
            }
        }
        for (topic, replicas) in &seen.thin {
            log::warn!(
                "kafka.topic" = self.kafka.names.topic(*topic).as_str(), "replicas" = replicas, "wanted" = self.kafka.replication,
                "mend" = format!("kafka-reassign-partitions.sh --bootstrap-server {} --reassignment-json-file replicas.json --execute", self.kafka.brokers).as_str();
                "the topic has fewer replicas than KAFKA_REPLICATION; docs/operations.md (Topics) has the file"
            );
        }
        if !seen.hidden.is_empty() {
            let names: Vec<_> = seen.hidden.iter().map(|topic| self.kafka.names.topic(*topic)).collect();
            log::info!(
                "kafka.topics" = names.join(" ").as_str();
                "the brokers do not show the settings of these topics (that takes the right to DescribeConfigs); they are not checked"
            );
        }
        if again && *seen == Seen::default() {
            log::info!("the topics' settings are as they should be");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{env::Env, kafka::watch::TopicShape};
    use rdkafka::mocking::MockCluster;
    use std::time::Instant;

    const LIMIT: Duration = Duration::from_secs(20);

    /// librdkafka's own cluster knows no `DescribeConfigs`.
    #[tokio::test(flavor = "multi_thread")]
    async fn brokers_that_do_not_show_settings_leave_the_service_ready() {
        let cluster = MockCluster::new(1).unwrap();
        let brokers = cluster.bootstrap_servers();
        let kafka = KafkaConfig::from_env(&mut Env::from_pairs([("KAFKA_BROKERS", brokers.as_str())]));
        let watch = KafkaWatch::new(kafka.clone());
        let check = TopicCheck::new(kafka, Arc::clone(&watch), &[Topic::Created], Duration::ZERO);
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (check, stop) = (Arc::clone(&check), stop.clone());
            async move { tokio::join!(watch.run(|_| true, stop.clone()), check.run(stop)) }
        });
        // The topic is not there yet.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(check.problem().as_deref(), Some("not looked at yet"));

        cluster.create_topic(Topic::Created.name(), 2, 1).unwrap();
        let began = Instant::now();
        while check.problem().is_some() {
            assert!(began.elapsed() < LIMIT, "{:?}", check.problem());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let seen = check.seen.lock().unwrap().clone().unwrap();
        assert_eq!(seen, Seen { hidden: vec![Topic::Created], ..Seen::default() });
        stop.cancel();
        running.await.unwrap();
    }

    #[test]
    fn hidden_settings_of_a_topic_are_no_wrong_settings() {
        let kafka = KafkaConfig::from_env(&mut Env::from_pairs([("KAFKA_REPLICATION", "3")]));
        let watch = KafkaWatch::new(kafka.clone());
        for topic in Topic::ALL {
            watch.note_shape(topic, TopicShape { partitions: 6, replicas: 1 });
        }
        let check = TopicCheck::new(kafka, watch, &[Topic::Created, Topic::Verified], Duration::ZERO);
        let deletes = Found::from([("cleanup.policy".to_owned(), "delete".to_owned())]);
        let seen = check.judge(&HashMap::from([(Topic::Created, Found::new()), (Topic::Verified, deletes)]));
        assert_eq!(seen.hidden, [Topic::Created]);
        assert_eq!(seen.thin, [(Topic::Created, 1), (Topic::Verified, 1)]);
        *check.seen.lock().unwrap() = Some(seen);
        assert!(check.problem().unwrap().starts_with("user_account_verified: cleanup.policy is delete"));
    }
}
