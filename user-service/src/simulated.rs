//! One replica, driven by a caller: by the simulator in `simulation/`, which decides what happens next. No interface for others.
//!
//! The verbs and the view are the real ones; only their `Outside` is by hand. This is compiled always, without a cargo feature: with
//! one, a build of the workspace would compile this crate twice.

use crate::{
    config::Config,
    correlation::Correlation,
    metrics::Metrics,
    network::Client,
    outside::{Outside, by_hand::ByHand},
    pages::{Pages, Setting},
    replica::END_TIMEOUT,
    rules::{Freshness, Rules},
    signup::{self, Proof, Registered, Resent, Signup, Unavailable, Verdict},
};
pub use crate::{
    log_ends::{Offsets, Partition},
    outside::by_hand::{Asked, Published},
    replica::Record,
};
use contract::{
    account_id::AccountId,
    person::Person,
    registration_id::RegistrationId,
    request_id::RequestId,
    topic::Topic,
    verification_code::{LinkToken, VerificationCode},
};
use jiff::Timestamp;
use runtime::{
    env::{Env, EnvError},
    texts_watch,
};
use std::{
    fmt,
    pin::Pin,
    sync::{Arc, LazyLock},
    time::Duration,
};
use texts::Kept;

/// A request under way; it waits for what the caller has to bring about.
pub type Work = Pin<Box<dyn Future<Output = Answer>>>;

/// The one client of all requests: `WRONG_CODES` has to be off.
const CLIENT: Client = Client::Named(0);

/// One replica of the user service, and all that it needs from outside.
pub struct Replica {
    signup: Signup,
    hand: Arc<ByHand>,
    rules: Rules,
}

/// What a caller of the API learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A registration with this id is in the log.
    Registered(RegistrationId),
    /// Another mail can be asked for after this time.
    Wait(Duration),
    /// This account is verified.
    Verified(AccountId),
    /// The code is wrong or was not compared.
    WrongCode {
        /// Guesses that are left with this registration.
        attempts_left: u32,
    },
    /// The token is wrong.
    WrongToken,
    /// The guesses with this registration are used up.
    GuessesUsedUp,
    /// The client has tried too many wrong codes.
    TooManyWrongCodes,
    /// What the token's link confirms.
    Shown(Person),
    /// Nobody registered under this id lately.
    Unknown,
    /// All that was in the log is in the view ([`Replica::reach_end`]).
    AtEnd,
    /// Nothing was decided, and why.
    Unavailable(String),
}

/// A configuration as the service reads it. All of them share their pages: to make these takes longer than many a run.
///
/// # Errors
/// All problems at once.
pub fn config(mut env: Env) -> Result<Config, EnvError> {
    static PAGES: LazyLock<Option<Arc<Kept<Pages>>>> = LazyLock::new(|| {
        let build =
            |texts: &_, folder: &_, faults: &mut _| Pages::build(texts, folder, &Setting::default(), faults);
        texts_watch::from_env(&mut Env::from_pairs::<&str, &str>([]), build)
    });
    let config = Config::with(&mut env, |_, _| PAGES.clone());
    env.finish(|| config)
}

impl Replica {
    /// A replica that has read nothing, whose clock shows `now`, and whose ids follow from `seed`. moka removes registrations by the
    /// machine's clock: `now` has to be years ahead of that.
    #[must_use]
    pub fn new(config: &Config, now: Timestamp, seed: u64) -> Self {
        let hand = Arc::new(ByHand::new(now, seed));
        let signup = Signup::new(config, Arc::new(Metrics::new()), Outside::ByHand(Arc::clone(&hand)));
        Self { signup, hand, rules: config.rules }
    }

    /// Lets time pass, and then sets the clock. A deadline that passes wakes no request.
    pub fn pass_time(&self, time: Duration, now: Timestamp) {
        self.hand.advance(time);
        self.hand.set(now);
    }

    /// From which time on a topic has to be read; `None` if all of it has to.
    #[must_use]
    pub fn since(&self, topic: Topic) -> Option<Timestamp> {
        self.signup.replica().reading().since(topic)
    }

    /// Begins to read: each partition from its start; the replay is over at these ends.
    pub fn begin(&self, start: Offsets, end: Offsets) {
        self.signup.replica().reading().begin(start, end);
    }

    /// Takes the next record of a partition.
    pub fn take(&self, record: &Record<'_>) {
        self.signup.replica().reading().take(record);
    }

