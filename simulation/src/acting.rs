//! What is done in the course of time: people register, wait for the mail and prove that they have it; strangers do what they can with
//! the addresses of others; operators forget accounts.

use crate::{
    broker::Outgoing,
    call::{Call, Caller, Verb},
    people::{Human, Mail, VICTIMS, Wish},
    schedule::milliseconds,
    world::{AFTER_FAULTS, Happening, World},
};
use contract::{
    account_id::AccountId,
    event::{Event, Mailing},
    registration_id::RegistrationId,
    request_id::RequestId,
    topic::Topic,
};
use rand::RngExt;
use std::time::Duration;
use user_service::simulated::Answer;

/// Nobody waits longer for an answer.
const NO_ANSWER_AFTER: Duration = Duration::from_secs(10);

impl World {
    /// Somebody signs up, for the first time or again.
    pub(crate) fn sign_up(&mut self) {
        let (now, people) = (self.true_time(), &mut self.people);
        let number = match people.random.random_range(0..100) {
            0..3 => {
                let record = people.noise(now);
                self.agenda.after(Duration::from_millis(5), Happening::Noise(Box::new(record)));
                None
            }
            3..15 => Some(people.random.random_range(0..people.humans.len())),
            _ => Some(people.add()),
        };
        if let Some(number) = number {
            self.wish(number, Wish::Register);
        }
        if self.agenda.now() < self.setup.faults_for + AFTER_FAULTS {
            let pause = self.people.pause(self.setup.pause);
            self.agenda.after(pause, Happening::SignUp);
        }
    }

    /// Somebody does what they wanted to do.
    pub(crate) fn wish(&mut self, number: usize, wish: Wish) {
        let is_over = self.agenda.now() > self.setup.faults_for + AFTER_FAULTS;
        let human = &mut self.people.humans[number];
        if wish != Wish::Insist && (is_over || human.patience == 0) {
            return;
        }
        human.patience = human.patience.saturating_sub(1);
        let newest = human.ids.last().copied();
        let insists_on = human.insists_on.clone();
        let verb = match (wish, newest, insists_on) {
            (Wish::Insist, _, Some((id, mail))) => Verb::Link(id, self.people.token(&mail)),
            (Wish::Insist, _, None) => return,
            (Wish::More, Some(id), _) => Verb::Resend(id),
            (Wish::Register | Wish::More, ..) => Verb::Register(self.people.enter(number, 0.1)),
            (Wish::Prove, ..) => match self.people.proof(number) {
                Some(verb) => verb,
                None => return,
            },
        };
        // Now and then somebody clicks twice.
        if matches!(verb, Verb::Register(_)) && self.people.random.random_bool(0.2) {
            self.call(Caller::TwiceClicked(number), verb.clone());
        }
        self.call(Caller::Owner(number), verb);
    }

    /// A stranger does something with somebody's address.
    pub(crate) fn stranger(&mut self) {
        let victim = self.people.random.random_range(0..VICTIMS);
        let known = self.people.of_strangers.get(&victim).map(Vec::as_slice).unwrap_or_default();
        let verb = if known.is_empty() || self.people.random.random_bool(0.5) {
            Verb::Register(self.people.enter(victim, 0.3))
        } else {
            let id = known[self.people.random.random_range(0..known.len())];
            let (account, wall) = (self.people.account(victim), self.true_time());
            // One guess in a million is right, and here one in a hundred; more often where that must not help.
            let is_lucky = self.people.random.random_bool(0.01)
                || (self.people.random.random_bool(0.2) && self.ledger.has_used_up(account, wall));
            let mail = self.people.humans[victim].mails.last().filter(|_| is_lucky);
            match mail {
                Some(mail) => Verb::Code(id, self.people.code(mail)),
                None if self.people.random.random_bool(0.05) => Verb::Resend(id),
                None => Verb::Code(id, self.people.guess()),
            }
        };
        self.call(Caller::Stranger(victim), verb);
        if self.agenda.now() < self.setup.faults_for + AFTER_FAULTS {
            let pause = self.people.pause(self.setup.strangers);
            self.agenda.after(pause, Happening::Stranger);
        }
    }

