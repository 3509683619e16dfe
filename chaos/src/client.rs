//! HTTP clients. Each request enters the clients' log before it is sent, whatever becomes of it.

use crate::{
    evidence::{Ask, Person, Reply, Request},
    schedule::REPLICAS,
};
use acceptance::api::{Answer, Api};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long a client waits for an answer: longer than a service may take, shorter than some freezes.
const PATIENCE: Duration = Duration::from_secs(7);

/// All clients, with one log.
#[derive(Debug)]
pub(crate) struct Clients {
    replicas: [Api; REPLICAS],
    log: Mutex<Vec<Request>>,
}

/// The answer that a client got.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) status: u16,
    /// The registration's id in an accepted registration, the account's id in a verification.
    pub(crate) id: Option<String>,
    /// The pause in `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
}

impl Clients {
    pub(crate) fn new(replicas: [Api; REPLICAS]) -> Self {
        Self { replicas, log: Mutex::default() }
    }

    /// All requests in the order in which they were sent.
    pub(crate) fn log(&self) -> Vec<Request> {
        self.entries().clone()
    }

    /// The address and the id of the newest accepted registration.
    pub(crate) fn newest_registration(&self) -> Option<(String, String)> {
        self.entries().iter().rev().find_map(|entry| match (&entry.ask, entry.reply.as_ref()) {
            (Ask::Register(person), Some(Reply { status: 202, id: Some(id), .. })) => {
                Some((person.email.clone(), id.clone()))
            }
            _ => None,
        })
    }

    /// Asks one replica; `None` without an answer. If the future is dropped, the request stays in the log without an answer.
    pub(crate) async fn ask(&self, replica: usize, ask: Ask) -> Option<Told> {
        let (path, body) = request(&ask);
        let (place, request_id) = {
            let mut log = self.entries();
            let request_id = format!("chaos-{}", log.len());
            log.push(Request { request_id: request_id.clone(), ask, sent_at: Timestamp::now(), reply: None });
            (log.len() - 1, request_id)
        };
        let api = &self.replicas[replica % REPLICAS];
        let answer = api.try_post(path, &body, &request_id, PATIENCE).await.ok()?;
        let reply = reply(&answer);
        let told = Told {
            status: reply.status,
            id: reply.id.clone(),
            retry_after: answer.retry_after.map(Duration::from_secs),
        };
        if let Some(entry) = self.entries().get_mut(place) {
            entry.reply = Some(reply);
        }
        Some(told)
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Request>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The path and the body of a request.
fn request(ask: &Ask) -> (&'static str, Value) {
    match ask {
        Ask::Register(Person { first_name, last_name, email, locale }) => {
            let person =
                json!({"first_name": first_name, "last_name": last_name, "email": email, "locale": locale});
            ("/api/register", person)
        }
        Ask::Resend { id } => ("/api/resend", json!({"id": id})),
        Ask::VerifyCode { id, code } => ("/api/verify", json!({"id": id, "code": code})),
        Ask::VerifyLink { id, token } => ("/api/verify", json!({"id": id, "token": token})),
    }
}

fn reply(answer: &Answer) -> Reply {
    let problem = answer.body["type"].as_str().and_then(|name| name.rsplit(':').next());
    Reply {
        status: answer.status.as_u16(),
        problem: problem.unwrap_or_default().to_owned(),
        id: answer.body["data"]["id"].as_str().map(str::to_owned),
        attempts_left: answer.body["attempts_left"].as_u64().and_then(|left| left.try_into().ok()),
        at: answer.answered_at,
    }
}
