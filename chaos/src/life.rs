//! One person, from the form to the verified account: retries, loses patience and mistypes, as people do.

use crate::{
    client::{Clients, Told},
    evidence::Ask,
    operator::Operator,
    people::{Habit, Plan},
    rules, siege,
    sink::{Letter, Sink},
};
use jiff::Timestamp;
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
/// After this wait for a mail, a person asks for another.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest pause before a request is repeated, whatever `Retry-After` says.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The time after which another mail may be requested.
const COOLDOWN: Duration = rules::RESEND_COOLDOWN.unsigned_abs();
/// Rounds of register, wait and verify before a person gives up.
const TRIES: usize = 6;
const POLL: Duration = Duration::from_millis(100);

/// A person who follows a plan.
pub(crate) struct Life {
    pub(crate) plan: Plan,
    pub(crate) clients: Arc<Clients>,
    pub(crate) sink: Arc<Sink>,
    pub(crate) operator: Arc<Operator>,
    /// The replica for the next request.
    pub(crate) replica: usize,
}

/// The ids that a registered person knows: the first one, and that of the last request for another mail.
struct Ids {
    first: String,
    newest: String,
}

impl Life {
    /// Carries out the plan. Returns whether the person was verified in the end.
    pub(crate) async fn live(mut self) -> bool {
        let siege = self.besiege();
        if let Some(soon) = self.plan.disconnects {
            let register = self.clients.ask(self.replica, self.registration());
            // The person has left before the answer.
            let _ = timeout(soon, register).await;
        }
        let mut ids = self.register().await;
        match self.plan.habit {
            Habit::Abandons => return false,
            Habit::Guesses => self.guess(&mut ids).await,
            Habit::ComesLate => self.come_late(&mut ids).await,
            Habit::Verifies | Habit::ComesBack | Habit::IsForgotten => {}
        }
        if self.plan.wants_another {
            sleep(COOLDOWN).await;
            self.resend(&mut ids).await;
        }
        let account = self.become_verified(&mut ids).await;
        match (self.plan.habit, &account) {
            (Habit::ComesBack, Some(_)) => {
                // No proof is right with a registration made later than the skew after the verification.
                sleep(rules::MAX_CLOCK_SKEW.unsigned_abs()).await;
                let mut later = self.register().await;
                self.verify(&later.first, &self.wrong_code(0)).await;
                self.use_all_letters(&later.first).await;
                self.resend(&mut later).await;
            }
            (Habit::IsForgotten, Some(account)) => self.begin_anew(account, &ids).await,
            _ => {}
        }
        siege.join_all().await;
        account.is_some()
    }

    fn besiege(&self) -> JoinSet<()> {
        let mut siege = JoinSet::new();
        if let Some(stranger) = self.plan.besieged_by.clone() {
            let (clients, replica, wrong_code) =
                (Arc::clone(&self.clients), self.replica, self.plan.wrong_code);
            siege.spawn(async move { siege::lay(&clients, &stranger, replica + 1, wrong_code).await });
        }
        siege
    }

    /// Returns the account's id when it is verified.
    async fn become_verified(&mut self, ids: &mut Ids) -> Option<String> {
        for _ in 0..TRIES {
            let Some(letter) = self.newest_letter(0).await else {
                self.ask_for_another(ids).await;
                continue;
            };
            for number in 0..self.plan.typos {
                self.verify(&ids.first, &self.wrong_code(number)).await;
            }
            let mut told = if self.plan.uses_link {
                // The mail's own link: somebody else may have requested this mail.
                self.follow_link(&letter.registration, &letter.token).await
            } else {
                self.verify(&ids.first, &letter.code).await
            };
            if told.status != 200 {
                // The page prefers its own registration to the link's.
                told = self.follow_link(&ids.first, &letter.token).await;
            }
            if told.status == 200 {
                self.use_all_letters(&ids.first).await;
                return told.id;
            }
            self.ask_for_another(ids).await;
        }
        None
    }