    /// Makes a request at any of the user services.
    #[expect(clippy::expect_used, reason = "letters and digits")]
    fn call(&mut self, caller: Caller, verb: Verb) {
        let people = &mut self.people;
        people.count += 1;
        let (number, sign) = match caller {
            Caller::Owner(number) | Caller::TwiceClicked(number) => (number, ""),
            Caller::Stranger(number) => (number, "x"),
        };
        let request = format!("{}-{sign}{}", people.humans[number].name, people.count);
        let request = RequestId::parse(&request).expect("an id");
        let call = Call { caller, request: request.clone(), verb };
        people.calls.insert(request.clone(), call.clone());
        let user = people.random.random_range(0..self.users.len());
        let wait = milliseconds(&mut people.random, 1..30);
        self.agenda.after(wait, Happening::Called(user, Box::new(call)));
        self.agenda.after(wait + NO_ANSWER_AFTER, Happening::Told(request, None));
    }

    /// A service does not listen.
    pub(crate) fn refused(&mut self, call: &Call) {
        self.agenda.after(Duration::from_millis(1), Happening::Told(call.request.clone(), None));
    }

    /// Somebody gets an answer, or none.
    pub(crate) fn told(&mut self, request: &RequestId, answer: Option<Answer>) {
        let Some(Call { caller, verb, .. }) = self.people.calls.remove(request) else { return };
        match (caller, answer) {
            (Caller::Owner(number), answer) => self.owner_told(number, verb, answer),
            (Caller::Stranger(victim), Some(Answer::Registered(id))) => {
                let ids = self.people.of_strangers.entry(victim).or_default();
                ids.push(id);
                // The newest ones; guesses with the others are used up.
                if ids.len() > 8 {
                    ids.remove(0);
                }
            }
            (Caller::TwiceClicked(number), Some(Answer::Registered(id))) => {
                self.people.humans[number].ids.push(id)
            }
            (Caller::TwiceClicked(_) | Caller::Stranger(_), _) => {}
        }
    }

    fn owner_told(&mut self, number: usize, verb: Verb, answer: Option<Answer>) {
        let (window, cool_down) = (self.setup.rules.window, self.setup.rules.resend_cooldown);
        let (human, random) = (&mut self.people.humans[number], &mut self.people.random);
        let insists = human.insists_on.is_some();
        let soon = milliseconds(random, 200..3_000);
        let next = match answer {
            Some(Answer::Registered(id)) => {
                human.ids.push(id);
                // Those who are sought come back in every window; others try a mail that they have already, or want another.
                match random.random_range(0..10) {
                    _ if number < VICTIMS => {
                        Some((window.mul_f64(random.random_range(0.1..0.9)), Wish::Register))
                    }
                    0 => Some((soon, Wish::Prove)),
                    1..5 if !human.is_verified && !self.setup.is_light => {
                        Some((cool_down.mul_f64(random.random_range(0.5..3.0)), Wish::More))
                    }
                    _ => None,
                }
            }
            Some(Answer::Verified(_)) if insists => {
                human.insists_on = None;
                None
            }
            Some(Answer::Verified(_)) => {
                human.is_verified = true;
                match random.random_range(0..10) {
                    0..2 => Some((milliseconds(random, 1_000..60_000), Wish::Prove)),
                    2..5 => Some((milliseconds(random, 1_000..300_000), Wish::Register)),
                    _ => None,
                }
            }
            Some(Answer::WrongCode { .. } | Answer::GuessesUsedUp) => Some((soon * 2, Wish::Prove)),
            Some(Answer::Wait(wait)) => Some((wait, Wish::More)),
            Some(Answer::Shown(_)) => {
                if let Verb::Show(id, token) = verb {
                    self.call(Caller::Owner(number), Verb::Link(id, token));
                }
                None
            }
            Some(Answer::WrongToken | Answer::Unknown) if !insists => {
                let later = milliseconds(random, 1_000..60_000);
                random.random_bool(0.5).then_some((later, Wish::Register))
            }
            _ if insists => Some((soon, Wish::Insist)),
            _ => {
                let again = match verb {
                    Verb::Register(_) => Wish::Register,
                    Verb::Resend(_) => Wish::More,
                    _ => Wish::Prove,
                };
                Some((soon, again))
            }
        };
        if let Some((wait, wish)) = next {
            self.agenda.after(wait, Happening::Wish(number, wish));
        }
    }

