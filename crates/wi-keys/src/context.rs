//! What stands beside a key and says whose it is. Only what may be shown is read.

use std::ops::Range;

use memchr::memmem;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, Visitor};

use crate::decode;

/// So far before a key its object may begin, and so many braces are tried.
const REACH: usize = 32 << 10;
const BRACES: usize = 64;

/// So far from a key names are looked for where there is no object around it.
const NEARBY: usize = 4 << 10;

/// Its own last line is not looked at.
const OWN_LAST: usize = 32;

/// The fields of a credentials file that may be shown, and whether it has those that may not.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    r#type: Name,
    project_id: Name,
    private_key_id: Name,
    client_email: Name,
    client_id: Name,
    account: Name,
    service_identity_name: Name,
    pub refresh_token: Token,
    private_key: Option<IgnoredAny>,
}

impl Fields {
    pub fn r#type(&self) -> &str {
        self.r#type.0.as_deref().unwrap_or_default()
    }

    pub fn project(&self) -> Option<String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-.:".contains(c);
        let is_project = |p: &&str| (4..64).contains(&p.len()) && p.chars().all(is_part);
        Some(self.project_id.0.as_deref().filter(is_project)?.to_owned())
    }

    pub fn email(&self) -> Option<String> {
        let of = |name: &Name| Some(email(name.0.as_deref()?)?.to_owned());
        of(&self.client_email).or_else(|| of(&self.account))
    }

    pub fn id(&self) -> Option<String> {
        let id = self.private_key_id.0.as_deref()?;
        is_key_id(id).then(|| id.to_owned())
    }

    pub fn client_id(&self) -> Option<String> {
        let id = self.client_id.0.as_deref()?;
        let number = id.strip_suffix(".apps.googleusercontent.com").unwrap_or(id);
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (!number.is_empty() && number.len() <= 80 && number.chars().all(is_part))
            .then(|| id.to_owned())
    }

    pub fn service_identity(&self) -> Option<String> {
        let name = self.service_identity_name.0.as_deref()?;
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        (name.len() <= 63 && name.chars().all(is_part)).then(|| name.to_owned())
    }

    /// Whether it is about credentials at all.
    fn says_something(&self) -> bool {
        self.private_key.is_some()
            || self.refresh_token.0
            || self.client_email.0.is_some()
            || self.private_key_id.0.is_some()
    }
}

/// A text that is kept only if it is short enough to be a name.
#[derive(Debug, Default)]
struct Name(Option<String>);

/// Whether there is a refresh token. The token itself is not kept.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Token(pub bool);

/// Looks at a text while it is read.
struct Text<T>(fn(&str) -> T);

impl<'de, T: Default> Visitor<'de> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok((self.0)(text))
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keep = |text: &str| Self((text.len() <= 254).then(|| text.to_owned()));
        deserializer.deserialize_any(Text(keep))
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text(|text| Self(is_token(text.as_bytes()))))
    }
}

/// The smallest JSON object around a place that is about credentials, and where it is.
pub(crate) fn enclosing(text: &[u8], at: usize) -> Option<(Fields, Range<usize>)> {
    let from = at.saturating_sub(REACH);
    let mut end = at;
    for _ in 0..BRACES {
        let start = from + memchr::memrchr(b'{', &text[from..end])?;
        let whole = &text[start..text.len().min(at + REACH)];
        let mut values = serde_json::Deserializer::from_slice(whole).into_iter::<Fields>();
        if let Some(Ok(fields)) = values.next()
            && start + values.byte_offset() > at
            && fields.says_something()
        {
            return Some((fields, start..start + values.byte_offset()));
        }
        end = start;
    }
    None
}

/// The email and the key's id that stand nearest to a key, as variables or settings of their own.
pub(crate) fn nearby(text: &[u8], key: &Range<usize>) -> (Option<String>, Option<String>) {
    // Not beyond the next key.
    let from = key.start.saturating_sub(NEARBY);
    let before = text.get(from..key.start).unwrap_or_default();
    let before = match memmem::rfind(before, b"PRIVATE KEY-----") {
        Some(other) => &before[other..],
        None => before,
    };
    let end = text.len().min(key.end + NEARBY);
    let after = text.get(key.end..end).unwrap_or_default();
    let after = after.get(after.len().min(OWN_LAST)..).unwrap_or_default();
    let after = match memmem::find(after, b"PRIVATE KEY-----") {
        Some(other) => &after[..other],
        None => after,
    };
    let last = emails(before).last().map(|(at, e)| (before.len() - at, e));
    let first = emails(after).next().map(|(at, e)| (at + OWN_LAST, e));
    let email = match (last, first) {
        (Some((a, last)), Some((b, first))) => Some(if a <= b { last } else { first }),
        (last, first) => last.or(first).map(|(_, e)| e),
    };
    let id = ids(after).next().or_else(|| ids(before).last());
    (email, id)
}

const DOMAIN: &[u8] = b".gserviceaccount.com";

/// Emails of service accounts, and where they are.
fn emails(text: &[u8]) -> impl Iterator<Item = (usize, String)> {
    memmem::find_iter(text, DOMAIN).filter_map(|at| {
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"-.@_".contains(b);
        let length = text[..at].iter().rev().take_while(|b| is_part(b)).count();
        let start = decode::word_start(text, at - length).min(at);
        let whole = &text[start..at + DOMAIN.len()];
        Some((at, email(std::str::from_utf8(whole).ok()?)?.to_owned()))
    })
}

/// Ids of keys, after what they are called.
fn ids(text: &[u8]) -> impl Iterator<Item = String> {
    let names = [&b"private_key_id"[..], b"PRIVATE_KEY_ID", b"private.key.id"];
    let of = |text: &[u8], at: usize| {
        let rest = &text[at..text.len().min(at + 80)];
        let word = rest
            .split(|b| !b.is_ascii_alphanumeric())
            .find(|w| !w.is_empty())?;
        let word = std::str::from_utf8(word).ok()?;
        is_key_id(word).then(|| word.to_owned())
    };
    names.into_iter().flat_map(move |name| {
        memmem::find_iter(text, name)
            .filter_map(move |at| of(text, at + name.len()))
            .collect::<Vec<_>>()
    })
}

/// The text, if it is an email that may be shown.
fn email(text: &str) -> Option<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-._+".contains(c);
    let (name, domain) = text.split_once('@')?;
    let fits = !name.is_empty() && name.len() <= 64 && domain.contains('.') && text.len() <= 254;
    (fits && name.chars().all(is_part) && domain.chars().all(is_part)).then_some(text)
}

fn is_key_id(text: &str) -> bool {
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (8..=64).contains(&text.len()) && text.bytes().all(is_digit)
}

/// Whether this is a refresh token, and not what documentation puts in its place.
pub(crate) fn is_token(text: &[u8]) -> bool {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"-_./".contains(b);
    let mut seen = [false; 256];
    for byte in text {
        seen[usize::from(*byte)] = true;
    }
    let different = seen.iter().filter(|s| **s).count();
    let is_placeholder = || {
        let upper = text.to_ascii_uppercase();
        ["REFRESH", "TOKEN", "YOUR", "EXAMPLE", "REDACTED", "XXXX"]
            .iter()
            .any(|word| memmem::find(&upper, word.as_bytes()).is_some())
    };
    (24..=512).contains(&text.len())
        && text.iter().all(is_part)
        && different >= 12
        && text.iter().any(u8::is_ascii_digit)
        && !is_placeholder()
}