    /// Tries each code and each link that has arrived.
    async fn use_all_letters(&mut self, id: &str) {
        let letters = self.letters();
        let codes: BTreeSet<&str> = letters.iter().map(|letter| letter.code.as_str()).collect();
        for code in codes {
            self.verify(id, code).await;
        }
        for letter in &letters {
            self.follow_link(&letter.registration, &letter.token).await;
        }
    }

    async fn ask_for_another(&mut self, ids: &mut Ids) {
        sleep(COOLDOWN).await;
        self.resend(ids).await;
    }

    /// Guesses all at once, at all replicas, before or after the mail. Then takes an id that has guesses left.
    async fn guess(&mut self, ids: &mut Ids) {
        let mut guesses = JoinSet::new();
        for number in 0..GUESSES {
            let (clients, replica) = (Arc::clone(&self.clients), self.replica + number);
            let guess = Ask::VerifyCode { id: ids.first.clone(), code: self.wrong_code(number) };
            guesses.spawn(async move { clients.ask(replica, guess).await });
        }
        guesses.join_all().await;
        sleep(COOLDOWN).await;
        self.resend(ids).await;
        ids.first.clone_from(&ids.newest);
    }

    /// Tries the code after its end, and then registers properly.
    async fn come_late(&mut self, ids: &mut Ids) {
        let now = Timestamp::now();
        let ends_at = rules::code_ends_at(rules::window_at(now));
        sleep(ends_at.duration_since(now).unsigned_abs()).await;
        if let Some(letter) = self.letters().pop() {
            self.verify(&ids.first, &letter.code).await;
        }
        *ids = self.register().await;
    }

    /// Is forgotten: no earlier proof is right, and the person begins again.
    async fn begin_anew(&mut self, account: &str, ids: &Ids) {
        let before = self.letters();
        self.operator.forget(account).await;
        sleep(COOLDOWN).await;
        self.use_all_letters(&ids.first).await;
        let mut anew = self.register().await;
        // The next window has another code.
        if self.newest_letter(before.len()).await.is_some() {
            self.become_verified(&mut anew).await;
        }
    }

    /// Registers until it is accepted.
    async fn register(&mut self) -> Ids {
        loop {
            if let Some(id) = self.click(self.registration()).await.id {
                return Ids { first: id.clone(), newest: id };
            }
        }
    }

    async fn verify(&mut self, id: &str, code: &str) -> Told {
        self.click(Ask::VerifyCode { id: id.to_owned(), code: code.to_owned() }).await
    }

    async fn follow_link(&mut self, id: &str, token: &str) -> Told {
        self.insist(Ask::VerifyLink { id: id.to_owned(), token: token.to_owned() }).await
    }

    /// Asks for another mail. If the id has ended, registers again.
    async fn resend(&mut self, ids: &mut Ids) {
        let told = self.insist(Ask::Resend { id: ids.newest.clone() }).await;
        match (told.status, told.id) {
            (404, _) => *ids = self.register().await,
            (_, Some(id)) => ids.newest = id,
            _ => {}
        }
    }

    /// Presses a button; some people press it twice.
    async fn click(&mut self, ask: Ask) -> Told {
        if self.plan.double_clicks {
            let (first, second) = (ask.clone(), ask.clone());
            tokio::join!(self.clients.ask(self.replica, first), self.clients.ask(self.replica + 1, second));
        }
        self.insist(ask).await
    }

    /// Asks one replica after the other until one answers.
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
        Ask::Register(self.plan.person.clone())
    }

    fn letters(&self) -> Vec<Letter> {
        self.sink.letters(&self.plan.person.email)
    }

    /// Waits until there are more letters than `more_than`, and returns the newest.
    async fn newest_letter(&self, more_than: usize) -> Option<Letter> {
        let began = Instant::now();
        loop {
            let newest = self.letters().into_iter().skip(more_than).last();
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
