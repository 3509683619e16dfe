//! The first of two mail servers fails in many ways under load. `scripts/failover.sh` runs all of them, each for twenty seconds.

use acceptance::{
    api::{Api, between},
    ledger::{Registering, Registration},
    service::Service,
    world::{World, show},
};
use jiff::Timestamp;
use sandbox::smtp::{Action, Keep, Script, SmtpServer, Stage};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::sleep;

const PER_SECOND: u32 = 100;
const SESSIONS: usize = 16;
/// `SMTP_TIMEOUT`: how long a server may be silent.
const SILENCE: Duration = Duration::from_secs(10);
/// From a server's recovery until it has all mail again: the pause of probes, then the trial. Some to spare, for a busy machine.
const BACK_WITHIN: Duration = Duration::from_secs(30 + 10 + 30 + 10);
const LIMIT: Duration = Duration::from_secs(120);

/// How the first server fails.
#[derive(Debug, Clone)]
enum Fault {
    /// It refuses connections, and has lost those that were open.
    Away,
    /// It does this at one stage of each session.
    At(Stage, Action),
    /// It takes this long for each answer.
    Slow(Duration),
}

fn faults() -> Vec<(&'static str, Fault)> {
    let at = Fault::At;
    vec![
        ("refuses connections", Fault::Away),
        ("accepts and says nothing", at(Stage::Connect, Action::Hang)),
        ("421 as greeting", at(Stage::Connect, Action::reply(421, "4.3.2 not now"))),
        ("454 to EHLO", at(Stage::Ehlo, Action::reply(454, "4.7.0 TLS not available"))),
        ("451 to MAIL", at(Stage::Mail, Action::reply(451, "4.3.0 Temporary system problem"))),
        ("535 to MAIL", at(Stage::Mail, Action::reply(535, "5.7.8 Authentication credentials invalid"))),
        ("450 to all recipients", at(Stage::Rcpt, Action::reply(450, "not now"))),
        ("closes at DATA", at(Stage::Data, Action::Disconnect)),
        ("takes the mail and closes", at(Stage::EndOfData, Action::AcceptThenDisconnect)),
        ("3 s for each answer", Fault::Slow(Duration::from_secs(3))),
        ("silent from RCPT on", at(Stage::Rcpt, Action::Hang)),
        ("silent after the final dot", at(Stage::EndOfData, Action::Hang)),
    ]
}

/// All mails, whichever server accepted them: server and time of each, by Message-ID.
#[derive(Debug, Default)]
struct Mails(Mutex<HashMap<String, Vec<(usize, Timestamp)>>>);

impl Mails {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<(usize, Timestamp)>>> {
        self.0.lock().expect("nobody panics with it")
    }

    /// Those that arrived from this time on: how many of them the second server accepted, and when the first of these came.
    fn by_second(&self, from: Timestamp) -> (usize, Option<Timestamp>) {
        let mails = self.lock();
        let accepted = mails.values().flatten().filter(|(server, at)| *server == 1 && *at >= from);
        let times: Vec<_> = accepted.map(|(_, at)| *at).collect();
        (times.len(), times.into_iter().min())
    }

    /// Mails beyond the first with a Message-ID.
    fn duplicates(&self) -> usize {
        self.lock().values().map(|mails| mails.len() - 1).sum()
    }

    /// The longest time without any mail between these two.
    fn longest_pause(&self, from: Timestamp, to: Timestamp) -> Duration {
        let mails = self.lock();
        let mut times: Vec<_> = mails.values().flatten().map(|(_, at)| *at).collect();
        times.retain(|at| (from..=to).contains(at));
        times.extend([from, to]);
        times.sort_unstable();
        times.windows(2).map(|pair| between(pair[0], pair[1])).max().unwrap_or_default()
    }
}

struct Stand {
    world: World,
    servers: [SmtpServer; 2],
    mails: Arc<Mails>,
    recipients: Arc<Mutex<HashSet<String>>>,
}

impl Stand {
    async fn new() -> Self {
        let (mails, recipients) = (Arc::new(Mails::default()), Arc::new(Mutex::new(HashSet::new())));
        let mut servers = Vec::new();
        for number in 0..2 {
            let server = SmtpServer::start_keeping(0, Keep::Nothing).await.expect("a port");
            let (mails, recipients) = (Arc::clone(&mails), Arc::clone(&recipients));
            server.on_mail(move |mail| {
                let id = mail.message_id.clone().unwrap_or_default();
                mails.lock().entry(id).or_default().push((number, mail.received_at));
                recipients.lock().expect("nobody panics with it").extend(mail.recipients.iter().cloned());
            });
            servers.push(server);
        }
        let world = World::new().await;
        world.kafka.start().await;
        Self { world, servers: servers.try_into().expect("two"), mails, recipients }
    }

    fn notification_service(&self) -> Service {
        let [first, second] = self.servers.each_ref().map(|server| server.address().port().to_string());
        let service = self.world.notification_service("notification").with("SMTP_HOST", "127.0.0.1");
        let service =
            service.with("SMTP_PORT", &first).with("SMTP_2_HOST", "127.0.0.1").with("SMTP_2_PORT", &second);
        service.with("SMTP_TIMEOUT", "10s").with("SMTP_CONNECTIONS", &SESSIONS.to_string())
    }

