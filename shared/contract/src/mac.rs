//! HMAC-SHA-256 (RFC 2104) under keys of 32 octets.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Octets of a key and of a tag.
pub const OCTETS: usize = 32;

/// Computes the tag over `parts`, one after the other. A part of varying length must end in a separator.
#[must_use]
pub fn tag(key: &[u8; OCTETS], parts: &[&[u8]]) -> [u8; OCTETS] {
    let mut mac = keyed(key);
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// A MAC that has its key and has seen no data yet.
pub(crate) fn keyed(key: &[u8; OCTETS]) -> Hmac<Sha256> {
    // RFC 2104 pads a shorter key with zeros to a block. With the padding done here, the constructor can't fail.
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    block[..OCTETS].copy_from_slice(key);
    Hmac::new(&block)
}
