//! Work that a disconnect does not cancel: an event that was published must also be recorded here.

use super::problem::Problem;
use actix_web::{HttpMessage, HttpRequest};
use futures_util::FutureExt;
use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Poll, ready},
};
use tokio::{runtime::Handle, sync::OwnedSemaphorePermit};

/// Runs a request's work to its end even if the client disconnects.
///
/// # Errors
/// When it panics.
pub(super) fn to_its_end<T: Send + 'static, Work: Future<Output = T> + Send + 'static>(
    request: &HttpRequest,
    work: Work,
) -> impl Future<Output = Result<T, Problem>> + use<T, Work> {
    // The work keeps its place among the requests in flight until it ends, even if its request has gone.
    let place = request.extensions_mut().remove::<OwnedSemaphorePermit>();
    let work = async move {
        let _place = place;
        work.await
    };
    // A panic leaves nothing half-done: the work is dropped, and each change to shared state is made in one piece.
    let work = AssertUnwindSafe(work).catch_unwind();
    let logged = work.map(|ended| {
        ended.map_err(|panic| {
            let said = panic.downcast_ref::<&str>().copied();
            let error = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            log::error!("error" = error.unwrap_or("a panic"); "a request failed");
            Problem::Internal
        })
    });
    ToItsEnd(Some(Box::pin(logged)))
}

/// Work that its handler polls. The handler's future is dropped before the end if the client resets the connection;
/// the work then goes on in a task of its own. Such a task for every request would cost a second wake-up.
///
/// At the end of the service, unfinished work is dropped: the log has what was published.
struct ToItsEnd<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> Future for ToItsEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let output = ready!(work.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(output)
    }
}

impl<T: Send + 'static> Drop for ToItsEnd<T> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{ResponseError, http::StatusCode, test::TestRequest};
    use tokio::sync::oneshot;

    fn request() -> HttpRequest {
        TestRequest::default().to_http_request()
    }

    #[tokio::test]
    async fn the_work_keeps_its_place_among_those_that_are_worked_on_when_its_request_is_gone() {
        let places = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
        let request = request();
        request.extensions_mut().insert(std::sync::Arc::clone(&places).try_acquire_owned().unwrap());
        let (go_on, waiting) = oneshot::channel::<()>();
        let mut work = Box::pin(to_its_end(&request, async {
            let _ = waiting.await;
        }));
        assert!(futures_util::poll!(&mut work).is_pending());
        drop((work, request));
        assert_eq!(places.available_permits(), 0);
        let _ = go_on.send(());
        let _again = places.acquire().await.unwrap();
    }

    #[tokio::test]
    async fn it_answers_a_client_that_waits_and_goes_on_without_one() {
        assert_eq!(to_its_end(&request(), async { 7 }).await.unwrap(), 7);

        let (go_on, waiting) = oneshot::channel::<()>();
        let (done, ended) = oneshot::channel();
        let mut work = Box::pin(to_its_end(&request(), async {
            let _ = waiting.await;
            let _ = done.send(());
        }));
        assert!(futures_util::poll!(&mut work).is_pending());
        drop(work);
        let _ = go_on.send(());
        ended.await.expect("it goes on");
    }

    #[tokio::test]
    async fn a_panic_fails_this_request_alone() {
        let failed = to_its_end(&request(), async { assert!(std::hint::black_box(false), "a fault") }).await;
        assert_eq!(failed.unwrap_err().status_code(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
