//! What was sent and is nobody else's to see, cut out of what comes back: servers and proxies quote
//! requests, as they are or encoded.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::HeaderMap;
use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
use serde_json::Value;

use wi_core::percent;

/// What stands in the place of a secret.
const CUT: &str = "[redacted]";

/// So many characters of a secret that stand together give it away: an answer may quote a part of it,
/// and is itself cut to a length.
const WINDOW: usize = 12;

/// Shorter ones are words of the language more often than they are secrets.
const SHORTEST: usize = 4;

/// How often an encoded text is decoded again.
const LAYERS: usize = 3;

/// In characters.
const MOST: usize = 10_000;

/// Secrets in all forms in which they may come back.
#[derive(Default)]
pub(crate) struct Secrets {
    forms: Vec<String>,
    /// Their parts of [`WINDOW`] characters, in lower case; made when something is to be cut.
    parts: OnceLock<HashSet<Vec<u8>>>,
    /// A piece of each long one, in all encodings, looked for in one pass: answers can be large.
    samples: OnceLock<Option<AhoCorasick>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets([redacted])")
    }
}

impl Secrets {
    /// The credentials in headers, and what is inside of them.
    pub fn in_headers(headers: &HeaderMap) -> Self {
        let mut secrets = Self::default();
        for (name, value) in headers {
            if !value.is_sensitive() && *name != AUTHORIZATION && *name != PROXY_AUTHORIZATION {
                continue;
            }
            let Ok(value) = value.to_str() else { continue };
            match value.split_once(' ') {
                Some((scheme, credentials)) => {
                    secrets.add(credentials);
                    if scheme.eq_ignore_ascii_case("basic") {
                        secrets.add_basic(credentials);
                    }
                }
                None => secrets.add(value),
            }
        }
        secrets
    }

    /// `USER:PASSWORD` in base64.
    fn add_basic(&mut self, encoded: &str) {
        let decoded = STANDARD_NO_PAD.decode(encoded.trim_end_matches('='));
        let decoded = decoded.ok().and_then(|d| String::from_utf8(d).ok());
        if let Some((_, password)) = decoded.as_deref().and_then(|d| d.split_once(':')) {
            self.add(password);
        }
    }

    /// One more, such as a refresh token in a form.
    pub fn add(&mut self, secret: &str) {
        let bytes = secret.as_bytes();
        self.keep(secret);
        self.keep(&bytes.iter().map(|b| format!("{b:02x}")).collect::<String>());
        // Within a longer text base64 begins at any of three places: what is the same in all of them.
        for before in 0..3 {
            let text = [&vec![0; before], bytes].concat();
            for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                let whole = (before * 4).div_ceil(3)..text.len() / 3 * 4;
                self.keep(encoded.get(whole).unwrap_or_default());
            }
        }
    }

    fn keep(&mut self, form: &str) {
        if form.len() >= SHORTEST && !self.forms.iter().any(|f| f == form) {
            self.forms.push(form.to_owned());
        }
    }

    /// Whether an answer has one of them in it, whole: what is used is not cut, it is refused.
    pub fn are_in(&self, answer: &[u8]) -> bool {
        let samples = self.samples.get_or_init(|| {
            let long = |f: &&String| f.is_ascii() && f.len() >= 2 * WINDOW;
            let long = self.forms.iter().filter(long);
            let samples = long.flat_map(|form| {
                // Its middle: many tokens begin alike. As it is, and as URLs have it: what must be
                // encoded, and all of it.
                let middle = &form[form.len() / 2 - WINDOW..][..2 * WINDOW];
                let all: String = middle.bytes().map(|b| format!("%{b:02X}")).collect();
                [middle.to_owned(), percent::query(middle), all]
            });
            AhoCorasick::new(samples).ok()
        });
        samples
            .as_ref()
            .is_some_and(|samples| samples.is_match(answer))
    }

    /// The text without them, and without parts of them, in whatever case.
    pub fn cut(&self, text: &str) -> String {
        let parts = self.parts.get_or_init(|| {
            let lower = |form: &String| form.to_ascii_lowercase().into_bytes();
            let of = |form: Vec<u8>| {
                let size = WINDOW.min(form.len());
                form.windows(size).map(<[u8]>::to_vec).collect::<Vec<_>>()
            };
            self.forms.iter().map(lower).flat_map(of).collect()
        });
        if parts.is_empty() {
            return text.to_owned();
        }
        let sizes: BTreeSet<usize> = parts.iter().map(Vec::len).collect();
        let mut is_secret = vec![false; text.len()];
        let mut units: Vec<Unit> = text
            .bytes()
            .enumerate()
            .map(|(at, byte)| Unit {
                byte: byte.to_ascii_lowercase(),
                from: at,
                to: at + 1,
            })
            .collect();
        for _ in 0..=LAYERS {
            let bytes: Vec<u8> = units.iter().map(|u| u.byte).collect();
            for size in &sizes {
                for (at, part) in bytes.windows(*size).enumerate() {
                    if parts.contains(part) {
                        is_secret[units[at].from..units[at + size - 1].to].fill(true);
                    }
                }
            }
            let before = units.len();
            units = decoded(&units);
            if units.len() == before {
                break;
            }
        }
        let mut out = String::with_capacity(text.len());
        let mut within = false;
        for (at, c) in text.char_indices() {
            if !is_secret[at] {
                out.push(c);
            } else if !within {
                out.push_str(CUT);
            }
            within = is_secret[at];
        }
        out
    }

    /// Cuts them from all texts of a value.
    pub fn cut_from(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.cut(start_of(text)),
            Value::Array(items) => items.iter_mut().for_each(|v| self.cut_from(v)),
            Value::Object(fields) => fields.values_mut().for_each(|v| self.cut_from(v)),
            _ => {}
        }
    }
}

