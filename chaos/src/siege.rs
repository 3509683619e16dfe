//! A stranger who wants an address for himself, or wants to keep its owner out. He registers it with other names, burns its
//! guesses, asks for mails, and causes mails to its mailbox through tagged spellings.
//!
//! He accepts every answer. The ledger finds what the owner gets nevertheless.

use crate::{
    client::Clients,
    evidence::{Ask, Person},
    rules,
};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::sleep;

/// Registrations of the address itself. Together they have more guesses than a window.
const REGISTRATIONS: usize = 3;
/// Tagged spellings: twice as many as a window has places for.
const TAGGED: u32 = 2 * rules::MAX_TAGGED_MAILS;
const PAUSE: Duration = Duration::from_millis(700);

/// Does all of this, whatever the answers are. `wrong_code` is the first code to try.
pub(crate) async fn lay(clients: &Clients, stranger: &Person, replica: usize, wrong_code: u32) {
    for number in 0..REGISTRATIONS {
        let registered = clients.ask(replica + number, Ask::Register(stranger.clone())).await;
        let Some(id) = registered.and_then(|told| told.id) else { continue };
        // One more guess than counts.
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
