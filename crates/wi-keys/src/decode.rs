//! Spellings: base64 in runs, escapes of JSON and of shells, percent, UTF-16, gzip. All are tolerant:
//! what is not of the spelling is carried over or left out, never an error.

use std::io::Read;
use std::ops::Range;

use crate::material::Material;

/// Value of a base64 symbol, of both alphabets; 64 is none.
const SYMBOLS: [u8; 256] = {
    let mut table = [64u8; 256];
    let mut i = 0;
    while i < 26 {
        table[b'A' as usize + i] = i as u8;
        table[b'a' as usize + i] = 26 + i as u8;
        i += 1;
    }
    i = 0;
    while i < 10 {
        table[b'0' as usize + i] = 52 + i as u8;
        i += 1;
    }
    table[b'+' as usize] = 62;
    table[b'-' as usize] = 62;
    table[b'/' as usize] = 63;
    table[b'_' as usize] = 63;
    table
};

/// Lines of wrapped base64 have at least so many symbols, but for the last.
const SHORTEST_LINE: usize = 40;

pub(crate) fn is_symbol(byte: u8) -> bool {
    SYMBOLS[usize::from(byte)] < 64
}

/// How many bytes of a line's end stand here: real ones with the next line's indentation, or `\n`, `\r`
/// and a shell's `\` at the end of a line, as often escaped as it may be. 0: none.
pub(crate) fn line_end(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match text.get(at) {
            Some(b'\n' | b'\r') => at += 1,
            Some(b' ' | b'\t') if at > 0 => at += 1,
            Some(b'\\') => {
                let slashes = text[at..].iter().take_while(|b| **b == b'\\').count();
                match text.get(at + slashes) {
                    Some(b'n' | b'r' | b'\n' | b'\r') => at += slashes + 1,
                    _ => return at,
                }
            }
            _ => return at,
        }
    }
}

/// A run of base64, wrapped or not, of at least so many symbols, that begins at or after `from`.
pub(crate) fn next_run(text: &[u8], from: usize, at_least: usize) -> Option<Range<usize>> {
    let mut start = from;
    while start < text.len() {
        if !is_symbol(text[start]) {
            start += 1;
            continue;
        }
        start += escaped_letters(text, start);
        let run = run_at(text, start);
        if run.end - run.start >= at_least {
            return Some(run);
        }
        start = run.end.max(start + 1);
    }
    None
}

/// Where the word that would begin here does: after the letters of an escape before it.
pub(crate) fn word_start(text: &[u8], start: usize) -> usize {
    start + escaped_letters(text, start)
}

/// How many letters here belong to an escape (`\u0022`, `\n`, `%22`, `%2522`), and not to the word after it.
fn escaped_letters(text: &[u8], at: usize) -> usize {
    let rest = &text[at..];
    match (at.checked_sub(1).map(|before| text[before]), rest) {
        (Some(b'\\'), [b'u', digits @ ..]) if begins_with_hex(digits, 4) => 5,
        (Some(b'\\'), [b'n' | b'r' | b't', ..]) => 1,
        (Some(b'%'), _) => {
            let deeper = percents(rest);
            deeper
                + if begins_with_hex(&rest[deeper..], 2) {
                    2
                } else {
                    0
                }
        }
        _ => 0,
    }
}

fn begins_with_hex(text: &[u8], digits: usize) -> bool {
    text.len() >= digits && text[..digits].iter().all(u8::is_ascii_hexdigit)
}

/// How many bytes of `25`, `2525`, ... stand here: a percent sign that is percent-encoded itself.
fn percents(text: &[u8]) -> usize {
    2 * text.chunks_exact(2).take_while(|two| *two == b"25").count()
}

/// The run that begins with this symbol; empty, if it is none.
pub(crate) fn run_at(text: &[u8], start: usize) -> Range<usize> {
    let (mut at, mut line) = (start, start);
    loop {
        while at < text.len() && is_symbol(text[at]) {
            at += 1;
        }
        let end = at;
        while at < text.len() && text[at] == b'=' && at < end + 2 {
            at += 1;
        }
        let after = at + line_end(&text[at..]);
        let goes_on = at == end
            && after > at
            && at - line >= SHORTEST_LINE
            && text.get(after).is_some_and(|b| is_symbol(*b));
        if !goes_on {
            return start..at;
        }
        (at, line) = (after, after);
    }
}

