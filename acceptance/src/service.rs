//! A release binary as a process. It keeps its address over restarts.

use crate::ports;
use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// The time limit for a process to become ready, or to stop.
const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// One service. Dropping it kills its process.
#[derive(Debug)]
pub struct Service {
    binary: PathBuf,
    folder: PathBuf,
    log: PathBuf,
    address: SocketAddr,
    variables: Vec<(String, String)>,
    client: reqwest::Client,
    process: Option<Child>,
}

impl Service {
    /// A service that is not running. `name` is the name of its log; `address_variable` holds its address.
    pub(crate) fn new(
        binary: &str,
        name: &str,
        address_variable: &str,
        folder: &Path,
        variables: &[(&str, String)],
    ) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let service = Self {
            binary: release_binary(binary),
            folder: folder.to_owned(),
            log: folder.join(format!("{name}.log")),
            address,
            variables: Vec::new(),
            client: reqwest::Client::builder().timeout(Duration::from_secs(5)).build().expect("a client"),
            process: None,
        };
        let service = service.with(address_variable, &address.to_string());
        variables.iter().fold(service, |service, (variable, value)| service.with(variable, value))
    }

    /// Sets a variable of its environment, which contains nothing else.
    #[must_use]
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.variables.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// Its HTTP address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The id of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// The content of `/proc/PID/status`; `None` if it is not running.
    #[must_use]
    pub fn status(&self) -> Option<String> {
        std::fs::read_to_string(format!("/proc/{}/status", self.process.as_ref()?.id())).ok()
    }

    /// The peak of its resident memory in octets (`VmHWM`); `None` if it is not running.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        let status = self.status()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(1_024 * kibibytes)
    }

    /// The log file of all its processes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Runs one of the binary's commands in the service's environment, and waits for its end. Returns what it
    /// printed.
    ///
    /// # Panics
    /// When the command fails.
    pub async fn command(&self, arguments: &[&str]) -> String {
        let mut command = tokio::process::Command::from(self.prepared());
        let output = command.args(arguments).output().await.expect("the binary can be run");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {} {log}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until its log contains this text.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn logs(&self, text: &str) {
        let began = Instant::now();
        while !self.log_text().contains(text) {
            assert!(began.elapsed() < DEADLINE, "{text:?} is not in {}", self.log.display());
            tokio::time::sleep(POLL).await;
        }
    }

    /// Its log so far.
    #[must_use]
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).expect("its log")
    }

    /// Starts the process without waiting.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(&self.log).expect("a log file");
        let mut process = self.prepared();
        let process = process.stdout(log.try_clone().expect("the log file again")).stderr(log).spawn();
        self.process = Some(process.expect("the binary can be run"));
    }

    fn prepared(&self) -> Command {
        let mut process = Command::new(&self.binary);
        process
            .env_clear()
            .envs(self.variables.iter().map(|(variable, value)| (variable, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        process
    }

    /// Starts the process and waits until it is ready.
    pub async fn start_and_wait(&mut self) {
        self.start();
        self.ready().await;
    }

    /// Waits until it is ready. Returns how long that took.
    pub async fn ready(&self) -> Duration {
        self.answers("ready", StatusCode::OK).await
    }

    /// Whether it is ready now.
    pub async fn is_ready(&self) -> bool {
        let answer = self.client.get(format!("http://{}/health/ready", self.address)).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    /// Waits until it is live and not ready.
    pub async fn alive_and_not_ready(&self) {
        self.answers("live", StatusCode::OK).await;
        self.answers("ready", StatusCode::SERVICE_UNAVAILABLE).await;
    }

    /// Waits until a health endpoint answers with this status.
    async fn answers(&self, which: &str, status: StatusCode) -> Duration {
        let began = Instant::now();
        loop {
            let answer = self.client.get(format!("http://{}/health/{which}", self.address)).send().await;
            if answer.as_ref().is_ok_and(|answer| answer.status() == status) {
                return began.elapsed();
            }
            if began.elapsed() > DEADLINE {
                let body = match answer {
                    Ok(answer) => answer.text().await,
                    Err(error) => Err(error),
                };
                panic!("/health/{which} still answers {body:?}, see {}", self.log.display());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Crashes it (SIGKILL).
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("SIGKILL can be sent");
        process.wait().expect("it has ended");
    }

    /// Stops it gracefully (SIGTERM), and expects success.
    pub async fn stop(&mut self) {
        let status = self.terminate().await;
        let status = status.unwrap_or_else(|| panic!("not stopped in time, see {}", self.log.display()));
        assert!(status.success(), "ended with {status}, see {}", self.log.display());
    }

    /// Stops it gracefully (SIGTERM). Returns its exit status; `None` if it had to be killed after a minute.
    pub async fn terminate(&mut self) -> Option<ExitStatus> {
        self.signal(Signal::TERM);
        let began = Instant::now();
        while began.elapsed() < DEADLINE {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            tokio::time::sleep(POLL).await;
        }
        self.kill();
        None
    }

    /// The exit status of the process, if it has ended. Then it can be started again.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.try_wait().expect("its state");
        self.process.take_if(|_| status.is_some());
        status
    }

    /// Freezes it (SIGSTOP) until [`Service::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Continues a frozen process (SIGCONT).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("it runs");
        kill_process(Pid::from_child(process), signal).expect("a signal can be sent");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// The release binary in this program's target folder.
fn release_binary(name: &str) -> PathBuf {
    let program = std::env::current_exe().expect("this program's own path");
    // A test is target/debug/deps/test, a program is target/release/program.
    let profile = program.ancestors().find(|folder| folder.ends_with("debug") || folder.ends_with("release"));
    let target = profile.and_then(Path::parent).expect("the target folder");
    let binary = target.join("release").join(name);
    assert!(binary.exists(), "{} is missing: cargo build --release -p {name}", binary.display());
    binary
}
