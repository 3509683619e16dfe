//! The tasks that a service needs. If one ends before it was asked to stop, the service ends and names the task.
//!
//! A service whose log reader has ended still answers and looks alive, but does nothing right any
//! more. A restart costs seconds and loses nothing. So a task that returns, fails or panics stops
//! the others. `/health/live` answers 503 until they have ended, and the process ends with an error.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, OnceLock},
    task::Poll,
};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

/// The tasks of one service; all clones share them.
#[derive(Debug, Clone)]
pub struct Tasks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Cancelled when a task ends too early.
    stop: CancellationToken,
    /// The first such task, and how it ended.
    ended: OnceLock<String>,
}

impl Tasks {
    /// No tasks yet; the first that ends too early cancels `stop`.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        Self(Arc::new(Inner { stop, ended: OnceLock::new() }))
    }

    /// Starts a task that is needed until `until` is cancelled. The handle ends with the task and has no result.
    pub fn spawn<E: fmt::Display>(
        &self,
        name: &'static str,
        until: &CancellationToken,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> JoinHandle<()> {
        let (tasks, until) = (self.clone(), until.clone());
        tokio::spawn(async move { tasks.supervise(name, &until, task).await })
    }

    /// Starts work that blocks its thread and is needed until `until` is cancelled.
    pub fn spawn_blocking(
        &self,
        name: &'static str,
        until: &CancellationToken,
        work: impl FnOnce() + Send + 'static,
    ) -> JoinHandle<()> {
        let (tasks, until) = (self.clone(), until.clone());
        spawn_blocking(move || {
            let ended = catch_unwind(AssertUnwindSafe(work)).map_err(|_| PANICKED.to_owned());
            tasks.note(name, &until, ended);
        })
    }

    /// Runs a task here, to its end. It is needed until `until` is cancelled.
    pub async fn supervise<E: fmt::Display>(
        &self,
        name: &'static str,
        until: &CancellationToken,
        task: impl Future<Output = Result<(), E>>,
    ) {
        let mut task = pin!(task);
        let ended = std::future::poll_fn(|context| {
            // The service ends with the task, so nobody sees what a panic leaves behind.
            match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context))) {
                Ok(poll) => poll.map_err(|error| format!("failed: {error:#}")),
                Err(_) => Poll::Ready(Err(PANICKED.to_owned())),
            }
        });
        self.note(name, until, ended.await);
    }

    /// The task that ended too early, and how; for `/health/live`.
    #[must_use]
    pub fn ended(&self) -> Option<&str> {
        self.0.ended.get().map(String::as_str)
    }

    /// How the service ended.
    ///
    /// # Errors
    /// The task that ended too early, and how.
    pub fn result(&self) -> anyhow::Result<()> {
        self.ended()
            .map_or(Ok(()), |ended| Err(anyhow::anyhow!("a task of the service ended too early: {ended}")))
    }

    fn note(&self, name: &str, until: &CancellationToken, ended: Result<(), String>) {
        let how = match ended {
            Ok(()) if until.is_cancelled() => return,
            Ok(()) => "ended by itself".to_owned(),
            Err(how) => how,
        };
        log::error!("task.name" = name, "error" = how.as_str(); "a task ended too early; the service stops");
        let _ = self.0.ended.set(format!("{name} {how}"));
        self.0.stop.cancel();
    }
}

/// The panic's own text is on standard error already.
const PANICKED: &str = "panicked";

#[cfg(test)]
mod tests {
    use super::*;

    type Ended = Result<(), &'static str>;

    /// What becomes of a service when this task ends, and whether that stops the others.
    async fn after(stopped: bool, task: impl Future<Output = Ended> + Send + 'static) -> (String, bool) {
        let stop = CancellationToken::new();
        let (tasks, until) = (Tasks::new(stop.clone()), CancellationToken::new());
        if stopped {
            until.cancel();
        }
        tasks.spawn("reader", &until, task).await.unwrap();
        assert_eq!(tasks.ended().is_some(), tasks.result().is_err());
        (tasks.ended().unwrap_or_default().to_owned(), stop.is_cancelled())
    }

    #[tokio::test]
    async fn a_task_that_ends_when_it_should_is_nothing_special() {
        assert_eq!(after(true, async { Ok(()) }).await, (String::new(), false));
    }

    #[tokio::test]
    async fn whatever_ends_a_task_too_early_stops_the_service_and_names_it() {
        assert_eq!(after(false, async { Ok(()) }).await, ("reader ended by itself".to_owned(), true));
        assert_eq!(after(false, async { Err("no port") }).await, ("reader failed: no port".to_owned(), true));
        let panicking = async {
            tokio::task::yield_now().await;
            panic!("a fault")
        };
        assert_eq!(after(false, panicking).await, ("reader panicked".to_owned(), true));
    }

    #[tokio::test]
    async fn an_error_is_one_after_the_stop_as_well() {
        assert_eq!(after(true, async { Err("not flushed") }).await.0, "reader failed: not flushed");
        assert_eq!(after(true, async { panic!("a fault") }).await.0, "reader panicked");
    }

    #[tokio::test]
    async fn work_on_a_thread_of_its_own_is_held_to_the_same() {
        let (stop, until) = (CancellationToken::new(), CancellationToken::new());
        let tasks = Tasks::new(stop.clone());
        tasks.spawn_blocking("log reader", &until, || panic!("a fault")).await.unwrap();
        assert!(stop.is_cancelled());
        // The first is the cause, later ones may follow from it.
        tasks.spawn_blocking("other", &until, || ()).await.unwrap();
        let error = tasks.result().unwrap_err().to_string();
        assert_eq!(error, "a task of the service ended too early: log reader panicked");
    }
}
