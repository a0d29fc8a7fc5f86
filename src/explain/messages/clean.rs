//! A message as it was meant: without colours, escapes, and what nobody should see.

/// How often a client quotes what another quoted.
const DEEPEST: usize = 3;

/// A text without colours and escapes of JSON, on one line where it was on several.
pub fn cleaned(text: &str) -> String {
    let mut end = super::LONGEST.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut text = without_colours(&text[..end]);
    for _ in 0..DEEPEST {
        let plain = unescaped(&text);
        if plain == text {
            break;
        }
        text = plain;
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn without_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.peek() == Some(&'[') {
            chars.next();
            for c in chars.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// One level of escapes undone: `\"`, `\n`, `\u0027`.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n' | 'r' | 't') => out.push(' '),
            Some('u') => {
                let digits: String = chars.clone().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok();
                match code.and_then(char::from_u32).filter(|_| digits.len() == 4) {
                    Some(c) => {
                        out.push(c);
                        chars.nth(3);
                    }
                    None => out.push_str("\\u"),
                }
            }
            Some(c) => out.push(c),
            None => out.push('\\'),
        }
    }
    out
}

/// What tokens and keys begin with, and what their characters are.
const SECRETS: [(&str, &str); 5] = [
    ("ya29.", "-_."),
    ("eyJ", "-_."),
    ("AIza", "-_"),
    ("errorId=", "-_=%"),
    ("-----BEGIN", "- +/=\n"),
];

/// A text in which tokens, keys and error ids are cut out.
pub fn redacted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let first = SECRETS
            .iter()
            .filter_map(|(start, chars)| Some((rest.find(start)?, *start, *chars)))
            .min();
        let Some((at, start, chars)) = first else {
            out.push_str(rest);
            break;
        };
        out.push_str(&rest[..at]);
        let secret = &rest[at..];
        let is_part = |c: char| c.is_ascii_alphanumeric() || chars.contains(c);
        let end = secret.find(|c| !is_part(c)).unwrap_or(secret.len());
        // A word that only begins so is none.
        if end < start.len() + 8 {
            out.push_str(&secret[..end]);
        } else {
            out.push_str("[cut out]");
        }
        rest = &secret[end..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_read_through_colours_quotes_and_lines() {
        let nested = r#"{"error": "{\"message\": \"Permission \\u0027a.b.get\\u0027\\ndenied\"}"}"#;
        assert!(cleaned(nested).contains("Permission 'a.b.get' denied"));
        assert_eq!(
            cleaned("\u{1b}[31mred\u{1b}[0m\n  and   so on"),
            "red and so on"
        );
        assert_eq!(cleaned("\\u12"), "\\u12");
        assert!(cleaned(&"é".repeat(40_000)).len() <= super::super::LONGEST);
    }

    #[test]
    fn secrets_are_cut_out() {
        let text = "token ya29.c.b0AXv0zTabc-def_1 and eyJhbGciOi.eyJpc3MiOi.c2ln, key AIzaSyA1234567890 https://x/summary;errorId=CiQwMTk4abcdefg tail";
        let out = redacted(text);
        for secret in ["b0AX", "eyJpc3", "SyA123", "CiQw"] {
            assert!(!out.contains(secret), "{out}");
        }
        assert!(out.ends_with("tail"), "{out}");
        assert_eq!(redacted("eyJ is short"), "eyJ is short");
    }
}
