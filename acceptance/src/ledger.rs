//! The accepted registrations of a test, to be checked against the inbox.

use crate::{
    api::{Answer, Api},
    inbox::{Inbox, Mail, VERIFY},
    latency::Latencies,
    load::open_loop,
};
use futures_util::future::join_all;
use jiff::Timestamp;
use reqwest::StatusCode;
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;

/// A registration that was answered with 202.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The person's address.
    pub email: String,
    /// The id of this registration, from the answer.
    pub id: String,
    /// The time just before the accepted request was sent.
    pub sent_at: Timestamp,
    /// The time of the answer.
    pub answered_at: Timestamp,
    /// The 503s before it, in order.
    pub refusals: Vec<Answer>,
}

impl Registration {
    /// Registers, and expects a 202 at the first request.
    pub async fn accepted(api: &Api, email: String) -> Self {
        let answer = api.register(&email).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        Self::of(email, &answer, Vec::new())
    }

    /// Registers at one replica after the other until it is accepted. Waits after each refusal as its `Retry-After` says.
    pub async fn insist(replicas: &[Api], first: usize, email: String) -> Self {
        let mut refusals = Vec::new();
        for api in replicas.iter().cycle().skip(first % replicas.len()) {
            let answer = api.register(&email).await;
            if answer.status == StatusCode::ACCEPTED {
                return Self::of(email, &answer, refusals);
            }
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
            let pause = answer.retry_after.expect("a 503 with Retry-After");
            refusals.push(answer);
            tokio::time::sleep(Duration::from_secs(pause)).await;
        }
        unreachable!("the replicas are asked without end")
    }

    fn of(email: String, answer: &Answer, refusals: Vec<Answer>) -> Self {
        let id = answer.id().to_owned();
        Self { email, id, sent_at: answer.sent_at, answered_at: answer.answered_at, refusals }
    }

    /// All mails with a code for this person: at least one, all with the same code and Message-ID.
    #[must_use]
    pub fn code_mails(&self, inbox: &Inbox) -> Vec<Mail> {
        let mails = inbox.mails(&self.email, VERIFY);
        let first = mails.first().expect("a mail for everybody who was told so");
        for mail in &mails {
            assert_eq!(mail.code(), first.code(), "two codes for {}", self.email);
            assert_eq!(mail.message_id, first.message_id, "two mails, not duplicates, for {}", self.email);
        }
        mails
    }

    /// The code in this person's mail.
    #[must_use]
    pub fn code(&self, inbox: &Inbox) -> String {
        self.code_mails(inbox)[0].code().to_owned()
    }
}

/// Registers `count` people, twenty at a time.
///
/// # Panics
/// When a registration is not accepted.
pub async fn register(api: &Api, name: &str, count: usize) -> Vec<Registration> {
    let mut registrations = Vec::new();
    while registrations.len() < count {
        let batch = (registrations.len()..count).take(20);
        let emails = batch.map(|number| format!("{name}{number}@example.com"));
        registrations.extend(join_all(emails.map(|email| Registration::accepted(api, email))).await);
    }
    registrations
}

/// People who register at a rate until [`Registering::end`].
#[derive(Debug)]
pub struct Registering {
    over: Arc<AtomicBool>,
    registrations: JoinHandle<Vec<Registration>>,
}

impl Registering {
    /// Begins. `register` gets the person's number.
    pub fn begin<F>(per_second: u32, register: impl FnMut(usize) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Registration> + Send + 'static,
    {
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let registrations =
            tokio::spawn(open_loop(per_second, move |_| !ends.load(Ordering::Relaxed), register));
        Self { over, registrations }
    }

    /// Ends, and returns all registrations.
    ///
    /// # Panics
    /// When a registration has panicked.
    pub async fn end(self) -> Vec<Registration> {
        self.over.store(true, Ordering::Relaxed);
        self.registrations.await.expect("no panic in the load")
    }
}

/// Waits until each of these people has a mail with a code. Panics with the addresses without one.
pub async fn all_mailed(registrations: &[Registration], inbox: &Inbox, limit: Duration) {
    let mut missing: HashSet<&str> = registrations.iter().map(|it| it.email.as_str()).collect();
    let mut all = async || {
        let mailed = inbox.wait_until(limit, || {
            missing.retain(|email| inbox.mails(email, VERIFY).is_empty());
            missing.is_empty()
        });
        mailed.await
    };
    let mailed = all().await;
    assert!(mailed, "{} registrations were answered with 202 and not mailed: {missing:?}", missing.len());
}

/// The time that each answer took.
#[must_use]
pub fn register_latencies(registrations: &[Registration]) -> Latencies {
    registrations.iter().map(|it| crate::api::between(it.sent_at, it.answered_at)).collect()
}
