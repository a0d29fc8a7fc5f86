//! Private keys and certificates in PEM (RFC 7468), in whatever way their lines are broken.

use std::ops::Range;

use memchr::memmem;

use crate::decode;
use crate::der::{self, Public};

/// The longest body: a key of 16,384 bits, wrapped and escaped.
const LONGEST: usize = 24 << 10;

/// A private key in a text.
pub(crate) struct Block {
    /// From its armour on to the end of its body.
    pub range: Range<usize>,
    /// Its public half; `None`: a key of another algorithm.
    pub public: Option<Public>,
}

/// All private keys between armour.
pub(crate) fn private_keys(text: &[u8]) -> Vec<Block> {
    let mut found = Vec::new();
    for at in memmem::find_iter(text, b"PRIVATE KEY-----") {
        let before = &text[at.saturating_sub(16)..at];
        let Some(begin) = memmem::rfind(before, b"BEGIN ") else {
            continue;
        };
        let start = at - (before.len() - begin);
        let start = start - dashes_before(text, start);
        let body = body(text, at + b"PRIVATE KEY-----".len());
        let key = decode::base64(&text[body.clone()]);
        let public = der::private_key(key.bytes());
        if public.is_some() || der::is_other_private_key(key.bytes()) {
            let range = start..body.end;
            found.push(Block { range, public });
        }
    }
    found
}

/// The public halves of all certificates of others than Google: what has one beside it is a key for TLS.
pub(crate) fn certified(text: &[u8]) -> Vec<Public> {
    const ARMOUR: &[u8] = b"BEGIN CERTIFICATE-----";
    let of = |at: usize| {
        let der = decode::base64(&text[body(text, at + ARMOUR.len())]);
        let (public, of_google) = der::certificate(der.bytes())?;
        (!of_google).then_some(public)
    };
    memmem::find_iter(text, ARMOUR).filter_map(of).collect()
}

fn dashes_before(text: &[u8], end: usize) -> usize {
    let dashes = text[..end].iter().rev().take_while(|b| **b == b'-');
    dashes.count()
}

/// What stands between the dashes.
fn body(text: &[u8], start: usize) -> Range<usize> {
    let rest = &text[start..text.len().min(start + LONGEST)];
    let length = memchr::memchr(b'-', rest).unwrap_or(rest.len());
    start..start + length
}

/// The digest of the public key in a certificate or a `PUBLIC KEY`, PEM or base64 of that, as IAM gives it
/// (`publicKeyData`): the same as [`crate::Key::public_key`] of its private key. `None`: this is neither.
pub fn public_key_digest(data: &[u8]) -> Option<String> {
    let of_pem = |text: &[u8]| {
        let armour = memmem::find(text, b"-----BEGIN ")? + b"-----BEGIN ".len();
        let begin = armour + memmem::find(&text[armour..], b"-----")? + 5;
        let der = decode::base64(&text[body(text, begin)]);
        let certified = der::certificate(der.bytes()).map(|(public, _)| public);
        Some(certified.or_else(|| der::public_key(der.bytes()))?.digest())
    };
    of_pem(data).or_else(|| {
        let decoded = decode::base64(data);
        let bytes = decoded.bytes();
        let certified = der::certificate(bytes).map(|(public, _)| public);
        let public = certified.or_else(|| der::public_key(bytes));
        public.map(|p| p.digest()).or_else(|| of_pem(bytes))
    })
}