/// Decodes base64 of either alphabet up to its padding. Line ends, blanks and quotes are left out, as are
/// the escapes that JSON writes for symbols (`\/`, `\u003d`).
pub(crate) fn base64(text: &[u8]) -> Material {
    let mut out = Material::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count, mut at) = (0u32, 0, 0);
    while at < text.len() {
        let byte = text[at];
        let value = SYMBOLS[usize::from(byte)];
        if value < 64 {
            bits = bits << 6 | u32::from(value);
            count += 1;
            at += 1;
            if count == 4 {
                out.extend(&bits.to_be_bytes()[1..]);
                (bits, count) = (0, 0);
            }
        } else if byte == b'=' {
            break;
        } else if byte == b'\\' {
            let rest = &text[at..];
            let slashes = rest.iter().take_while(|b| **b == b'\\').count();
            match &rest[slashes..] {
                [b'u', b'0', b'0', b'3', b'd' | b'D', ..] => break,
                [b'u', b'0', b'0', b'2', b'b' | b'B', ..] => {
                    at += slashes + 5;
                    bits = bits << 6 | 62;
                    count += 1;
                    if count == 4 {
                        out.extend(&bits.to_be_bytes()[1..]);
                        (bits, count) = (0, 0);
                    }
                }
                [b'/', ..] => at += slashes,
                _ => at += line_end(rest).max(slashes),
            }
        } else {
            at += 1;
        }
    }
    match count {
        2 => out.push((bits >> 4) as u8),
        3 => out.extend(&((bits >> 2) as u16).to_be_bytes()),
        _ => {}
    }
    out
}

/// A text with positions of itself that belong to positions of the text that it comes from.
pub(crate) struct Mapped {
    pub text: Material,
    /// In the new text, in the former one; between two of them both go on alike.
    pub points: Vec<(usize, usize)>,
}

/// Whether there are escapes in it that hide a quote.
pub(crate) fn is_escaped(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        rest = &rest[at + 1..];
        if rest.starts_with(b"\"") || rest.starts_with(b"u0022") {
            return true;
        }
    }
    false
}

/// One level of the escapes of JSON, YAML and shells undone.
pub(crate) fn unescaped(text: &[u8]) -> Mapped {
    let mut out = Material::with_capacity(text.len());
    let mut points = vec![(0, 0)];
    let mut at = 0;
    while at < text.len() {
        let Some(next) = memchr::memchr(b'\\', &text[at..]) else {
            break;
        };
        out.extend(&text[at..at + next]);
        at += next;
        let (length, byte) = match &text[at + 1..] {
            [b'n', ..] => (2, Some(b'\n')),
            [b'r', ..] => (2, Some(b'\r')),
            [b't', ..] => (2, Some(b'\t')),
            [c @ (b'"' | b'\\' | b'/' | b'\''), ..] => (2, Some(*c)),
            [b'u', b'0', b'0', high, low, ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) if high < 8 => (6, Some(high << 4 | low)),
                _ => (1, Some(b'\\')),
            },
            [b'\n' | b'\r', rest @ ..] => {
                // The line goes on, after its indentation.
                let blank = |b: &&u8| b" \t\r\n".contains(b);
                (2 + rest.iter().take_while(blank).count(), None)
            }
            _ => (1, Some(b'\\')),
        };
        out_byte(&mut out, byte);
        at += length;
        points.push((out.bytes().len(), at));
    }
    out.extend(&text[at.min(text.len())..]);
    Mapped { text: out, points }
}

/// Whether there is percent-encoding in it, or the `+` that forms put for the blank of a key's armor.
pub(crate) fn is_percent_encoded(text: &[u8]) -> bool {
    memchr::memchr_iter(b'%', text).any(|at| begins_with_hex(&text[at + 1..], 2))
        || memchr::memmem::find(text, b"PRIVATE+KEY").is_some()
}

/// Percent-encoding undone; `+` is a blank in it.
pub(crate) fn percent_decoded(text: &[u8]) -> Mapped {
    let mut out = Material::with_capacity(text.len());
    let mut points = vec![(0, 0)];
    let mut at = 0;
    while at < text.len() {
        match &text[at..] {
            [b'%', high, low, ..] if hex(*high).is_some() && hex(*low).is_some() => {
                let value = hex(*high).zip(hex(*low)).map(|(h, l)| h << 4 | l);
                out_byte(&mut out, value);
                at += 3;
                points.push((out.bytes().len(), at));
            }
            [b'+', ..] => {
                out.push(b' ');
                at += 1;
            }
            [byte, ..] => {
                out.push(*byte);
                at += 1;
            }
            [] => {}
        }
    }
    Mapped { text: out, points }
}

