//! Thin typed clients of the Google Cloud APIs that `wi` uses, over the one HTTP layer.

pub mod buckets;
pub mod container;
mod datasets;
pub mod iam;
pub mod policies;
pub mod projects;
pub mod services;

/// The most pages of one list: a hundred thousand accounts, twice as many projects.
const MOST_PAGES: usize = 1000;

/// A value for a URL's query: tokens may hold anything.
pub(crate) fn query_escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
