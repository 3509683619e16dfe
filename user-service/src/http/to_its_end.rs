//! A request's work that its client can't break off: what was published must also be recorded.

use std::{
    pin::Pin,
    task::{Poll, ready},
};
use tokio::runtime::Handle;
use tokio_util::task::{TaskTracker, task_tracker::TrackedFuture};

/// Work that is polled by its handler. A handler's future is dropped when its client goes away: the work then goes on in a
/// task of its own. (One for every request would cost an allocation and a second wake-up.)
pub(super) struct ToItsEnd<F: Future<Output: Send> + Send + 'static>(Option<Pin<Box<TrackedFuture<F>>>>);

impl<F: Future<Output: Send> + Send + 'static> ToItsEnd<F> {
    /// `tasks` counts it until it ends.
    pub(super) fn new(work: F, tasks: &TaskTracker) -> Self {
        Self(Some(Box::pin(tasks.track_future(work))))
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for ToItsEnd<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let output = ready!(work.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(output)
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for ToItsEnd<F> {
    fn drop(&mut self) {
        // Without a runtime the process is at its end.
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn it_answers_who_waits_and_ends_without() {
        let tasks = TaskTracker::new();
        assert_eq!(ToItsEnd::new(async { 7 }, &tasks).await, 7);
        assert!(tasks.is_empty());

        let (go_on, waiting) = oneshot::channel::<()>();
        let (done, ended) = oneshot::channel();
        let mut work = ToItsEnd::new(
            async {
                let _ = waiting.await;
                let _ = done.send(());
            },
            &tasks,
        );
        assert!(futures_util::poll!(&mut work).is_pending());
        drop(work);
        assert_eq!(tasks.len(), 1, "it is still counted");
        let _ = go_on.send(());
        ended.await.expect("it goes on");
    }
}
