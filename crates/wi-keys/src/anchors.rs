//! Whether bytes can have a credential in them: one pass, which most files end with.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::decode::{is_symbol, line_end};

/// No credential is without one of these, unless it is encoded twice or packed: then it is a long run of
/// base64. The spellings in base64 are of all three alignments.
const ANCHORS: [&str; 53] = [
    "private_key",
    "PRIVATE KEY",
    "PRIVATE%20KEY",
    "PRIVATE+KEY",
    "authorized_user",
    "refresh_token",
    "_json_key",
    "ANBgkqhkiG9w0BAQEFAASC",
    "p\0r\0i\0v\0a\0t\0e\0",
    "r\0e\0f\0r\0e\0s\0h\0",
    "GOCSPX-",
    // private_key
    "cHJpdmF0ZV9rZX",
    "ByaXZhdGVfa2V5",
    "wcml2YXRlX2tle",
    // BEGIN PRIVATE KEY
    "QkVHSU4gUFJJVkFURSBLRV",
    "JFR0lOIFBSSVZBVEUgS0VZ",
    "CRUdJTiBQUklWQVRFIEtFW",
    // iam.gserviceaccount.com
    "aWFtLmdzZXJ2aWNlYWNjb3VudC5jb2",
    "lhbS5nc2VydmljZWFjY291bnQuY29t",
    "pYW0uZ3NlcnZpY2VhY2NvdW50LmNvb",
    // _json_key
    "X2pzb25fa2V5",
    "9qc29uX2tle",
    "fanNvbl9rZX",
    // refresh_token
    "cmVmcmVzaF90b2tlb",
    "JlZnJlc2hfdG9rZW",
    "yZWZyZXNoX3Rva2Vu",
    // authorized_user
    "YXV0aG9yaXplZF91c2Vy",
    "F1dGhvcml6ZWRfdXNlc",
    "hdXRob3JpemVkX3VzZX",
    // apps.googleusercontent
    "YXBwcy5nb29nbGV1c2VyY29udGVud",
    "FwcHMuZ29vZ2xldXNlcmNvbnRlbn",
    "hcHBzLmdvb2dsZXVzZXJjb250ZW50",
    // RSA PRIVATE KEY
    "UlNBIFBSSVZBVEUgS0VZ",
    "JTQSBQUklWQVRFIEtFW",
    "SU0EgUFJJVkFURSBLRV",
    // GOOG1E
    "R09PRzFF",
    "dPT0cxR",
    "HT09HMU",
    // GOCSPX-
    "R09DU1BYL",
    "dPQ1NQWC",
    "HT0NTUFgt",
    // The same, and AIza, once more
    "UjA5UFJ6Rk",
    "UjA5RFUxQllM",
    "UVVsNl",
    // Those that need another look.
    "AIza",
    "GOOG",
    // AIza and GOOG, in base64
    "QUl6Y",
    "FJem",
    "BSXph",
    "R09PR",
    "dPT0",
    "HT09H",
    "UjA5UF",
];

/// The index of the first anchor that needs another look, and of the first of those in base64.
const WEAK: usize = 44;
const WEAK_ENCODED: usize = WEAK + 2;

static AUTOMATON: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let builder = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostFirst)
        .build(ANCHORS);
    builder.ok()
});

/// Runs of base64 from this length on are decoded without any anchor.
pub(crate) const LONG_RUN: usize = 600;

/// Whether a scan of these bytes can find anything.
pub fn is_worth_a_look(bytes: &[u8]) -> bool {
    let starts_as_a_file_of_its_own = bytes.first() == Some(&0x30)
        || crate::decode::is_gzip(bytes)
        || bytes.starts_with(&[0xff, 0xfe])
        || bytes.starts_with(&[0xfe, 0xff]);
    starts_as_a_file_of_its_own || has_anchor(bytes) || has_long_run(bytes)
}