/// What is looked through of a text: no more than this is shown of any.
pub(super) fn start_of(text: &str) -> &str {
    let end = text
        .char_indices()
        .nth(MOST)
        .map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// A character of a text, and where in it that is written.
#[derive(Clone, Copy)]
struct Unit {
    /// In lower case.
    byte: u8,
    from: usize,
    to: usize,
}

/// The text with one layer of encoding taken off: `%2F`, `\u002f`, `\/`, `&#x2f;`, `&#47;`.
fn decoded(units: &[Unit]) -> Vec<Unit> {
    let mut out = Vec::with_capacity(units.len());
    let mut at = 0;
    while at < units.len() {
        let mut rest = [0; 8];
        let long = rest.len().min(units.len() - at);
        for (byte, unit) in rest.iter_mut().zip(&units[at..]) {
            *byte = unit.byte;
        }
        let (byte, length) = one(&rest[..long]).unwrap_or((rest[0], 1));
        out.push(Unit {
            byte: byte.to_ascii_lowercase(),
            from: units[at].from,
            to: units[at + length - 1].to,
        });
        at += length;
    }
    out
}

/// The byte that an encoded one at the start of a text is, and how long that is.
fn one(text: &[u8]) -> Option<(u8, usize)> {
    let number = |digits: &[u8], radix| {
        let digits = std::str::from_utf8(digits).ok()?;
        let is_number = digits.bytes().all(|b| b.is_ascii_hexdigit());
        u8::from_str_radix(digits, radix).ok().filter(|_| is_number)
    };
    match text {
        [b'%', digits @ ..] => Some((number(digits.get(..2)?, 16)?, 3)),
        [b'\\', b'/', ..] => Some((b'/', 2)),
        [b'\\', b'u', b'0', b'0', digits @ ..] => Some((number(digits.get(..2)?, 16)?, 6)),
        [b'&', b'#', rest @ ..] => {
            let end = rest.iter().position(|b| *b == b';')?;
            let byte = match rest {
                [b'x', ..] => number(&rest[1..end], 16)?,
                _ => number(&rest[..end], 10)?,
            };
            Some((byte, end + 3))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "ya29.a0AfH6SMB-q_x/yz+0123456789ABCDEFghijklmnop==";

    fn of(header: &str, value: &str) -> Secrets {
        let name: http::HeaderName = header.parse().expect("a name");
        let mut value: http::HeaderValue = value.parse().expect("a value");
        value.set_sensitive(true);
        Secrets::in_headers(&HeaderMap::from_iter([(name, value)]))
    }

    #[test]
    fn a_token_is_cut_in_all_its_encodings() {
        let secrets = of("authorization", &format!("Bearer {TOKEN}"));
        let percent = percent::query(TOKEN);
        let all: String = TOKEN.bytes().map(|b| format!("%{b:02x}")).collect();
        let html: String = TOKEN.bytes().map(|b| format!("&#{b};")).collect();
        let hex: String = TOKEN.bytes().map(|b| format!("{b:02X}")).collect();
        let mut quoted = vec![
            TOKEN.to_owned(),
            TOKEN.to_lowercase(),
            TOKEN.replace('/', "\\/"),
            TOKEN.replace('+', "\\u002b"),
            percent.replace('%', "%25"),
            percent,
            all.replace('%', "%25"),
            all.replace('%', "\\u00"),
            all,
            html,
            hex,
            TOKEN[..20].to_owned(),
            TOKEN[20..].to_owned(),
        ];
        for before in ["", "Bearer ", "authorization: Bearer ", "x"] {
            let text = format!("{before}{TOKEN}, and more");
            quoted.push(STANDARD_NO_PAD.encode(&text));
            quoted.push(URL_SAFE_NO_PAD.encode(&text));
        }
        for quote in quoted {
            let cut = secrets.cut(&format!("the header {quote} is refused"));
            assert!(cut.contains(CUT), "{quote}");
            assert!(
                cut.starts_with("the header ") && cut.ends_with(" is refused"),
                "{cut}"
            );
            // What is before the token and behind it in base64 may stay.
            assert!(cut.len() < 80, "{cut}");
        }
        let plain = "Permission 'storage.buckets.get' denied on resource (or it may not exist).";
        assert_eq!(secrets.cut(plain), plain);
    }

    #[test]
    fn passwords_are_cut_with_and_without_their_user() {
        let secrets = of("authorization", "Basic YW5uOmNvcnJlY3QgaG9yc2U=");
        for quote in [
            "correct horse",
            "YW5uOmNvcnJlY3QgaG9yc2U=",
            "ann:correct horse",
        ] {
            let cut = secrets.cut(quote);
            assert!(!cut.contains("horse") && !cut.contains("YW5u"), "{cut}");
        }
    }

    #[test]
    fn an_answer_is_searched_for_whole_tokens_only() {
        let secrets = of("private-token", TOKEN);
        let quoted = format!("{{\"title\": \"{TOKEN}\"}}");
        assert!(secrets.are_in(quoted.as_bytes()));
        assert!(secrets.are_in(STANDARD_NO_PAD.encode(quoted).as_bytes()));
        assert!(!secrets.are_in(b"{\"title\": \"ya29.a0AfH6\"}"));
    }
}
