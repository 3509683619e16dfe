//! The surroundings of one test: a broker, an inbox and services, with a folder for their data and logs.
//!
//! Topics have fixed names, so each world has its own broker, without data of other tests.

use crate::{api::Api, inbox::Inbox, kafka::Kafka, service::Service};
use std::path::Path;
use tempfile::TempDir;

/// The code secrets of these services. The module `proofs` computes codes and tokens from them.
pub const CODE_SECRETS: &str = "k1:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=";
/// The id secret of these services.
pub const ID_SECRET: &str = "dnV0c3JxcG9ubWxramloZ2ZlZGNiYTk4NzY1NDMyMTA=";

/// A broker, a mail server and their folder. Create it before its services, so that it is dropped after them.
#[derive(Debug)]
pub struct World {
    /// The broker.
    pub kafka: Kafka,
    /// The mail server.
    pub inbox: Inbox,
    folder: TempDir,
}

impl World {
    /// A world in which nothing runs.
    pub async fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("acceptance-").tempdir().expect("a folder");
        Self { kafka: Kafka::new(folder.path()), inbox: Inbox::new().await, folder }
    }

    /// A world with a running broker and a running mail server.
    pub async fn start() -> Self {
        let world = Self::new().await;
        world.inbox.start().await;
        world.kafka.start().await;
        world
    }

    /// The folder of data and logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps the folder when the world ends.
    pub fn keep_folder(&mut self) {
        self.folder.disable_cleanup(true);
    }

    /// A user service that is not running; `name` is the name of its log.
    #[must_use]
    pub fn user_service(&self, name: &str) -> Service {
        let variables = [
            ("KAFKA_BROKERS", self.kafka.bootstrap()),
            ("CODE_SECRETS", CODE_SECRETS.to_owned()),
            ("ID_SECRET", ID_SECRET.to_owned()),
            ("USER_SERVICE_ADMIN_ADDR", "127.0.0.1:0".to_owned()),
            // All load comes from one address.
            ("RATE_LIMIT", "off".to_owned()),
            ("WRONG_CODES", "off".to_owned()),
            ("MAX_CONNECTIONS_PER_ADDRESS", "4096".to_owned()),
        ];
        Service::new("user-service", name, "USER_SERVICE_ADDR", self.folder.path(), &variables)
    }

    /// A notification service that is not running; `name` is the name of its log.
    #[must_use]
    pub fn notification_service(&self, name: &str) -> Service {
        let smtp = self.inbox.address();
        let variables = [
            ("KAFKA_BROKERS", self.kafka.bootstrap()),
            ("CODE_SECRETS", CODE_SECRETS.to_owned()),
            ("SMTP_HOST", smtp.ip().to_string()),
            ("SMTP_PORT", smtp.port().to_string()),
        ];
        let address = "NOTIFICATION_SERVICE_ADDR";
        Service::new("notification-service", name, address, self.folder.path(), &variables)
    }

    /// A ready user service, and its API.
    pub async fn ready_user_service(&self, name: &str) -> (Service, Api) {
        let mut service = self.user_service(name);
        service.start_and_wait().await;
        let api = Api::new(service.address());
        (service, api)
    }

    /// A ready notification service.
    pub async fn ready_notification_service(&self, name: &str) -> Service {
        let mut service = self.notification_service(name);
        service.start_and_wait().await;
        service
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            show(&format!("logs and data are in {}", self.folder.path().display()));
        }
    }
}

/// Prints a line of figures, for runs with `--nocapture`.
#[expect(clippy::print_stdout, reason = "the figures are a result of the run")]
pub fn show(line: &str) {
    println!("    {line}");
}
