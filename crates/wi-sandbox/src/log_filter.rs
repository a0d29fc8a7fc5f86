//! Cloud Logging's filter language, as much of it as audit logs are asked with: comparisons of fields, values in
//! parentheses, `log_id()`, AND, OR, NOT and parentheses. Lists have what one of their members has.

use serde_json::Value;

use super::clock::parse;
use super::errors::ApiError;

/// A filter, read.
#[derive(Debug)]
pub enum Filter {
    All,
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    LogId(String),
    Compare(String, Op, Vec<String>),
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Has,
    Equal,
    Unequal,
    Less(bool),
    Greater(bool),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
    Op(Op),
}

impl Filter {
    /// Reads one; 400 as the API answers it.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let tokens = tokens(text)?;
        if tokens.is_empty() {
            return Ok(Self::All);
        }
        let mut parser = Parser { tokens, at: 0 };
        let filter = parser.any()?;
        match parser.peek() {
            None => Ok(filter),
            Some(token) => Err(bad(&format!("{token:?}"))),
        }
    }

    /// Whether an entry is one.
    pub fn admits(&self, entry: &Value) -> bool {
        match self {
            Self::All => true,
            Self::And(all) => all.iter().all(|f| f.admits(entry)),
            Self::Or(any) => any.iter().any(|f| f.admits(entry)),
            Self::Not(inner) => !inner.admits(entry),
            Self::LogId(id) => {
                let name = entry["logName"].as_str().unwrap_or_default();
                let own = name.rsplit_once("/logs/").map_or("", |(_, id)| id);
                own.replace("%2F", "/").replace("%2f", "/") == *id
            }
            Self::Compare(field, op, values) => {
                let mut found = Vec::new();
                collect(entry, &field.split('.').collect::<Vec<_>>(), &mut found);
                // A field that is not there is unequal to anything.
                if *op == Op::Unequal {
                    return !found.iter().any(|f| values.iter().any(|v| equal(f, v)));
                }
                found
                    .iter()
                    .any(|f| values.iter().any(|v| compare(f, *op, v)))
            }
        }
    }
}

fn bad(part: &str) -> ApiError {
    ApiError::invalid(format!("Unparseable filter: syntax error at {part}"))
}

