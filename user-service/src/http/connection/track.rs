//! Tracks the requests of a connection: those without an answer, and a body that was left unread.

use crate::http::problem::Problem;
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

/// The state of a connection, shared with its requests.
#[derive(Debug, Default)]
pub(super) struct Connected {
    /// Requests that have no answer yet.
    pub(super) open: Cell<u32>,
    /// Answers that are not written yet.
    pub(super) answers: Cell<u32>,
    /// A request announced a body that nobody has read.
    pub(super) unread: Cell<bool>,
    /// The connection ends with the present answer; further input is discarded.
    pub(super) ends: Cell<bool>,
}

/// Refuses a body with `Transfer-Encoding` (411), and ends the connection of a request whose body was left unread.
///
/// The reason for 411: up to 3.20, actix-http accepts a bare LF as the end of such a body. A proxy may take
/// that LF for a part of the body, and a client could then smuggle a request in between those of others.
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
        Some(Problem::ConnectionEnded)
    } else if is_encoded {
        Some(Problem::LengthRequired)
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

/// Notes that the whole body of this request has been read.
pub(in crate::http) fn body_was_read(request: &HttpRequest) {
    if let Some(connected) = request.conn_data::<Rc<Connected>>() {
        connected.unread.set(false);
    }
}
