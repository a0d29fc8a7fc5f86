//! Credentials that are no RSA keys: logins of persons, HMAC keys, API keys, secrets of OAuth clients.

use std::ops::Range;

use memchr::memmem;

use crate::key::{Key, Kind};
use crate::{context, decode};

/// All of them in a text, with where they are.
///
/// The secret of an HMAC key may be beside the place where this text was encoded: `is_beside_a_secret` says so.
pub(crate) fn all(text: &[u8], is_beside_a_secret: impl Fn(usize) -> bool) -> Vec<(usize, Key)> {
    let mut found = users(text);
    found.extend(api_keys(text));
    found.extend(hmac_keys(text, is_beside_a_secret));
    found.extend(client_secrets(text));
    found
}

fn users(text: &[u8]) -> Vec<(usize, Key)> {
    const TYPES: [&str; 2] = ["authorized_user", "external_account_authorized_user"];
    let mut found = Vec::new();
    for at in memmem::find_iter(text, b"refresh_token") {
        let mut key = Key::of(Kind::UserCredentials);
        if let Some((fields, range)) = context::enclosing(text, at) {
            // A grant of the token endpoint has one too, and no type.
            if fields.refresh_token.0 && TYPES.contains(&fields.r#type()) {
                key.client_id = fields.client_id();
                key.email = fields.email();
                found.push((range.start, key));
            }
        } else if is_boto_setting(&text[at..]) && text[..at].ends_with(b"gs_oauth2_") {
            found.push((at, key));
        }
    }
    found
}

/// `gs_oauth2_refresh_token = 1//0e…` in a `.boto` file.
fn is_boto_setting(text: &[u8]) -> bool {
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let mut parts = line.splitn(2, |b| *b == b'=');
    let value = parts.nth(1).unwrap_or_default();
    context::is_token(value.trim_ascii())
}

fn is_word(byte: Option<&u8>, more: &[u8]) -> bool {
    byte.is_some_and(|b| b.is_ascii_alphanumeric() || more.contains(b))
}

/// The byte before a word; none, where that belongs to an escape (`%3D`, `\n`, `\u0022`).
fn before(text: &[u8], at: usize) -> Option<&u8> {
    let before = text.get(..at)?.last()?;
    let letters = text[..at].iter().rev().take(8);
    let letters = letters.take_while(|b| b.is_ascii_alphanumeric()).count();
    let is_escape = (1..=letters).any(|n| decode::word_start(text, at - n) == at);
    (!is_escape).then_some(before)
}

/// `AIza` and 35 more, by itself.
pub(crate) fn is_api_key_at(text: &[u8], at: usize) -> bool {
    const LENGTH: usize = 39;
    let Some(key) = text.get(at..at + LENGTH) else {
        return false;
    };
    key.starts_with(b"AIza")
        && key.iter().all(|b| is_word(Some(b), b"-_"))
        && !is_word(before(text, at), b"-_")
        && !is_word(text.get(at + LENGTH), b"-_")
        && is_varied(&key[4..])
}

/// `GOOG` and 20 more for a user, `GOOG1` and 56 more for a service account, by itself.
pub(crate) fn is_access_id_at(text: &[u8], at: usize) -> bool {
    access_id(text, at).is_some()
}

fn access_id(text: &[u8], at: usize) -> Option<&str> {
    let rest = text.get(at..)?;
    let is_part = |b: &&u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    let length = rest.iter().take(62).take_while(is_part).count();
    let id = &rest[..length];
    let fits = match length {
        24 => true,
        61 => id.starts_with(b"GOOG1"),
        _ => false,
    };
    let alone = !is_word(before(text, at), b"_") && !is_word(rest.get(length), b"_");
    (fits && alone && id.starts_with(b"GOOG") && id.iter().any(u8::is_ascii_digit))
        .then(|| std::str::from_utf8(id).ok())
        .flatten()
}

/// No row of one letter, as documentation has it.
fn is_varied(text: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in text {
        seen[usize::from(*byte)] = true;
    }
    seen.iter().filter(|s| **s).count() >= 14
}

fn api_keys(text: &[u8]) -> Vec<(usize, Key)> {
    memmem::find_iter(text, b"AIza")
        .filter(|at| is_api_key_at(text, *at))
        .map(|at| {
            let mut key = Key::of(Kind::ApiKey);
            let part = |range| String::from_utf8_lossy(&text[range]).into_owned();
            key.hint = Some(format!("{}…{}", part(at..at + 4), part(at + 35..at + 39)));
            (at, key)
        })
        .collect()
}

/// So far from an access id its secret may be.
const HMAC_REACH: usize = 400;

/// Whether there is an HMAC secret near this place.
pub(crate) fn has_secret_beside(text: &[u8], place: &Range<usize>) -> bool {
    let end = text.len().min(place.end + HMAC_REACH);
    has_secret(&text[place.start.saturating_sub(HMAC_REACH)..place.start])
        || has_secret(&text[place.end.min(end)..end])
}

fn hmac_keys(text: &[u8], is_beside_a_secret: impl Fn(usize) -> bool) -> Vec<(usize, Key)> {
    memmem::find_iter(text, b"GOOG")
        .filter_map(|at| {
            let id = access_id(text, at)?;
            let after = at + id.len();
            if !has_secret_beside(text, &(at..after)) && !is_beside_a_secret(at) {
                return None;
            }
            let mut key = Key::of(Kind::HmacKey);
            key.hint = Some(id.to_owned());
            Some((at, key))
        })
        .collect()
}

/// Whether there is an HMAC secret: 40 symbols of base64, or those in base64 once more, as a Secret has them.
fn has_secret(text: &[u8]) -> bool {
    let is_secret = |word: &[u8]| {
        word.len() == 40
            && word.iter().any(u8::is_ascii_lowercase)
            && word.iter().any(u8::is_ascii_uppercase)
            && word.iter().all(|b| is_word(Some(b), b"+/"))
            && is_varied(word)
    };
    text.split(|b| !is_word(Some(b), b"+/")).any(|word| {
        is_secret(word) || (word.len() == 54 && is_secret(decode::base64(word).bytes()))
    })
}

fn client_secrets(text: &[u8]) -> Vec<(usize, Key)> {
    const START: &[u8] = b"GOCSPX-";
    memmem::find_iter(text, START)
        .filter(|at| {
            let rest = &text[at + START.len()..];
            let length = rest.iter().take_while(|b| is_word(Some(b), b"-_")).count();
            length == 28 && is_varied(&rest[..length])
        })
        .map(|at| {
            let mut key = Key::of(Kind::ClientSecret);
            let last = String::from_utf8_lossy(&text[at + 31..at + 35]).into_owned();
            key.hint = Some(format!("GOCSPX-…{last}"));
            (at, key)
        })
        .collect()
}