fn out_byte(out: &mut Material, byte: Option<u8>) {
    if let Some(byte) = byte {
        out.push(byte);
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}

/// UTF-16 by its mark or its look, as UTF-8; `None`: this is not UTF-16.
pub(crate) fn utf16(text: &[u8]) -> Option<Mapped> {
    const LOOK: &[u8] = b"p\0r\0i\0v\0a\0t\0e\0";
    const REFRESH: &[u8] = b"r\0e\0f\0r\0e\0s\0h\0";
    let (start, big) = match text {
        [0xff, 0xfe, ..] => (2, false),
        [0xfe, 0xff, ..] => (2, true),
        _ => {
            let at = [LOOK, REFRESH]
                .iter()
                .find_map(|look| memchr::memmem::find(text, look))?;
            // Of the other byte order the zero stands before.
            let big = at % 2 == 1 && text[at - 1] == 0;
            (at % 2 - usize::from(big), big)
        }
    };
    let units = text[start..].chunks_exact(2).map(|pair| match big {
        true => u16::from_be_bytes([pair[0], pair[1]]),
        false => u16::from_le_bytes([pair[0], pair[1]]),
    });
    let mut out = Material::with_capacity(text.len() * 3 / 2 + 3);
    let mut points = vec![(0, start)];
    let mut read = 0;
    for c in char::decode_utf16(units) {
        let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
        out.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
        read += 2 * c.len_utf16();
        // A point a line is enough to tell the line.
        if c == '\n' {
            points.push((out.bytes().len(), start + read));
        }
    }
    Some(Mapped { text: out, points })
}

pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b, 8])
}

/// What is packed, up to `most` bytes of it, and whether that is all.
pub(crate) fn gunzip(bytes: &[u8], most: usize) -> (Material, bool) {
    let mut out = Material::with_capacity((bytes.len() * 4).min(most));
    let mut from = flate2::read::MultiGzDecoder::new(bytes);
    let mut block = zeroize::Zeroizing::new([0u8; 16 << 10]);
    loop {
        match from.read(&mut *block) {
            Ok(0) | Err(_) => return (out, true),
            Ok(n) if out.bytes().len() + n > most => return (out, false),
            Ok(n) => out.extend(&block[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_both_alphabets_and_any_wrapping_is_read() {
        for text in [
            "aGVsbG8gd29ybGQ/Pz8+",
            "aGVsbG8gd29ybGQ_Pz8-",
            "aGVsbG8g\n  d29ybGQ/Pz8+",
            r"aGVsbG8g\\nd29ybGQ\/Pz8\u002b",
        ] {
            assert_eq!(
                base64(text.as_bytes()).bytes(),
                b"hello world???>",
                "{text}"
            );
        }
        assert_eq!(base64(b"aGk=").bytes(), b"hi");
        assert_eq!(base64(br"aGk\u003d").bytes(), b"hi");
    }

    #[test]
    fn runs_go_over_line_ends_and_stop_at_other_words() {
        let line = "A".repeat(64);
        let text = format!("key: {line}\n     {line}\n     AAAA==\nother: x");
        let run = next_run(text.as_bytes(), 0, 100).expect("a run");
        assert_eq!(&text[run.clone()][..5], "AAAAA");
        assert!(text[run].ends_with("AAAA=="));
        assert_eq!(next_run(b"some words of a text", 0, 10), None);
        // The letters of an escape are none of the word's.
        let word = "A".repeat(12);
        for escape in [r"\u0022", r"\\u0022", r"\n", "%22", "%2522", "\n"] {
            let text = format!("{escape}{word}");
            let run = next_run(text.as_bytes(), 0, 12).expect("a run");
            assert_eq!(&text[run], word, "{escape}");
        }
    }

    #[test]
    fn positions_lead_back() {
        let mapped = unescaped(br#"{\"a\":\"x\\ny\"}"#);
        assert_eq!(mapped.text.bytes(), br#"{"a":"x\ny"}"#);
        assert_eq!(mapped.points[1], (2, 3));
        let mapped = percent_decoded(b"%7B%22a%22+1");
        assert_eq!(mapped.text.bytes(), b"{\"a\" 1");
    }

    #[test]
    fn utf16_is_known_by_its_mark_and_by_its_look() {
        let wide =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let marked = [vec![0xff, 0xfe], wide("hé")].concat();
        assert_eq!(utf16(&marked).expect("it is").text.bytes(), "hé".as_bytes());
        let look = wide("x \"private_key\"");
        assert_eq!(
            utf16(&look).expect("it is").text.bytes(),
            b"x \"private_key\""
        );
        assert!(utf16(b"private_key").is_none());
    }
}
