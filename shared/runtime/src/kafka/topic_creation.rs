//! Creates the topics that are missing.
//!
//! Managed Kafkas refuse some settings. A topic is then created with those that the brokers take, and one line names the
//! others. If one of these keeps a promise, the check of the topics makes the service not ready.

use super::{ClientLog, KafkaConfig};
use contract::topic::{Settings, Topic};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    error::{KafkaError, RDKafkaErrorCode as Code},
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const TIMEOUT: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl KafkaConfig {
    /// Creates missing topics, and tries again until that succeeds or `stop` is cancelled.
    ///
    /// A lack of rights is only a warning: somebody else may be in charge of the topics.
    pub async fn ensure_topics(&self, stop: &CancellationToken) {
        let mut pause = Duration::from_millis(100);
        let mut reported = Vec::new();
        loop {
            let Err(error) = self.create_topics().await else { return };
            // The same reason again is no news.
            if !reported.contains(&error) {
                log::warn!("error" = error.to_string().as_str(); "topics can't be created yet; trying again");
                reported.push(error);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    async fn create_topics(&self) -> Result<(), KafkaError> {
        let admin = self.admin()?;
        let creation = Creation { kafka: self, admin: &admin };
        for topic in Topic::ALL {
            let name = self.names.topic(topic);
            let settings = topic.settings(self.replication);
            match creation.ask(&name, &settings, false).await? {
                Ok(()) => log::info!("kafka.topic" = name.as_str(); "topic created"),
                Err(Code::TopicAlreadyExists) => {}
                Err(code @ (Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed)) => {
                    log::warn!("kafka.topic" = name.as_str(), "error" = code.to_string().as_str(); "no right to create the topic; an operator has to");
                }
                Err(Code::InvalidConfig | Code::PolicyViolation) => {
                    creation.without_refused(&name, &settings).await?;
                }
                Err(code) => return Err(KafkaError::AdminOp(code)),
            }
        }
        Ok(())
    }
}

struct Creation<'a> {
    kafka: &'a KafkaConfig,
    admin: &'a AdminClient<ClientLog>,
}

impl Creation<'_> {
    /// Creates a topic, or only asks whether the brokers would.
    async fn ask(
        &self,
        name: &str,
        settings: &Settings,
        only_ask: bool,
    ) -> Result<Result<(), Code>, KafkaError> {
        let KafkaConfig { partitions, replication, .. } = self.kafka;
        let new = NewTopic::new(name, *partitions, TopicReplication::Fixed(*replication));
        let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).validate_only(only_ask);
        let results = self.admin.create_topics([&new], &options).await?;
        Ok(results.into_iter().next().map_or(Ok(()), |result| result.map(|_| ()).map_err(|(_, code)| code)))
    }

    /// Creates a topic with those of its settings that the brokers take, each beside those before it.
    async fn without_refused(&self, name: &str, settings: &Settings) -> Result<(), KafkaError> {
        let (mut taken, mut refused) = (Settings::new(), Settings::new());
        for setting in settings {
            taken.push(setting.clone());
            match self.ask(name, &taken, true).await? {
                Ok(()) => {}
                Err(Code::InvalidConfig | Code::PolicyViolation) => refused.extend(taken.pop()),
                // The other service was quicker.
                Err(Code::TopicAlreadyExists) => return Ok(()),
                Err(code) => return Err(KafkaError::AdminOp(code)),
            }
        }
        // If it is none of the settings, the brokers refuse the topic itself.
        match self.ask(name, &taken, false).await? {
            Ok(()) => {}
            Err(Code::TopicAlreadyExists) => return Ok(()),
            Err(code) => return Err(KafkaError::AdminOp(code)),
        }
        let refused: Vec<_> = refused.iter().map(|(name, value)| format!("{name}={value}")).collect();
        log::warn!(
            "kafka.topic" = name, "settings" = refused.join(",").as_str();
            "topic created without the settings that the brokers refuse; docs/operations.md (Topics) has their purpose"
        );
        Ok(())
    }
}
