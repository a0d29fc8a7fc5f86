//! The words of an expression.

use super::{Literal, SyntaxError};

/// A word, and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub at: usize,
    pub kind: TokenKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    Literal(Literal),
    Name(String),
    Sign(&'static str),
    End,
}

/// The longer ones first.
const SIGNS: [&str; 24] = [
    "&&", "||", "<=", ">=", "==", "!=", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if c.is_whitespace() {
            at += c.len_utf8();
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else {
            let (kind, length) = token(rest).map_err(|(offset, message)| SyntaxError {
                at: at + offset,
                message,
            })?;
            tokens.push(Token { at, kind });
            at += length;
        }
    }
    tokens.push(Token {
        at: text.len(),
        kind: TokenKind::End,
    });
    Ok(tokens)
}

type Lexed = Result<(TokenKind, usize), (usize, String)>;

fn token(rest: &str) -> Lexed {
    if let Some(quoted) = quoted(rest) {
        return quoted;
    }
    let c = rest.chars().next().unwrap_or_default();
    if c.is_ascii_digit() {
        return number(rest);
    }
    if c.is_ascii_alphabetic() || c == '_' {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let word = &rest[..end.unwrap_or(rest.len())];
        let kind = match word {
            "true" => TokenKind::Literal(Literal::Bool(true)),
            "false" => TokenKind::Literal(Literal::Bool(false)),
            "null" => TokenKind::Literal(Literal::Null),
            _ => TokenKind::Name(word.to_owned()),
        };
        return Ok((kind, word.len()));
    }
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => Ok((TokenKind::Sign(sign), sign.len())),
        None => Err((0, format!("`{}` has no meaning", c.escape_debug()))),
    }
}

fn number(rest: &str) -> Lexed {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let mut end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    // `1e-3`
    let is_exponent = !rest.starts_with("0x") && rest[..end].ends_with(['e', 'E']);
    if is_exponent && rest[end..].starts_with(['+', '-']) {
        let more = &rest[end + 1..];
        end += 1 + more.find(|c| !is_part(c)).unwrap_or(more.len());
    }
    let word = &rest[..end];
    let bare = word.strip_suffix(['u', 'U']).unwrap_or(word);
    let value = match bare.strip_prefix("0x").or_else(|| bare.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => bare.parse::<i64>().ok(),
    };
    let literal = match value {
        Some(value) => Literal::Int(value),
        None if bare.len() == word.len() && bare.parse::<f64>().is_ok() => Literal::Number,
        None if bare.parse::<u64>().is_ok() => Literal::Number,
        None => return Err((0, format!("`{word}` is no number"))),
    };
    Ok((TokenKind::Literal(literal), end))
}

/// A text with its prefixes: `"…"`, `'…'`, three of each, raw (`r`) and of bytes (`b`).
fn quoted(rest: &str) -> Option<Lexed> {
    let letters = rest.find(|c: char| !matches!(c, 'r' | 'R' | 'b' | 'B'))?;
    let (prefix, quoted) = rest.split_at(letters);
    if prefix.len() > 2 || !quoted.starts_with(['"', '\'']) {
        return None;
    }
    let raw = prefix.contains(['r', 'R']);
    let bytes = prefix.contains(['b', 'B']);
    let one = &quoted[..1];
    let quote = if quoted.starts_with(&one.repeat(3)) {
        one.repeat(3)
    } else {
        one.to_owned()
    };
    let mut value = String::new();
    let mut at = quote.len();
    loop {
        let left = &quoted[at..];
        if left.starts_with(&quote) {
            let length = letters + at + quote.len();
            let literal = if bytes {
                Literal::Bytes
            } else {
                Literal::Text(value)
            };
            return Some(Ok((TokenKind::Literal(literal), length)));
        }
        match left.chars().next() {
            None => return Some(Err((0, "a text does not end".to_owned()))),
            Some('\n' | '\r') if quote.len() == 1 => {
                return Some(Err((0, "a text does not end on its line".to_owned())));
            }
            Some('\\') if !raw => match escape(&left[1..]) {
                Some((c, length)) => {
                    value.extend(c);
                    at += 1 + length;
                }
                None => return Some(Err((letters + at, "a wrong escape in a text".to_owned()))),
            },
            Some(c) => {
                value.push(c);
                at += c.len_utf8();
            }
        }
    }
}

/// What follows a backslash: the character, and how long its escape is.
fn escape(rest: &str) -> Option<(Option<char>, usize)> {
    let c = rest.chars().next()?;
    let plain = |c| Some((Some(c), 1));
    match c {
        'a' => plain('\u{7}'),
        'b' => plain('\u{8}'),
        'f' => plain('\u{c}'),
        'n' => plain('\n'),
        'r' => plain('\r'),
        't' => plain('\t'),
        'v' => plain('\u{b}'),
        '\\' | '\'' | '"' | '`' | '?' => plain(c),
        'x' | 'X' => code(rest.get(1..3)?, 16, 3),
        'u' => code(rest.get(1..5)?, 16, 5),
        'U' => code(rest.get(1..9)?, 16, 9),
        '0'..='3' => code(rest.get(..3)?, 8, 3),
        _ => None,
    }
}

fn code(digits: &str, radix: u32, length: usize) -> Option<(Option<char>, usize)> {
    let is_digit = |c: char| c.is_digit(radix);
    if !digits.chars().all(is_digit) {
        return None;
    }
    let value = u32::from_str_radix(digits, radix).ok()?;
    Some((Some(char::from_u32(value)?), length))
}
