//! Accounts in the initial state of a measurement: registered, or verified with the mailed code.
//!
//! The bench knows the services' secrets, so it computes the code as they do.

use crate::{
    fill::{self, Person},
    load::{Bodies, Connection, Target, closed_loop},
    progress,
};
use acceptance::world::CODE_SECRETS;
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use contract::{
    code_secrets::CodeSecrets, email_address::EmailAddress, registration_id::RegistrationId,
    verification_code::VerificationCode,
};
use jiff::Timestamp;
use serde_json::Value;
use std::{
    net::SocketAddr,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The number of connections that register accounts.
const CONNECTIONS: u16 = 64;

/// A registration and the code of its window.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    registration: RegistrationId,
    code: VerificationCode,
}

impl Account {
    /// Reads the answer to a registration, which states when the code of the clock's window ends.
    fn of(answer: &[u8], secrets: &CodeSecrets) -> anyhow::Result<Self> {
        let answer: Value = serde_json::from_slice(answer)?;
        let field = |name: &str| answer["data"][name].as_str().context("not the answer to a registration");
        let registration: RegistrationId = field("id")?.parse()?;
        let expires_at: Timestamp = field("expires_at")?.parse()?;
        let (window, email) = (fill::window_of(expires_at)?, EmailAddress::parse(field("email")?)?);
        let account = fill::account(&email)?;
        Ok(Self { registration, code: VerificationCode::derive(secrets.current(), account, &email, window) })
    }

    /// The request that verifies it.
    pub(crate) fn verification(&self) -> Bytes {
        format!(r#"{{"id":"{}","code":"{}"}}"#, self.registration, self.code.digits()).into()
    }
}

/// The registration of the person with this number.
pub(crate) fn registration(person: u64) -> Bytes {
    let email = Person::email(person);
    format!(r#"{{"first_name":"Augusta Ada","last_name":"Lovelace-King","email":"{email}"}}"#).into()
}

/// Registers these people for the first time.
///
/// # Errors
/// When a registration is refused.
pub(crate) async fn register(address: SocketAddr, people: Range<u64>) -> anyhow::Result<Vec<Account>> {
    let bar = progress::bar("registering accounts", people.end - people.start);
    let next = Arc::new(AtomicU64::new(people.start));
    let secrets = CodeSecrets::parse(CODE_SECRETS)?;
    let mut busy = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(address, "/api/register").await?;
        let (next, secrets, bar, end) = (Arc::clone(&next), secrets.clone(), bar.clone(), people.end);
        busy.push(tokio::spawn(async move {
            let mut accounts = Vec::new();
            loop {
                let person = next.fetch_add(1, Ordering::Relaxed);
                if person >= end {
                    return anyhow::Ok(accounts);
                }
                let (status, answer) = connection.exchange(registration(person)).await?;
                ensure!(status == 202, "a registration was answered {status}");
                accounts.push(Account::of(&answer, &secrets)?);
                bar.inc(1);
            }
        }));
    }
    let mut accounts = Vec::new();
    for connection in busy {
        accounts.extend(connection.await??);
    }
    Ok(accounts)
}

/// Verifies these accounts.
///
/// # Errors
/// When a verification is refused.
pub(crate) async fn verify(address: SocketAddr, accounts: &[Account]) -> anyhow::Result<()> {
    let bodies = verifications(accounts.to_vec());
    let target = Target::new(address, "/api/verify");
    closed_loop(&target, CONNECTIONS, Duration::MAX, &bodies).await?.all_answered(200)?;
    Ok(())
}

/// One verification of each account, one after the other. It ends when all are verified, even if several loads use it.
pub(crate) fn verifications(accounts: Vec<Account>) -> Bodies {
    let next = AtomicU64::new(0);
    Arc::new(move |_| {
        let next = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).ok()?;
        accounts.get(next).map(Account::verification)
    })
}