    /// Whether the replay is over.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.signup.replica().is_caught_up()
    }

    /// Forgets what can't matter any more, as is done every 5 s.
    pub fn tidy(&self) {
        self.signup.replica().reading().tidy();
    }

    /// Goes to the log-end offsets, as is done every second.
    #[must_use]
    pub fn reach_end(&self) -> Work {
        let (replica, deadline) = (Arc::clone(self.signup.replica()), self.hand.instant() + END_TIMEOUT);
        answered(async move { Ok(replica.reading().reach(Freshness::END, deadline).await?) }, |()| {
            Answer::AtEnd
        })
    }

    /// `POST /api/register`
    #[must_use]
    pub fn register(&self, person: Person, request: RequestId) -> Work {
        let registering = self.signup.clone().register(person, Correlation::begin(request));
        answered(registering, |Registered { id, .. }| Answer::Registered(id))
    }

    /// `POST /api/resend`
    #[must_use]
    pub fn resend(&self, id: RegistrationId, request: RequestId) -> Work {
        answered(self.signup.clone().resend(id, Correlation::begin(request)), |resent| match resent {
            Resent::Accepted(Registered { id, .. }) => Answer::Registered(id),
            Resent::Wait(wait) => Answer::Wait(wait),
            Resent::Unknown => Answer::Unknown,
        })
    }

    /// `POST /api/verify` with a code
    #[must_use]
    pub fn try_code(&self, id: RegistrationId, code: VerificationCode, request: RequestId) -> Work {
        self.verify(id, Proof::Code(code), request)
    }

    /// `POST /api/verify` with a token
    #[must_use]
    pub fn follow_link(&self, id: RegistrationId, token: LinkToken, request: RequestId) -> Work {
        self.verify(id, Proof::Token(token), request)
    }

    fn verify(&self, id: RegistrationId, proof: Proof, request: RequestId) -> Work {
        let verifying = self.signup.clone().verify(id, proof, CLIENT, Correlation::begin(request));
        answered(verifying, |verdict| match verdict {
            Verdict::Verified(account) => Answer::Verified(account),
            Verdict::WrongCode { attempts_left } => Answer::WrongCode { attempts_left },
            Verdict::WrongToken => Answer::WrongToken,
            Verdict::GuessesUsedUp => Answer::GuessesUsedUp,
            Verdict::TooManyWrongCodes(_) => Answer::TooManyWrongCodes,
            Verdict::Unknown => Answer::Unknown,
        })
    }

    /// `POST /api/registration`
    #[must_use]
    pub fn show(&self, id: RegistrationId, token: LinkToken) -> Work {
        answered(self.signup.clone().show(id, token), |shown| match shown {
            signup::Shown::Registration(person) => Answer::Shown(person),
            signup::Shown::WrongToken => Answer::WrongToken,
            signup::Shown::Unknown => Answer::Unknown,
        })
    }

    /// The events that were published since the last call, the oldest first.
    #[must_use]
    pub fn take_published(&self) -> Vec<Published> {
        self.hand.take_published()
    }

    /// The queries of log-end offsets since the last call, each with the moment at which it was made.
    #[must_use]
    pub fn take_asked(&self) -> Vec<Asked> {
        self.hand.take_asked()
    }

    /// All that counts of an account, in an order that does not depend on the order of reading: replicas that have read the same log
    /// agree on it.
    #[must_use]
    pub fn knows_of(&self, account: AccountId) -> String {
        let (view, now) = (self.signup.replica().view(), self.hand.now());
        let is_alive = |id| view.registration(id, now).is_some();
        let known = view.look_at(account, |account, is_verified| {
            (account.in_fixed_order(now, &self.rules, &is_alive), is_verified)
        });
        format!("{known:?}")
    }

    /// Who registered with this id, if that counts still.
    #[must_use]
    pub fn registered(&self, id: RegistrationId) -> Option<Person> {
        self.signup.replica().view().registration(id, self.hand.now()).map(|registration| registration.person)
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replica")
    }
}

fn answered<T>(
    work: impl Future<Output = Result<T, Unavailable>> + 'static,
    answer: impl FnOnce(T) -> Answer + 'static,
) -> Work {
    Box::pin(async { work.await.map_or_else(|error| Answer::Unavailable(error.to_string()), answer) })
}
