//! Broker, inbox and both services: started in an order without waiting, stopped in the reverse order.

use crate::data_folder::DataFolder;
use anyhow::{Context, anyhow};
use runtime::env::Env;
use sandbox::{
    broker::{Broker, Storage},
    inbox::Inbox,
};
use std::{
    error::Error,
    io::{self, ErrorKind::AddrInUse},
    net::SocketAddr,
    path::Path,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The variables for remote brokers and mail servers. An empty value is the default.
const OF_OTHERS: [&str; 17] = [
    "KAFKA_SECURITY_PROTOCOL",
    "KAFKA_CA_FILE",
    "KAFKA_CERTIFICATE_FILE",
    "KAFKA_KEY_FILE",
    "KAFKA_SASL_USERNAME",
    "KAFKA_SASL_PASSWORD",
    "KAFKA_SASL_PASSWORD_FILE",
    "KAFKA_TOKEN_FILE",
    "SMTP_ENCRYPTION",
    "SMTP_CA_FILE",
    "SMTP_USERNAME",
    "SMTP_PASSWORD",
    "SMTP_PASSWORD_FILE",
    "SMTP_TOKEN_FILE",
    "SMTP_AUTH",
    "SMTP_CERTIFICATE_FILE",
    "SMTP_KEY_FILE",
];

/// The ports on 127.0.0.1; 0 takes any free one.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// Of the broker, for every Kafka client.
    pub kafka: u16,
    /// Of the inbox's SMTP server.
    pub smtp: u16,
    /// Of the inbox's web page.
    pub inbox: u16,
}

/// The running system.
pub struct System {
    broker: Broker,
    inbox: Inbox,
    user_service: SocketAddr,
    user_service_admin: SocketAddr,
    notification_service: SocketAddr,
    services: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Default for Ports {
    fn default() -> Self {
        Self { kafka: 9092, smtp: 1025, inbox: 8025 }
    }
}

impl Ports {
    /// Reads `STANDALONE_KAFKA_PORT`, `STANDALONE_SMTP_PORT` and `STANDALONE_INBOX_PORT`, with their defaults.
    /// [`System::start`] reports wrong values with all other problems.
    pub fn from_env(env: &mut Env) -> Self {
        let defaults = Self::default();
        let mut port = |name, default| {
            env.or(name, default, |value| value.parse().map_err(|_| "a port from 0 to 65535"))
        };
        Self {
            kafka: port("STANDALONE_KAFKA_PORT", defaults.kafka),
            smtp: port("STANDALONE_SMTP_PORT", defaults.smtp),
            inbox: port("STANDALONE_INBOX_PORT", defaults.inbox),
        }
    }
}

impl System {
    /// Starts everything, with its data in `folder`. The services get all other variables of `env`.
    ///
    /// # Errors
    /// When a port is taken, a variable is wrong or the folder can't be used.
    pub async fn start(folder: &Path, ports: Ports, mut env: Env) -> anyhow::Result<Self> {
        let opened = DataFolder::open(folder).and_then(|opened| Ok((opened.secrets()?, opened)));
        let (secrets, folder) = opened.map_err(|error| advise_owner(error, folder))?;
        let broker =
            Broker::start(Storage::Directory(folder.broker()), ports.kafka).await.map_err(|error| {
                advise(error, AddrInUse, "STANDALONE_KAFKA_PORT changes it (0: any free one)")
            })?;
        let inbox = Inbox::start(ports.smtp, ports.inbox).await.map_err(|error| {
            let advice = "STANDALONE_SMTP_PORT and STANDALONE_INBOX_PORT change them (0: any free one)";
            advise(error, AddrInUse, advice)
        })?;
        for (name, value) in secrets {
            env.set(&name, value);
        }
        env.set("KAFKA_BROKERS", broker.bootstrap());
        env.set("KAFKA_REPLICATION", "1");
        env.set("SMTP_HOST", inbox.smtp_address().ip().to_string());
        env.set("SMTP_PORT", inbox.smtp_address().port().to_string());
        // A .env file may name other brokers and mail servers, and files with other secrets. These settings must not apply here.
        for name in OF_OTHERS.into_iter().chain(["CODE_SECRETS_FILE", "ID_SECRET_FILE"]) {
            env.set(name, "");
        }
        for further_server in ["SMTP_2_", "SMTP_3_"] {
            env.forget(further_server);
        }
        let user_service = user_service::Application::start(user_service::Config::load(env.clone())?)?;
        env.set_default("PUBLIC_URL", format!("http://{}", user_service.address()));
        let notification_service =
            notification_service::Application::start(notification_service::Config::load(env)?)?;
        let (user_service_at, notification_service_at) =
            (user_service.address(), notification_service.address());
        let user_service_admin = user_service.admin_address();
        let stop = CancellationToken::new();
        let mut services = JoinSet::new();
        services.spawn(user_service.run(stop.clone()));
        services.spawn(notification_service.run(stop.clone()));
        Ok(Self {
            broker,
            inbox,
            user_service: user_service_at,
            user_service_admin,
            notification_service: notification_service_at,
            services,
            stop,
        })
    }