    /// Waits until everybody has a mail.
    async fn all_mailed(&self, registrations: &[Registration]) {
        let began = Instant::now();
        loop {
            let missing: Vec<_> = {
                let mailed = self.recipients.lock().expect("nobody panics with it");
                registrations
                    .iter()
                    .map(|it| it.email.as_str())
                    .filter(|email| !mailed.contains(*email))
                    .collect()
            };
            if missing.is_empty() {
                return;
            }
            assert!(began.elapsed() < LIMIT, "{} without a mail: {missing:?}", missing.len());
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// People who sign up at the rate, whose addresses begin with this name.
fn people(api: &Api, name: String) -> Registering {
    let api = api.clone();
    Registering::begin(PER_SECOND, move |number| {
        let (api, email) = (api.clone(), format!("{name}-{number}@example.com"));
        async move { Registration::accepted(&api, email).await }
    })
}

async fn health(service: &Service) -> serde_json::Value {
    let answer = reqwest::get(format!("http://{}/health/ready", service.address())).await.expect("an answer");
    answer.json().await.expect("JSON")
}

/// Waits until the gate of the first server is open, or closed.
async fn first_is_open(service: &Service, open: bool, limit: Duration) -> Duration {
    let began = Instant::now();
    loop {
        let health = health(service).await;
        if health["mail_servers"][0]["open"] == open {
            return began.elapsed();
        }
        assert!(began.elapsed() < limit, "not within {limit:?}: {health}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_mail_server_takes_over_however_the_first_one_fails_and_gives_the_mail_back() {
    let all = std::env::var("FAILOVER").is_ok_and(|text| text == "all");
    let (number_of_faults, time) = if all { (usize::MAX, 20) } else { (1, 5) };
    let stand = Stand::new().await;
    let (_user_service, api) = stand.world.ready_user_service("user").await;
    let mut service = stand.notification_service();
    service.start_and_wait().await;
    let [first, second] = &stand.servers;
    for (number, (name, fault)) in faults().into_iter().take(number_of_faults).enumerate() {
        let load = people(&api, format!("fault{number}"));
        assert!(
            first.wait_for_count(first.count() + 100, LIMIT).await,
            "{name}: the first server has the mail"
        );
        let duplicates_before = stand.mails.duplicates();
        // How many mails may have been accepted without the service's knowledge.
        let unknown = Arc::new(AtomicUsize::new(0));
        let began = Timestamp::now();
        let is_away = matches!(fault, Fault::Away);
        // Only a new session comes to these stages.
        let ends_sessions = is_away || matches!(fault, Fault::At(Stage::Connect | Stage::Ehlo, _));
        first.set_script(counting(&unknown, move |at| match &fault {
            Fault::At(stage, action) if at == *stage => action.clone(),
            Fault::Slow(time) => Action::Delay(*time),
            Fault::At(..) | Fault::Away => Action::Accept,
        }));
        if ends_sessions {
            // Each may have accepted a mail and not said so.
            unknown.fetch_add(SESSIONS, Ordering::Relaxed);
            first.stop().await;
        }
        if ends_sessions && !is_away {
            first.restart().await.expect("the port is free");
        }
        sleep(Duration::from_secs(time)).await;
        let healed = Timestamp::now();
        first.set_script(Script::accept_all());
        if is_away {
            first.restart().await.expect("the port is free");
        }
        let back = first_is_open(&service, true, BACK_WITHIN).await;
        let all_back = second.count();
        let registrations = load.end().await;
        stand.all_mailed(&registrations).await;
        let (by_second, taken_over) = stand.mails.by_second(began);
        let taken_over = taken_over.map(|at| between(began, at)).expect("the second server has taken over");
        let duplicates = stand.mails.duplicates() - duplicates_before;
        let bound = unknown.load(Ordering::Relaxed);
        show(&format!(
            "{name}: {} sign-ups, lost 0, duplicates {duplicates} (bound {bound}), first mail by the second server after \
             {taken_over:.2?}, {by_second} by it, longest pause of all mail {:.2?}, back {back:.1?} after the repair",
            registrations.len(),
            stand.mails.longest_pause(began, healed)
        ));
        assert!(duplicates <= bound, "{name}: {duplicates} of {bound}");
        assert!(taken_over < SILENCE + Duration::from_secs(5), "{name}: {taken_over:?}");
        // Those in flight at that moment may still arrive.
        assert!(second.count() - all_back <= 2 * SESSIONS, "{name}: the first server has all mail again");
    }

    let load = people(&api, "away".to_owned());
    first.stop().await;
    second.stop().await;
    sleep(Duration::from_secs(time)).await;
    let health = health(&service).await;
    assert_eq!(health["gate"]["open"], false, "{health}");
    let before = stand.mails.duplicates();
    second.restart().await.expect("the port is free");
    let began = Instant::now();
    assert!(second.wait_for_count(second.count() + 100, LIMIT).await, "mails flow again");
    let flows = began.elapsed();
    let registrations = load.end().await;
    stand.all_mailed(&registrations).await;
    show(&format!(
        "both away: {} sign-ups, lost 0, duplicates {}, a hundred mails {flows:.2?} after one is back",
        registrations.len(),
        stand.mails.duplicates() - before
    ));
    assert!(stand.mails.duplicates() - before <= 2 * SESSIONS);
    service.stop().await;
}

/// A script that decides by the stage, and counts the mails that it has completely and does not acknowledge at once.
fn counting(unknown: &Arc<AtomicUsize>, decide: impl Fn(Stage) -> Action + Send + Sync + 'static) -> Script {
    let unknown = Arc::clone(unknown);
    Script::new(move |step| {
        let action = decide(step.stage);
        if step.stage == Stage::EndOfData && action != Action::Accept {
            unknown.fetch_add(1, Ordering::Relaxed);
        }
        action
    })
}