fn collect<'v>(value: &'v Value, path: &[&str], found: &mut Vec<&'v Value>) {
    match (value, path) {
        (Value::Array(items), _) => items.iter().for_each(|i| collect(i, path, found)),
        (value, []) => found.push(value),
        (value, [first, rest @ ..]) => {
            if let Some(inner) = value.get(first) {
                collect(inner, rest, found);
            }
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn equal(value: &Value, wanted: &str) -> bool {
    text(value).eq_ignore_ascii_case(wanted)
}

fn compare(value: &Value, op: Op, wanted: &str) -> bool {
    let own = text(value);
    match op {
        // `:*` asks whether it is there.
        Op::Has => wanted == "*" || own.to_lowercase().contains(&wanted.to_lowercase()),
        Op::Equal => equal(value, wanted),
        Op::Unequal => !equal(value, wanted),
        Op::Less(or_equal) | Op::Greater(or_equal) => {
            let order = match (parse(&own), parse(wanted)) {
                (Some(own), Some(wanted)) => own.cmp(&wanted),
                _ => match (own.parse::<f64>(), wanted.parse::<f64>()) {
                    (Ok(own), Ok(wanted)) => own.total_cmp(&wanted),
                    _ => own.as_str().cmp(wanted),
                },
            };
            (or_equal && order.is_eq())
                || (matches!(op, Op::Less(_)) && order.is_lt())
                || (matches!(op, Op::Greater(_)) && order.is_gt())
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, ApiError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else {
            return Ok(tokens);
        };
        let ops = [
            ("!=", Op::Unequal),
            ("<=", Op::Less(true)),
            (">=", Op::Greater(true)),
            ("=", Op::Equal),
            (":", Op::Has),
            ("<", Op::Less(false)),
            (">", Op::Greater(false)),
        ];
        if let Some((word, op)) = ops.iter().find(|(word, _)| rest.starts_with(word)) {
            tokens.push(Token::Op(*op));
            rest = &rest[word.len()..];
        } else if first == '(' || first == ')' {
            tokens.push(if first == '(' {
                Token::Open
            } else {
                Token::Close
            });
            rest = &rest[1..];
        } else if first == '"' {
            let mut value = String::new();
            let mut chars = rest[1..].char_indices();
            loop {
                match chars.next() {
                    Some((_, '\\')) => value.extend(chars.next().map(|(_, c)| c)),
                    Some((at, '"')) => {
                        rest = &rest[at + 2..];
                        break;
                    }
                    Some((_, c)) => value.push(c),
                    None => return Err(bad("a text that does not end")),
                }
            }
            tokens.push(Token::Text(value));
        } else {
            let ends = |c: char| c.is_whitespace() || "()=:<>!\"".contains(c);
            let end = rest.find(ends).unwrap_or(rest.len());
            if end == 0 {
                return Err(bad(rest));
            }
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, ApiError> {
        let token = self.peek().cloned().ok_or_else(|| bad("the end"))?;
        self.at += 1;
        Ok(token)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(w)) if w == word)
    }

    fn close(&mut self) -> Result<(), ApiError> {
        match self.next()? {
            Token::Close => Ok(()),
            other => Err(bad(&format!("{other:?}"))),
        }
    }

    /// OR binds less than AND, and AND may be left out.
    fn any(&mut self) -> Result<Filter, ApiError> {
        let mut any = vec![self.all()?];
        while self.is_word("OR") {
            self.at += 1;
            any.push(self.all()?);
        }
        Ok(match any.len() {
            1 => any.remove(0),
            _ => Filter::Or(any),
        })
    }

    fn all(&mut self) -> Result<Filter, ApiError> {
        let mut all = vec![self.one()?];
        loop {
            if self.is_word("AND") {
                self.at += 1;
            } else if self.peek().is_none()
                || self.is_word("OR")
                || self.peek() == Some(&Token::Close)
            {
                break;
            }
            all.push(self.one()?);
        }
        Ok(match all.len() {
            1 => all.remove(0),
            _ => Filter::And(all),
        })
    }

    fn one(&mut self) -> Result<Filter, ApiError> {
        if self.is_word("NOT") {
            self.at += 1;
            return Ok(Filter::Not(Box::new(self.one()?)));
        }
        let field = match self.next()? {
            Token::Open => {
                let inner = self.any()?;
                self.close()?;
                return Ok(inner);
            }
            Token::Word(word) | Token::Text(word) => word,
            other => return Err(bad(&format!("{other:?}"))),
        };
        if field == "log_id" && self.peek() == Some(&Token::Open) {
            self.at += 1;
            let id = self.value()?;
            self.close()?;
            return Ok(Filter::LogId(id));
        }
        let op = match self.next()? {
            Token::Op(op) => op,
            other => return Err(bad(&format!("{other:?}"))),
        };
        let mut values = Vec::new();
        if self.peek() == Some(&Token::Open) {
            self.at += 1;
            loop {
                values.push(self.value()?);
                if self.is_word("OR") {
                    self.at += 1;
                    continue;
                }
                break self.close()?;
            }
        } else {
            values.push(self.value()?);
        }
        Ok(Filter::Compare(field, op, values))
    }

    fn value(&mut self) -> Result<String, ApiError> {
        match self.next()? {
            Token::Word(word) | Token::Text(word) => Ok(word),
            other => Err(bad(&format!("{other:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_admit_what_they_say() {
        let entry = json!({
            "logName": "projects/p/logs/cloudaudit.googleapis.com%2Fdata_access",
            "timestamp": "2026-11-05T03:12:44.5Z",
            "severity": "INFO",
            "protoPayload": { "status": { "code": 7 }, "authenticationInfo": {
                "principalEmail": "web@p", "serviceAccountDelegationInfo": [{}, { "principalSubject": "a" }] } },
        });
        for (filter, admitted) in [
            ("", true),
            (r#"log_id("cloudaudit.googleapis.com/data_access")"#, true),
            (r#"log_id("cloudaudit.googleapis.com/activity")"#, false),
            (
                r#"timestamp>="2026-11-05T03:12:44Z" AND timestamp<"2026-11-05T03:12:45Z""#,
                true,
            ),
            (r#"timestamp<"2026-11-05T03:12:44Z""#, false),
            ("protoPayload.status.code=7", true),
            (
                r#"protoPayload.authenticationInfo.principalEmail=("x" OR "web@p")"#,
                true,
            ),
            (
                r#"protoPayload.authenticationInfo.serviceAccountDelegationInfo.principalSubject="a""#,
                true,
            ),
            (
                r#"protoPayload.authenticationInfo.serviceAccountKeyName:*"#,
                false,
            ),
            (
                r#"NOT severity="ERROR" (severity=ERROR OR protoPayload.status.code=7)"#,
                true,
            ),
            (
                r#"severity="ERROR" OR severity="INFO" AND protoPayload.status.code=0"#,
                false,
            ),
        ] {
            let read = Filter::parse(filter).expect(filter);
            assert_eq!(read.admits(&entry), admitted, "{filter}");
        }
        for wrong in ["severity", "severity=", "(severity=INFO", "a=\"x", "= x"] {
            assert!(Filter::parse(wrong).is_err(), "{wrong}");
        }
    }
}
