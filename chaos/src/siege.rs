//! A stranger who wants an address for himself, or its owner kept out: registers it with other names, burns its guesses, asks for
//! mails, and mails its mailbox by tags.
//!
//! He takes every answer as it comes; what the owner gets nevertheless is what the ledger finds.

use crate::{
    client::Clients,
    evidence::{Ask, Person},
    rules,
};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::sleep;

/// Registrations of the address itself; their guesses are more than a window has.
const REGISTRATIONS: usize = 3;
/// Tagged spellings, twice as many as a window has places for.
const TAGGED: u32 = 2 * rules::MAX_TAGGED_MAILS;
const PAUSE: Duration = Duration::from_millis(700);

/// Does all of it, against whatever comes back. `wrong_code` is the first that is tried.
pub(crate) async fn lay(clients: &Clients, stranger: &Person, replica: usize, wrong_code: u32) {
    for number in 0..REGISTRATIONS {
        let registered = clients.ask(replica + number, Ask::Register(stranger.clone())).await;
        let Some(id) = registered.and_then(|told| told.id) else { continue };
        // One more than count.
        let guesses = (0..=rules::CODE_ATTEMPTS).map(|guess| {
            let code = format!("{:06}", (wrong_code + 50 + guess) % 1_000_000);
            clients.ask(replica + number, Ask::VerifyCode { id: id.clone(), code })
        });
        join_all(guesses).await;
        sleep(PAUSE).await;
        clients.ask(replica, Ask::Resend { id }).await;
    }
    let tagged = (0..TAGGED).map(|number| {
        let email = stranger.email.replacen('@', &format!("+{number}@"), 1);
        clients.ask(replica, Ask::Register(Person { email, ..stranger.clone() }))
    });
    join_all(tagged).await;
}