    /// A mail is in a mailbox.
    pub(crate) fn mail_arrives(&mut self, event: &Event) {
        let Event::Registered(Mailing::FirstCode | Mailing::FurtherCode, mail) = event else { return };
        let Some(number) = self.people.owners.get(&mail.id).copied() else { return };
        let human = &mut self.people.humans[number];
        human.mails.push(Mail {
            registration: mail.registration,
            email: mail.email.clone(),
            window: mail.window,
        });
        // The first one is never in a hurry: strangers have all the time that there is.
        let is_calm = number == 0 || human.is_verified || self.setup.is_light;
        let chance = if is_calm { 0.05 } else { 0.6 };
        if self.people.random.random_bool(chance) {
            let most = if self.people.random.random_bool(0.8) { 20_000 } else { 300_000 };
            let wait = milliseconds(&mut self.people.random, 500..most);
            self.agenda.after(wait, Happening::Wish(number, Wish::Prove));
        }
    }

    /// An operator forgets an account.
    pub(crate) fn forget(&mut self) {
        // Nobody is forgotten again after the last fault.
        if self.agenda.now() + self.setup.clock_tolerance() + Duration::from_secs(10) > self.setup.faults_for
        {
            return;
        }
        let people = &mut self.people;
        let number = if people.random.random_bool(0.5) {
            VICTIMS - 1
        } else {
            people.random.random_range(0..people.humans.len())
        };
        people.humans[number].is_verified = false;
        let wait = milliseconds(&mut people.random, 500..60_000);
        self.agenda.after(wait, Happening::Wish(number, Wish::Register));
        self.write_tombstone(self.people.account(number));
        let pause = milliseconds(&mut self.people.random, 10_000..120_000);
        self.agenda.after(pause, Happening::Forget);
    }

    /// Writes a tombstone, and looks later whether the account was verified meanwhile (`user-service forget`).
    pub(crate) fn write_tombstone(&mut self, account: AccountId) {
        let record = Outgoing {
            topic: Topic::Verified,
            key: Some(account.to_string().into_bytes()),
            payload: None,
            headers: Vec::new(),
            created_at: self.true_time(),
        };
        self.append(record, None);
        self.agenda.after(self.setup.clock_tolerance(), Happening::IsForgotten(account));
    }

    /// After the last fault: whoever has a mail whose link is right is verified with it.
    pub(crate) fn insist(&mut self) {
        let now = self.true_time();
        let until = now + (self.setup.faults_for + AFTER_FAULTS).saturating_sub(self.agenda.now());
        for number in 0..self.people.humans.len() {
            let Human { mails, ids, .. } = &self.people.humans[number];
            let pairs = mails.iter().rev().take(3).flat_map(|mail| {
                let ids = ids.iter().rev().take(3).copied().chain([mail.registration]);
                ids.map(move |id| (id, mail.clone()))
            });
            let pairs: Vec<_> = pairs.collect();
            let proves = |(id, mail): &(RegistrationId, Mail)| {
                self.ledger.proves((*id, &mail.email), mail.window, (now, until))
            };
            let proof = pairs.into_iter().find(proves);
            if proof.is_some() {
                self.people.humans[number].insists_on = proof;
                self.wish(number, Wish::Insist);
            }
        }
    }
}
