//! Who was told that a mail is on its way, to hold the inbox against.

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
    /// Of the person.
    pub email: String,
    /// Of this one registration, as answered.
    pub id: String,
    /// Just before the request that was accepted.
    pub sent_at: Timestamp,
    /// When the answer was there.
    pub answered_at: Timestamp,
    /// The 503s before it, in their order.
    pub refusals: Vec<Answer>,
}

impl Registration {
    /// Registers, and expects to be accepted at once.
    pub async fn accepted(api: &Api, email: String) -> Self {
        let answer = api.register(&email).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        Self::of(email, &answer, Vec::new())
    }

    /// Registers at one replica after the other until it is accepted, with the pause that each refusal asks for.
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

    /// All mails with a code that this person got: at least one, and all with the same code and Message-ID.
    #[must_use]
    pub fn code_mails(&self, inbox: &Inbox) -> Vec<Mail> {
        let mails = inbox.mails(&self.email, VERIFY);
        let first = mails.first().expect("a mail for everybody who was told so");
        for mail in &mails {
            assert_eq!(mail.code(), first.code(), "two codes for {}", self.email);
            assert_eq!(mail.message_id, first.message_id, "two mails, not copies, for {}", self.email);
        }
        mails
    }

    /// The code that this person was mailed.
    #[must_use]
    pub fn code(&self, inbox: &Inbox) -> String {
        self.code_mails(inbox)[0].code().to_owned()
    }
}

/// Registers so many people, twenty at a time.
///
/// # Panics
/// When one of them is not accepted.
pub async fn register(api: &Api, name: &str, count: usize) -> Vec<Registration> {
    let mut registrations = Vec::new();
    while registrations.len() < count {
        let batch = (registrations.len()..count).take(20);
        let emails = batch.map(|number| format!("{name}{number}@example.com"));
        registrations.extend(join_all(emails.map(|email| Registration::accepted(api, email))).await);
    }
    registrations
}

/// People who register at a rate, until they are told to end.
#[derive(Debug)]
pub struct Registering {
    over: Arc<AtomicBool>,
    registrations: JoinHandle<Vec<Registration>>,
}

impl Registering {
    /// Begins; `register` registers the person of a number.
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

    /// Ends, and answers who registered.
    ///
    /// # Panics
    /// When registering one of them did.
    pub async fn end(self) -> Vec<Registration> {
        self.over.store(true, Ordering::Relaxed);
        self.registrations.await.expect("no panic in the load")
    }
}

/// Waits until each of these people has a mail with a code; names those who have not.
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

/// How long each took to be answered.
#[must_use]
pub fn register_latencies(registrations: &[Registration]) -> Latencies {
    registrations.iter().map(|it| crate::api::between(it.sent_at, it.answered_at)).collect()
}
