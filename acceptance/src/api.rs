//! The REST API for a client: one request, one answer, and the times of both.

use jiff::Timestamp;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};

/// Longer than any answer may take. A request that reaches it fails the test.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The API of one user service; cheap to clone.
#[derive(Debug, Clone)]
pub struct Api {
    client: reqwest::Client,
    address: SocketAddr,
}

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// Seconds of `Retry-After`.
    pub retry_after: Option<u64>,
    /// The body; `Null` when it isn't JSON.
    pub body: Value,
    /// The time just before the request was sent.
    pub sent_at: Timestamp,
    /// The time at which the body was complete.
    pub answered_at: Timestamp,
}

impl Api {
    /// The API of the service at this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        let client = reqwest::Client::builder().timeout(TIMEOUT).tcp_nodelay(true).build();
        Self { client: client.expect("a client"), address }
    }

    /// Registers Ada Lovelace with this address.
    pub async fn register(&self, email: &str) -> Answer {
        let person = json!({"first_name": "Ada", "last_name": "Lovelace", "email": email});
        self.post("/api/register", person).await
    }

    /// Asks for another mail.
    pub async fn resend(&self, id: &str) -> Answer {
        self.post("/api/resend", json!({"id": id})).await
    }

    /// Asks for the data that a mail's link would confirm.
    pub async fn registration(&self, id: &str, token: &str) -> Answer {
        self.post("/api/registration", json!({"id": id, "token": token})).await
    }

    /// Verifies with a code; `id` is a registration's.
    pub async fn verify(&self, id: &str, code: &str) -> Answer {
        self.post("/api/verify", json!({"id": id, "code": code})).await
    }

    /// Verifies with the token of a mail's link.
    pub async fn verify_by_link(&self, id: &str, token: &str) -> Answer {
        self.post("/api/verify", json!({"id": id, "token": token})).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        let request = self.client.post(format!("http://{}{path}", self.address)).json(&body);
        Self::send(request).await.expect("an answer")
    }

    /// Posts this body with these headers.
    pub async fn post_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let request = self.client.post(format!("http://{}{path}", self.address)).json(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Self::send(request).await.expect("an answer")
    }

    /// Posts this body with this request id, and gives up after `limit`.
    ///
    /// # Errors
    /// There is no answer, or none in time. Dropping the future closes the connection.
    pub async fn try_post(
        &self,
        path: &str,
        body: &Value,
        request_id: &str,
        limit: Duration,
    ) -> Result<Answer, reqwest::Error> {
        let request = self.client.post(format!("http://{}{path}", self.address));
        Self::send(request.header("x-request-id", request_id).timeout(limit).json(body)).await
    }

    async fn send(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let sent_at = Timestamp::now();
        let response = request.send().await?;
        let status = response.status();
        let header = response.headers().get("retry-after").cloned();
        let body = response.bytes().await?;
        Ok(Answer {
            status,
            retry_after: header.and_then(|value| value.to_str().ok()?.parse().ok()),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            sent_at,
            answered_at: Timestamp::now(),
        })
    }
}

impl Answer {
    /// The time from the request to the answer.
    #[must_use]
    pub fn latency(&self) -> Duration {
        between(self.sent_at, self.answered_at)
    }

    /// The id in an answer: the registration's if it was accepted, the account's if it was verified.
    #[must_use]
    pub fn id(&self) -> &str {
        self.body["data"]["id"].as_str().expect("an id")
    }

    /// Whether the code was compared and is wrong.
    #[must_use]
    pub fn is_wrong_code(&self) -> bool {
        let name = self.body["type"].as_str().unwrap_or_default();
        self.status == StatusCode::UNPROCESSABLE_ENTITY && name.ends_with(":wrong-code")
    }
}

/// The time between two moments; zero if the second is not later.
#[must_use]
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or(Duration::ZERO)
}
