//! Static Google credentials in bytes.
//!
//! [`scan`] takes bytes of any kind (a file, a Git blob, the value of a Secret) and answers with the names of
//! the credentials that are in them: never with a byte of their material. A key is one that parses: a
//! service account key has a private key that decodes as RSA, whatever stands around it, so that
//! templates and documentation are no findings. Spellings are undone as deep as they go: base64, gzip,
//! escapes, percent, UTF-16.
//!
//! Decoded bytes live in buffers that are zeroed when they are dropped. What this crate answers with holds
//! public things alone: emails, key ids, digests of public keys.

mod anchors;
mod context;
mod decode;
mod der;
mod key;
mod look;
mod material;
mod others;
mod pem;

pub use anchors::is_worth_a_look;
pub use key::{Found, Key, Kind, Layer, Scan};
pub use look::{scan, scan_within};
pub use pem::public_key_digest;

/// The most bytes that one scan decodes, all spellings together.
pub const MOST_DECODED: usize = 64 << 20;
