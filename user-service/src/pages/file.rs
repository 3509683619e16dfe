//! A file as it is held: compressed, with the headers of its answers.

use super::headers::Headers;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compression, read::GzEncoder};
use sha2::{Digest, Sha256};
use std::{borrow::Cow, io::Read, sync::Arc};

/// A file and the headers of its answers.
pub(crate) struct File {
    pub(crate) media_type: Cow<'static, str>,
    /// Compressed with gzip.
    pub(crate) octets: Octets,
    /// The size in octets when decompressed.
    pub(crate) length: usize,
    /// Differs whenever the content does.
    pub(crate) digest: String,
    pub(crate) headers: Headers,
}

/// Octets that answers share.
#[derive(Clone)]
pub(crate) struct Octets(Arc<Cow<'static, [u8]>>);

impl File {
    /// Compresses a file. `headers` are part of each of its answers.
    pub(crate) fn new(media_type: impl Into<Cow<'static, str>>, content: &[u8], headers: Headers) -> Self {
        let mut compressed = Vec::new();
        // Reading from memory does not fail.
        let _ = GzEncoder::new(content, Compression::best()).read_to_end(&mut compressed);
        Self::compressed(media_type, compressed.into(), headers)
    }

    /// Takes a file that is compressed with gzip already.
    pub(crate) fn compressed(
        media_type: impl Into<Cow<'static, str>>,
        compressed: Cow<'static, [u8]>,
        headers: Headers,
    ) -> Self {
        // The last four octets are the length before compression (RFC 1952, 2.3.1).
        let length = compressed.last_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize);
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(&compressed));
        Self { media_type: media_type.into(), octets: Octets(Arc::new(compressed)), length, digest, headers }
    }
}

impl AsRef<[u8]> for Octets {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