    /// The broker's address for `bootstrap.servers`.
    #[must_use]
    pub fn kafka(&self) -> String {
        self.broker.bootstrap()
    }

    /// The inbox.
    #[must_use]
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// The address of the user service's API.
    #[must_use]
    pub fn user_service(&self) -> SocketAddr {
        self.user_service
    }

    /// The address of the user service's health and metrics.
    #[must_use]
    pub fn user_service_admin(&self) -> SocketAddr {
        self.user_service_admin
    }

    /// The address of the notification service's health and metrics.
    #[must_use]
    pub fn notification_service(&self) -> SocketAddr {
        self.notification_service
    }

    /// Waits until `stop` is cancelled or a service ends, then stops everything gracefully.
    ///
    /// # Errors
    /// The error of the service that failed.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut outcome = tokio::select! {
            () = stop.cancelled() => Ok(()),
            Some(ended) = self.services.join_next() => flatten(ended),
        };
        self.stop.cancel();
        while let Some(ended) = self.services.join_next().await {
            outcome = outcome.and(flatten(ended));
        }
        // The services have ended, and need the broker and the mail server no more.
        self.inbox.stop().await;
        self.broker.stop().await;
        outcome
    }
}

/// Adds advice to an error, if it has a cause of this kind.
fn advise(error: anyhow::Error, kind: io::ErrorKind, advice: &str) -> anyhow::Error {
    let is_meant = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == kind)
    };
    if error.chain().any(is_meant) { anyhow!("{error:#}. {advice}") } else { error }
}

/// Adds advice about a folder that exists and that this user may not use.
fn advise_owner(error: anyhow::Error, folder: &Path) -> anyhow::Error {
    if !folder.exists() {
        return error;
    }
    let folder = folder.display();
    let advice = format!(
        "{folder} must be this user's to read and to write; after a run by root, `sudo chown -R \"$USER\" {folder}` makes it \
         so. `cargo run -- --fresh` moves it aside and begins anew"
    );
    advise(error, io::ErrorKind::PermissionDenied, &advice)
}

fn flatten(ended: Result<anyhow::Result<()>, tokio::task::JoinError>) -> anyhow::Result<()> {
    ended.context("a service ended in a bug")?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind::{NotFound, PermissionDenied};

    #[test]
    fn a_folder_of_another_user_is_answered_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let denied =
            |kind| anyhow::Error::from(io::Error::from(kind)).context("can't write data/secrets.env");
        let told = advise_owner(denied(PermissionDenied), folder.path()).to_string();
        assert!(told.starts_with("can't write data/secrets.env: permission denied. "), "{told}");
        assert!(told.contains(&format!("sudo chown -R \"$USER\" {}", folder.path().display())), "{told}");
        assert!(!advise_owner(denied(NotFound), folder.path()).to_string().contains("chown"));
        assert!(
            !advise_owner(denied(PermissionDenied), &folder.path().join("none"))
                .to_string()
                .contains("chown")
        );
    }
}
