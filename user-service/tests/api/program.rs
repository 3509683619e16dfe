//! The program in a process of its own, with its own memory and its own log.

use crate::{
    PROGRAM,
    world::{Answer, DEADLINE, World, code, environment, registered_elsewhere, token, wrong_code},
};
use contract::{
    event::{Event, Mailing},
    topic::Topic,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// A running service. Dropping this ends it.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
    admin_address: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Program {
    /// Starts it and waits until it is ready.
    pub(crate) async fn start(brokers: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(PROGRAM)
            .envs(environment(brokers, variables))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (log, lines) = (BufReader::new(child.stderr.take().unwrap()), Arc::<Mutex<Vec<_>>>::default());
        let read = Arc::clone(&lines);
        std::thread::spawn(move || {
            log.lines().map_while(Result::ok).for_each(|line| read.lock().unwrap().push(line))
        });
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut program = Self { child, address: nowhere, admin_address: nowhere, lines };
        let line = program.line(" admin_address=").await;
        let value = |name| line.split_once(name).unwrap().1.split(' ').next().unwrap().parse().unwrap();
        (program.address, program.admin_address) = (value(" address="), value(" admin_address="));
        let started = Instant::now();
        while program.get("/health/ready").await.status != 200 {
            assert!(started.elapsed() < DEADLINE, "not ready in time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        program
    }

    /// Its memory in KiB, as Linux counts it.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Asks at the admin address.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(reqwest::get(format!("http://{}{path}", self.admin_address)).await.unwrap()).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        let request = reqwest::Client::new().post(format!("http://{}{path}", self.address)).json(&body);
        Answer::of(request.send().await.unwrap()).await
    }

    /// The first line of the log that contains this.
    async fn line(&self, text: &str) -> String {
        let started = Instant::now();
        loop {
            if let Some(line) = self.lines.lock().unwrap().iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            assert!(started.elapsed() < DEADLINE, "no line with {text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
#[tokio::test(flavor = "multi_thread")]
async fn no_line_of_the_log_has_an_id_a_code_a_token_a_name_or_an_address() {
    let world = World::start().await;
    let program = Program::start(&world.brokers(), &[("RUST_LOG", "debug")]).await;
    let person = json!({"first_name": "Augusta", "last_name": "Byron", "email": "ada.lovelace@example.com"});
    let id =
        program.post("/api/register", person.clone()).await.body["data"]["id"].as_str().unwrap().to_owned();
    let issued = world.registration(&id).await;
    let (wrong, code, token) = (wrong_code(&issued, 0), code(&issued), token(&issued));
    let unknown = "5d0c4a8e-6c1f-4a52-9c0b-2f7e8d9a1b3c";
    for (path, body) in [
        ("/api/resend", json!({"id": id})),
        ("/api/registration", json!({"id": id, "token": token})),
        ("/api/verify", json!({"id": id, "code": wrong})),
        ("/api/verify", json!({"id": unknown, "code": wrong})),
        ("/api/verify", json!({"id": id, "code": code})),
        ("/api/verify", json!({"id": id, "token": token})),
        ("/api/register", json!({"first_name": "Augusta", "last_name": 7, "email": "ada.lovelace@"})),
        (&*format!("/api/{id}/{code}"), person),
    ] {
        program.post(path, body).await;
    }
    // A record that is passed over is logged by its place.
    let stolen = registered_elsewhere("ada.lovelace@example.com", Duration::from_secs(24 * 3600));
    world.write(&Event::Registered(Mailing::FirstCode, stolen.clone())).await;
    program.line("is passed over").await;
    program.line("user_account_verified").await;
    for secret in [
        &*id,
        unknown,
        &code,
        &wrong,
        &token,
        "Augusta",
        "Byron",
        "lovelace",
        &stolen.registration.to_string(),
    ] {
        let found: Vec<_> =
            program.lines.lock().unwrap().iter().filter(|line| line.contains(secret)).cloned().collect();
        assert!(found.is_empty(), "{secret} is in {found:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_another_version_are_logged_once_for_each_topic() {
    let world = World::start().await;
    let program = Program::start(&world.brokers(), &[("RUST_LOG", "info")]).await;
    let kinds = [
        (Topic::Created, "user_account_created"),
        (Topic::Activity, "attempt"),
        (Topic::Verified, "user_account_verified"),
    ];
    for _ in 0..3 {
        for (topic, kind) in kinds {
            world
                .write_record(topic, kind, "c19a848c-0495-87ae-9e10-8be694335a56", Some(b"{\"version\":1}"))
                .await;
        }
    }
    let started = Instant::now();
    let all = "records_not_understood_total{reason=\"unknown_version\"} 9";
    while !program.get("/metrics").await.body.as_str().unwrap().contains(all) {
        assert!(started.elapsed() < DEADLINE, "passed over in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // This is written after all of that.
    program
        .post("/api/register", json!({"first_name": "A", "last_name": "B", "email": "a@example.com"}))
        .await;
    program.line("event published").await;
    let lines = program.lines.lock().unwrap();
    let of_versions = lines.iter().filter(|line| line.contains("records of version 1"));
    assert_eq!(of_versions.count(), kinds.len(), "{lines:#?}");
}
