//! Whether the condition of a binding holds.

use jiff::Timestamp;

/// Whether an IAM condition holds at `now`, for a caller of whom nothing else is known; `None` where that
/// depends on more than the time, or the time is not known.
///
/// The subset of CEL that is told: `true`, `false`, comparisons of `request.time` with a `timestamp()`,
/// and `&&` and `||` of such.
pub fn holds(expression: &str, now: Option<Timestamp>) -> Option<bool> {
    let expression = expression.trim();
    if let Some(inner) = in_parentheses(expression) {
        return holds(inner, now);
    }
    if let Some((left, right)) = split_at(expression, "||") {
        return match (holds(left, now), holds(right, now)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        };
    }
    if let Some((left, right)) = split_at(expression, "&&") {
        return match (holds(left, now), holds(right, now)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
    }
    match expression {
        "true" => Some(true),
        "false" => Some(false),
        _ => of_the_time(expression, now?),
    }
}

type Compares = fn(Timestamp, Timestamp) -> bool;

/// The longer signs first.
const COMPARISONS: [(&str, Compares); 4] = [
    ("<=", |a, b| a <= b),
    (">=", |a, b| a >= b),
    ("<", |a, b| a < b),
    (">", |a, b| a > b),
];

fn of_the_time(expression: &str, now: Timestamp) -> Option<bool> {
    let (left, compares, right) = COMPARISONS.into_iter().find_map(|(sign, compares)| {
        let (left, right) = expression.split_once(sign)?;
        Some((left.trim(), compares, right.trim()))
    })?;
    let value = |text: &str| match text {
        "request.time" => Some(now),
        text => {
            let inner = text.strip_prefix("timestamp(")?.strip_suffix(')')?.trim();
            let quoted = |quote| inner.strip_prefix(quote)?.strip_suffix(quote);
            quoted('"').or_else(|| quoted('\''))?.parse().ok()
        }
    };
    Some(compares(value(left)?, value(right)?))
}

/// What is in parentheses that are around all of it.
fn in_parentheses(expression: &str) -> Option<&str> {
    let inner = expression.strip_prefix('(')?.strip_suffix(')')?;
    let mut depth = 0_i32;
    for (_, c) in outside_texts(inner) {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    (depth == 0).then_some(inner)
}

/// At the first such operator that is in no parentheses.
fn split_at<'a>(expression: &'a str, operator: &str) -> Option<(&'a str, &'a str)> {
    let mut depth = 0_i32;
    for (at, c) in outside_texts(expression) {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ if depth == 0 && expression[at..].starts_with(operator) => {
                return Some((&expression[..at], &expression[at + operator.len()..]));
            }
            _ => {}
        }
    }
    None
}

/// The characters that are not within a quoted text, with their places.
fn outside_texts(expression: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    let mut escaped = false;
    expression.char_indices().filter(move |(_, c)| {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if *c == '\\' => escaped = true,
            Some(q) if q == *c => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') => quote = Some(*c),
            None => return true,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::holds;

    #[test]
    fn a_condition_is_told_by_the_time_alone() {
        let now = "2026-11-30T00:00:00Z".parse().ok();
        let past = r#"request.time < timestamp("2026-01-01T00:00:00Z")"#;
        let to_come = r#"timestamp('2027-01-01T00:00:00Z') >= request.time"#;
        let other = r#"resource.name.startsWith("projects/_/buckets/a || b")"#;
        for (expression, wanted) in [
            (past.to_owned(), Some(false)),
            (to_come.to_owned(), Some(true)),
            (other.to_owned(), None),
            ("false".to_owned(), Some(false)),
            (format!("{other} && {past}"), Some(false)),
            (format!("{other} && {to_come}"), None),
            (format!("({to_come}) || {other}"), Some(true)),
            (format!("({past} || {to_come}) && {to_come}"), Some(true)),
            (format!("!({past})"), None),
            ("request.time < timestamp(\"tomorrow\")".to_owned(), None),
            (
                "request.time.getHours() < 18 && request.time < timestamp(\"2026-01-01T00:00:00Z\")"
                    .to_owned(),
                Some(false),
            ),
        ] {
            assert_eq!(holds(&expression, now), wanted, "{expression}");
        }
        assert_eq!(holds(past, None), None);
    }
}
