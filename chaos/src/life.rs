//! One person, from the form to the verified account: retries, loses patience, mistypes, as people do.

use crate::{
    client::{Clients, Told},
    evidence::Ask,
    ledger::CODE_TTL,
    people::{Habit, Plan},
    sink::{Letter, Sink},
};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

const GUESSES: usize = 24;
/// After it somebody who waits for a mail asks for another.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest pause before a request is repeated, whatever the answer asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// After it another mail may be asked for.
pub(crate) const RESEND_COOLDOWN: Duration = Duration::from_secs(2);
/// Rounds of register, wait and verify before a person gives up.
const TRIES: usize = 6;
const POLL: Duration = Duration::from_millis(100);

/// A person who lives out a plan; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) plan: Arc<Plan>,
    pub(crate) clients: Arc<Clients>,
    pub(crate) sink: Arc<Sink>,
    /// The replica that is asked next.
    pub(crate) replica: usize,
}

impl Life {
    /// Does everything that the plan says; answers whether the person was verified in the end.
    pub(crate) async fn live(mut self) -> bool {
        if let Some(soon) = self.plan.disconnects {
            let register = self.clients.ask(self.replica, self.registration());
            // Nobody is there any more for the answer.
            let _ = timeout(soon, register).await;
        }
        let id = self.register().await;
        match self.plan.habit {
            Habit::Abandons => return false,
            Habit::Guesses => self.guess(&id).await,
            Habit::ComesLate => {
                sleep(CODE_TTL.unsigned_abs()).await;
                if let Some(letter) = self.letters().pop() {
                    self.verify(&id, &letter.code).await;
                }
                self.register().await;
            }
            Habit::Verifies | Habit::ComesBack => {}
        }
        if self.plan.wants_another {
            sleep(RESEND_COOLDOWN).await;
            self.resend(&id).await;
        }
        let verified = self.become_verified(&id).await;
        if verified && self.plan.habit == Habit::ComesBack {
            self.register().await;
            self.verify(&id, &self.wrong_code(0)).await;
            self.resend(&id).await;
        }
        verified
    }

    async fn become_verified(&mut self, id: &str) -> bool {
        for _ in 0..TRIES {
            let Some(letter) = self.newest_letter().await else {
                self.ask_for_another(id).await;
                continue;
            };
            for number in 0..self.plan.typos {
                self.verify(id, &self.wrong_code(number)).await;
            }
            let told = if self.plan.uses_link {
                self.insist(Ask::VerifyLink { id: id.to_owned(), token: letter.token }).await
            } else {
                self.verify(id, &letter.code).await
            };
            if told.status == 200 {
                self.try_other_codes(id, &letter.code).await;
                return true;
            }
            self.ask_for_another(id).await;
        }
        false
    }

    /// Codes of older or newer mails must not be right as well.
    async fn try_other_codes(&mut self, id: &str, right: &str) {
        let others: BTreeSet<String> =
            self.letters().into_iter().map(|letter| letter.code).filter(|code| code != right).collect();
        for code in others {
            self.verify(id, &code).await;
        }
    }

    async fn ask_for_another(&mut self, id: &str) {
        sleep(RESEND_COOLDOWN).await;
        let told = self.resend(id).await;
        // Expired, or never heard of: everything from the beginning.
        if matches!(told.status, 404 | 410) {
            self.register().await;
        }
    }

    /// All at once, at all replicas, whether or not the mail is there; then another mail with a new code.
    async fn guess(&mut self, id: &str) {
        let mut guesses = JoinSet::new();
        for number in 0..GUESSES {
            let (clients, replica) = (Arc::clone(&self.clients), self.replica + number);
            let guess = Ask::VerifyCode { id: id.to_owned(), code: self.wrong_code(number) };
            guesses.spawn(async move { clients.ask(replica, guess).await });
        }
        guesses.join_all().await;
        sleep(RESEND_COOLDOWN).await;
        self.resend(id).await;
        // The newest mail is the one with a code that still has attempts.
        sleep(RESEND_COOLDOWN).await;
    }

    /// Registers until that is accepted, and answers the id.
    async fn register(&mut self) -> String {
        loop {
            if let Some(id) = self.click(self.registration()).await.id {
                return id;
            }
        }
    }

    async fn verify(&mut self, id: &str, code: &str) -> Told {
        self.click(Ask::VerifyCode { id: id.to_owned(), code: code.to_owned() }).await
    }

    async fn resend(&mut self, id: &str) -> Told {
        self.insist(Ask::Resend { id: id.to_owned() }).await
    }

    /// Presses a button; some people do that twice.
    async fn click(&mut self, ask: Ask) -> Told {
        if self.plan.double_clicks {
            let (first, second) = (ask.clone(), ask.clone());
            tokio::join!(self.clients.ask(self.replica, first), self.clients.ask(self.replica + 1, second));
        }
        self.insist(ask).await
    }

    /// Asks one replica after the other until one has an answer.
    async fn insist(&mut self, ask: Ask) -> Told {
        loop {
            let told = self.clients.ask(self.replica, ask.clone()).await;
            match told {
                Some(told) if !matches!(told.status, 408 | 503) => return told,
                _ => {}
            }
            self.replica += 1;
            let pause = told.and_then(|told| told.retry_after).unwrap_or(POLL);
            sleep(pause.min(LONGEST_PAUSE)).await;
        }
    }

    fn registration(&self) -> Ask {
        Ask::Register { email: self.plan.email.clone(), locale: self.plan.locale }
    }

    fn letters(&self) -> Vec<Letter> {
        self.sink.letters(&self.plan.email)
    }

    async fn newest_letter(&self) -> Option<Letter> {
        let began = Instant::now();
        loop {
            let newest = self.letters().pop();
            if newest.is_some() || began.elapsed() > PATIENCE {
                return newest;
            }
            sleep(POLL).await;
        }
    }

    fn wrong_code(&self, number: usize) -> String {
        format!("{:06}", (usize::try_from(self.plan.wrong_code).unwrap_or(0) + number) % 1_000_000)
    }
}