/// Whether one of the anchors is in it.
pub(crate) fn has_anchor(bytes: &[u8]) -> bool {
    let Some(automaton) = &*AUTOMATON else {
        return true; // the table is fixed; a test builds it
    };
    automaton
        .find_iter(bytes)
        .any(|hit| match hit.pattern().as_usize() {
            ..WEAK => true,
            WEAK..WEAK_ENCODED => is_short_one_at(bytes, hit.start()),
            WEAK_ENCODED.. => is_encoded_at(bytes, hit.start()),
        })
}

fn is_short_one_at(bytes: &[u8], at: usize) -> bool {
    crate::others::is_api_key_at(bytes, at) || crate::others::is_access_id_at(bytes, at)
}

/// Whether the base64 around this place is that of a key which is known by a few letters.
fn is_encoded_at(bytes: &[u8], at: usize) -> bool {
    // Of three bytes before it one is enough to tell what a word is; four symbols are three of them.
    const REACH: usize = 96;
    let before = bytes[..at].iter().rev().take(4);
    let start = at - before.take_while(|b| is_symbol(**b)).count();
    let text = &bytes[start..bytes.len().min(at + REACH)];
    (0..4.min(text.len())).any(|shift| {
        let decoded = crate::decode::base64(&text[shift..]);
        let decoded = decoded.bytes();
        let mut hits = memchr::memmem::find_iter(decoded, b"AIza")
            .chain(memchr::memmem::find_iter(decoded, b"GOOG"));
        hits.any(|at| is_short_one_at(decoded, at))
            || memchr::memmem::find_iter(decoded, b"R09PR").any(|at| is_encoded_at(decoded, at))
    })
}

/// Whether there is a run of base64 that is long enough to be a key which is encoded twice, or packed.
fn has_long_run(bytes: &[u8]) -> bool {
    // A run that is so long has a symbol or the end of a line at every place: a few tell the rest.
    let step = LONG_RUN / 2;
    let in_run = |at: usize| {
        let window = &bytes[at..bytes.len().min(at + 24)];
        let mut at = 0;
        while at < window.len() {
            match line_end(&window[at..]) {
                0 if is_symbol(window[at]) => at += 1,
                0 => return false,
                n => at += n,
            }
        }
        true
    };
    let mut at = step.min(bytes.len());
    while at < bytes.len() {
        if is_symbol(bytes[at]) && in_run(at) && is_in_long_run(bytes, at) {
            return true;
        }
        at += step;
    }
    false
}

/// Whether the run around this place is long. It begins at most two steps before the first place that is
/// looked at in it: what is further back has been looked at. So each place costs a few hundred bytes.
fn is_in_long_run(bytes: &[u8], at: usize) -> bool {
    let mut start = at.saturating_sub(LONG_RUN + 64);
    while start <= at {
        let run = crate::decode::run_at(bytes, start);
        if run.len() >= LONG_RUN {
            return true;
        }
        start = run.end.max(start + 1);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_an_automaton_and_the_weak_ones_come_last() {
        assert!(AUTOMATON.is_some());
        assert_eq!(ANCHORS[WEAK..WEAK_ENCODED], ["AIza", "GOOG"]);
    }

    #[test]
    fn texts_about_google_are_not_worth_a_look() {
        assert!(!is_worth_a_look(
            b"GOOGLE_APPLICATION_CREDENTIALS=/key.json of a@b.iam.gserviceaccount.com"
        ));
        assert!(is_worth_a_look(b"x: { \"private_key\": 1 }"));
        let run = "Zm9vYmFy".repeat(200);
        assert!(is_worth_a_look(format!("data:\n  x: {run}\n").as_bytes()));
        // Short runs, as many as there are: each is looked at once, not all that follows.
        let hashes = "Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFy, ".repeat(200_000);
        assert!(!is_worth_a_look(hashes.as_bytes()));
        let words = "some words\nwithout end ".repeat(400);
        assert!(!is_worth_a_look(words.as_bytes()));
    }
}
