//! Static files: held compressed in memory, sent in pieces, and revalidated by clients with an `ETag`.
//!
//! A connection whose peer does not read holds a piece or two of an answer, however large the file is.
//! Nearly every client accepts gzip. For one that does not, each piece is decompressed as it is sent.

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
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{
    Compression,
    read::{GzDecoder, GzEncoder},
};
use sha2::{Digest, Sha256};
use std::{
    borrow::Cow,
    io::{self, Cursor, Read},
    pin::Pin,
    task::{Context, Poll},
};

/// The size of a piece, in octets.
const PIECE: usize = 16 * 1024;

/// A file and the headers of its answers.
pub(super) struct File {
    media_type: Cow<'static, str>,
    compressed: Bytes,
    /// The size in octets when decompressed.
    length: usize,
    digest: String,
    headers: &'static [(&'static str, &'static str)],
}

/// A body of known size, whose pieces come from a reader.
struct Pieces<R> {
    size: usize,
    left: usize,
    reader: R,
}

impl File {
    /// Compresses a file. `headers` are part of each of its answers.
    pub(super) fn new(
        media_type: impl Into<Cow<'static, str>>,
        content: &[u8],
        headers: &'static [(&'static str, &'static str)],
    ) -> Self {
        let mut compressed = Vec::new();
        // Reading from memory does not fail.
        let _ = GzEncoder::new(content, Compression::best()).read_to_end(&mut compressed);
        Self::compressed(media_type, compressed.into(), headers)
    }

    /// Takes a file that is compressed with gzip already.
    pub(super) fn compressed(
        media_type: impl Into<Cow<'static, str>>,
        compressed: Bytes,
        headers: &'static [(&'static str, &'static str)],
    ) -> Self {
        // The last four octets are the length before compression (RFC 1952, 2.3.1).
        let length = compressed.last_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize);
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(&compressed));
        Self { media_type: media_type.into(), compressed, length, digest, headers }
    }

    /// Answers a request for the file. Browsers keep the file and
    /// revalidate it each time, so a new version shows at once.
    pub(super) fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let is_packed = takes_gzip(request);
        let tag = EntityTag::new_strong(format!("{}{}", self.digest, if is_packed { "-gzip" } else { "" }));
        let is_known = match request.get_header::<IfNoneMatch>() {
            Some(IfNoneMatch::Any) => true,
            Some(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(&tag)),
            None => false,
        };
        let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response.insert_header((ETAG, tag.to_string()));
        response.insert_header((CACHE_CONTROL, "no-cache"));
        response.insert_header((VARY, "Accept-Encoding"));
        for (name, value) in self.headers {
            response.insert_header((*name, *value));
        }
        if is_known {
            return response.finish();
        }
        response.content_type(&*self.media_type);
        let packed = Cursor::new(self.compressed.clone());
        // HEAD gets the size alone.
        let left = |size| if request.method() == Method::HEAD { 0 } else { size };
        if is_packed {
            let size = self.compressed.len();
            response.insert_header((CONTENT_ENCODING, "gzip"));
            response.body(Pieces { size, left: left(size), reader: packed })
        } else {
            let size = self.length;
            response.body(Pieces { size, left: left(size), reader: GzDecoder::new(packed) })
        }
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
