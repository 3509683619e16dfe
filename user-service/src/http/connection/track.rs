//! What the connection has to know of the requests on it.

use crate::http::problem::{Kind, Problem};
use actix_web::{
    Error, HttpRequest, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        ConnectionType,
        header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    },
    middleware::Next,
};
use std::{cell::Cell, rc::Rc};

/// The state of a connection, which its requests share with it.
#[derive(Debug, Default)]
pub(super) struct Connected {
    /// Requests that have no answer yet.
    pub(super) open: Cell<u32>,
    /// Answers that are not written yet.
    pub(super) answers: Cell<u32>,
    /// A body was announced that nobody has read.
    pub(super) unread: Cell<bool>,
    /// It ends with the present answer; what else comes on it is thrown away.
    pub(super) ends: Cell<bool>,
}

/// Refuses what can't be told from the next request, and ends the connection where a body was left unread.
///
/// A body with `Transfer-Encoding` is refused (411): actix-http up to 3.20 takes a bare LF for the end of one, which a proxy
/// may take for a part of it, and then a client can slip in a request between those of others.
pub(crate) async fn track<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let Some(connected) = request.conn_data::<Rc<Connected>>().cloned() else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let headers = request.headers();
    let is_encoded = headers.contains_key(TRANSFER_ENCODING);
    let is_announced = headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
    connected.unread.set(is_encoded || is_announced);
    connected.open.set(connected.open.get() + 1);
    let problem = if connected.ends.get() {
        Some(Problem::new(Kind::Rejected, "the connection ended with the answer before this one"))
    } else if is_encoded {
        Some(Problem::length_required())
    } else {
        None
    };
    let answered = match problem {
        Some(problem) => Ok(request.into_response(problem.error_response()).map_into_right_body()),
        None => next.call(request).await.map(ServiceResponse::map_into_left_body),
    };
    connected.open.set(connected.open.get() - 1);
    connected.answers.set(connected.answers.get() + 1);
    connected.ends.set(connected.ends.get() || connected.unread.get());
    let mut response = answered?;
    if connected.ends.get() {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// The whole body of this request has been taken.
pub(in crate::http) fn body_was_read(request: &HttpRequest) {
    if let Some(connected) = request.conn_data::<Rc<Connected>>() {
        connected.unread.set(false);
    }
}
