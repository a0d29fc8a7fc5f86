//! Uids and generated name suffixes: the same input gives the same bytes.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A UUID made from `parts` alone.
pub fn derive(parts: &[&str]) -> String {
    let bits = (u128::from(hash(parts, 0)) << 64) | u128::from(hash(parts, 1));
    // Version 4, variant 1, as clients that parse uids expect.
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// Five characters of the alphabet that Kubernetes uses for generated names.
pub fn suffix(parts: &[&str]) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut bits = hash(parts, 2);
    let mut suffix = String::new();
    for _ in 0..5 {
        let index = bits % ALPHABET.len() as u64;
        suffix.push(char::from(ALPHABET[index as usize]));
        bits /= ALPHABET.len() as u64;
    }
    suffix
}

fn hash(parts: &[&str], salt: u8) -> u64 {
    let mut hasher = DefaultHasher::new();
    salt.hash(&mut hasher);
    parts.hash(&mut hasher);
    hasher.finish()
}
