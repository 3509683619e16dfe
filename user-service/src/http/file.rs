//! Answers with static files: sent in pieces, and revalidated by clients with an `ETag`.
//!
//! A connection whose peer does not read holds a piece or two of an answer, however large the file is.
//! Nearly every client accepts gzip. For one that does not, each piece is decompressed as it is sent.

use crate::pages::File;
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    http::{
        Method,
        header::{
            AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, ETAG, Encoding, EntityTag, IfNoneMatch, VARY,
        },
    },
    web::Bytes,
};
use flate2::read::GzDecoder;
use std::{
    io::{self, Cursor, Read},
    pin::Pin,
    task::{Context, Poll},
};

/// The size of a piece, in octets.
const PIECE: usize = 16 * 1024;

/// A body of known size, whose pieces come from a reader.
struct Pieces<R> {
    size: usize,
    left: usize,
    reader: R,
}

/// Answers a request for the file. Browsers keep the file and
/// revalidate it each time, so a new version shows at once.
pub(super) fn answer(file: &File, request: &HttpRequest) -> HttpResponse {
    let is_packed = takes_gzip(request);
    let tag = EntityTag::new_strong(format!("{}{}", file.digest, if is_packed { "-gzip" } else { "" }));
    let is_known = match request.get_header::<IfNoneMatch>() {
        Some(IfNoneMatch::Any) => true,
        Some(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(&tag)),
        None => false,
    };
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((ETAG, tag.to_string()));
    response.insert_header((CACHE_CONTROL, "no-cache"));
    response.insert_header((VARY, "Accept-Encoding"));
    for (name, value) in &file.headers {
        response.insert_header((*name, &**value));
    }
    if is_known {
        return response.finish();
    }
    response.content_type(&*file.media_type);
    let packed = Cursor::new(file.octets.clone());
    // HEAD gets the size alone.
    let left = |size| if request.method() == Method::HEAD { 0 } else { size };
    if is_packed {
        let size = file.octets.as_ref().len();
        response.insert_header((CONTENT_ENCODING, "gzip"));
        response.body(Pieces { size, left: left(size), reader: packed })
    } else {
        let size = file.length;
        response.body(Pieces { size, left: left(size), reader: GzDecoder::new(packed) })
    }
}

/// Whether the client accepts gzip and does not prefer the plain file.
fn takes_gzip(request: &HttpRequest) -> bool {
    let gzip = Encoding::gzip();
    request
        .get_header::<AcceptEncoding>()
        .is_some_and(|accepted| accepted.negotiate([gzip.clone(), Encoding::identity()].iter()) == Some(gzip))
}

impl<R: Read + Unpin> MessageBody for Pieces<R> {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.size as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        let wanted = self.left.min(PIECE);
        if wanted == 0 {
            return Poll::Ready(None);
        }
        let mut piece = vec![0; wanted];
        Poll::Ready(Some(self.reader.read_exact(&mut piece).map(|()| {
            self.left -= wanted;
            Bytes::from(piece)
        })))
    }
}
