//! What an expression is worth, by what is known.

use jiff::{SignedDuration, Timestamp};

use super::{Expression, Literal, Node, Operator};

/// Whether a condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// That depends on this, which is not known here.
    Unknown(String),
}

/// The name of a resource, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// All of it.
    Exact(String),
    /// What it begins with: something in a bucket.
    Begins(String),
}

/// What a condition may ask for. `None`: not known.
/// <https://cloud.google.com/iam/docs/conditions-attribute-reference>
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `request.time`
    pub time: Option<Timestamp>,
    /// `resource.name`
    pub resource_name: Option<Name>,
    /// `resource.type`
    pub resource_type: Option<String>,
    /// `resource.service`
    pub resource_service: Option<String>,
    /// `principal.type`, in the bindings of principal access boundaries.
    pub principal_type: Option<String>,
    /// `principal.subject`, as above.
    pub principal_subject: Option<String>,
}

/// Whether an expression holds.
pub fn eval(expression: &Expression, known: &Attributes) -> Truth {
    match value(&expression.0, known) {
        Value::Bool(true) => Truth::Yes,
        Value::Bool(false) => Truth::No,
        Value::Unknown(why) => Truth::Unknown(why),
        _ => Truth::Unknown("it is neither true nor false".to_owned()),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Bool(bool),
    Int(i64),
    Text(Name),
    Time(Timestamp),
    Duration(SignedDuration),
    List(Vec<Value>),
    Null,
    Unknown(String),
}

fn unknown(what: &str) -> Value {
    Value::Unknown(format!("it depends on {what}"))
}

fn error(what: &str) -> Value {
    Value::Unknown(format!("it cannot be evaluated: {what}"))
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(Name::Exact(text.into()))
}

fn value(node: &Node, known: &Attributes) -> Value {
    match node {
        Node::Literal(literal) => match literal {
            Literal::Bool(b) => Value::Bool(*b),
            Literal::Int(i) => Value::Int(*i),
            Literal::Text(t) => text(t.as_str()),
            Literal::Null => Value::Null,
            Literal::Number | Literal::Bytes => unknown("a number or bytes"),
        },
        Node::List(list) => Value::List(list.iter().map(|n| value(n, known)).collect()),
        Node::Name(name) => unknown(name),
        Node::Map => unknown("a map"),
        Node::Field(..) => attribute(node, known),
        Node::Index(of, _) => unknown(&path(of).unwrap_or_default()),
        Node::Not(of) => match value(of, known) {
            Value::Bool(b) => Value::Bool(!b),
            unknown @ Value::Unknown(_) => unknown,
            _ => error("`!` of what is neither true nor false"),
        },
        Node::Negative(of) => match value(of, known) {
            Value::Int(i) => Value::Int(i.saturating_neg()),
            unknown @ Value::Unknown(_) => unknown,
            _ => error("`-` of what is no number"),
        },
        Node::Choice(condition, then, otherwise) => match value(condition, known) {
            Value::Bool(true) => value(then, known),
            Value::Bool(false) => value(otherwise, known),
            unknown @ Value::Unknown(_) => {
                let (then, otherwise) = (value(then, known), value(otherwise, known));
                if then == otherwise { then } else { unknown }
            }
            _ => error("the condition of `?`"),
        },
        Node::Call {
            on,
            name,
            arguments,
        } => call(on.as_deref(), name, arguments, known),
        Node::Binary(operator, left, right) => binary(*operator, left, right, known),
    }
}

/// `a.b.c` of names alone.
fn path(node: &Node) -> Option<String> {
    match node {
        Node::Name(name) => Some(name.clone()),
        Node::Field(of, name) => Some(format!("{}.{name}", path(of)?)),
        _ => None,
    }
}

fn attribute(node: &Node, known: &Attributes) -> Value {
    let Some(path) = path(node) else {
        return unknown("what is not an attribute");
    };
    let found = match path.as_str() {
        "request.time" => known.time.map(Value::Time),
        "resource.name" => known.resource_name.clone().map(Value::Text),
        "resource.type" => known.resource_type.clone().map(text),
        "resource.service" => known.resource_service.clone().map(text),
        "principal.type" => known.principal_type.clone().map(text),
        "principal.subject" => known.principal_subject.clone().map(text),
        _ => None,
    };
    found.unwrap_or_else(|| unknown(&path))
}

fn binary(operator: Operator, left: &Node, right: &Node, known: &Attributes) -> Value {
    // What decides, decides whatever the other side is.
    if let Operator::And | Operator::Or = operator {
        let decides = Value::Bool(operator == Operator::Or);
        let (left, right) = (value(left, known), value(right, known));
        return match (left, right) {
            (left, right) if left == decides || right == decides => decides,
            (Value::Bool(_), Value::Bool(b)) => Value::Bool(b),
            (unknown @ Value::Unknown(_), _) | (_, unknown @ Value::Unknown(_)) => unknown,
            _ => error("`&&` or `||` of what is neither true nor false"),
        };
    }
    let (left, right) = (value(left, known), value(right, known));
    if operator == Operator::In {
        return contained(&left, &right);
    }
    match (left, right) {
        (unknown @ Value::Unknown(_), _) | (_, unknown @ Value::Unknown(_)) => unknown,
        (left, right) => match operator {
            Operator::Equal => equal(&left, &right),
            Operator::NotEqual => match equal(&left, &right) {
                Value::Bool(b) => Value::Bool(!b),
                other => other,
            },
            Operator::Less => ordered(&left, &right, |o| o.is_lt()),
            Operator::LessOrEqual => ordered(&left, &right, |o| o.is_le()),
            Operator::Greater => ordered(&left, &right, |o| o.is_gt()),
            Operator::GreaterOrEqual => ordered(&left, &right, |o| o.is_ge()),
            _ => arithmetic(operator, left, right),
        },
    }
}

fn arithmetic(operator: Operator, left: Value, right: Value) -> Value {
    let sum = match (operator, left, right) {
        (Operator::Plus, Value::Time(t), Value::Duration(d))
        | (Operator::Plus, Value::Duration(d), Value::Time(t)) => {
            t.checked_add(d).ok().map(Value::Time)
        }
        (Operator::Minus, Value::Time(t), Value::Duration(d)) => {
            t.checked_sub(d).ok().map(Value::Time)
        }
        (Operator::Plus, Value::Int(a), Value::Int(b)) => a.checked_add(b).map(Value::Int),
        (Operator::Minus, Value::Int(a), Value::Int(b)) => a.checked_sub(b).map(Value::Int),
        (Operator::Plus, Value::Text(Name::Exact(a)), Value::Text(Name::Exact(b))) => {
            Some(text(a + &b))
        }
        _ => None,
    };
    sum.unwrap_or_else(|| unknown("a calculation"))
}

fn ordered(left: &Value, right: &Value, holds: fn(std::cmp::Ordering) -> bool) -> Value {
    let ordering = match (left, right) {
        (Value::Time(a), Value::Time(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Duration(a), Value::Duration(b)) => a.cmp(b),
        (Value::Text(Name::Exact(a)), Value::Text(Name::Exact(b))) => a.cmp(b),
        (Value::Text(_), Value::Text(_)) => return unknown("the rest of resource.name"),
        _ => return error("things of two kinds are compared"),
    };
    Value::Bool(holds(ordering))
}

fn equal(left: &Value, right: &Value) -> Value {
    match (left, right) {
        (Value::Text(Name::Begins(start)), Value::Text(Name::Exact(whole)))
        | (Value::Text(Name::Exact(whole)), Value::Text(Name::Begins(start)))
            if !whole.starts_with(start.as_str()) =>
        {
            Value::Bool(false)
        }
        (Value::Text(Name::Begins(_)), Value::Text(_))
        | (Value::Text(_), Value::Text(Name::Begins(_))) => unknown("the rest of resource.name"),
        (Value::Bool(_), Value::Bool(_))
        | (Value::Int(_), Value::Int(_))
        | (Value::Text(_), Value::Text(_))
        | (Value::Time(_), Value::Time(_))
        | (Value::Duration(_), Value::Duration(_))
        | (Value::Null, Value::Null) => Value::Bool(left == right),
        _ => error("things of two kinds are compared"),
    }
}

fn contained(item: &Value, list: &Value) -> Value {
    let Value::List(list) = list else {
        return match list {
            Value::Unknown(_) => list.clone(),
            _ => error("`in` of what is no list"),
        };
    };
    let mut unclear = None;
    for other in list {
        let same = match (item, other) {
            (unknown @ Value::Unknown(_), _) | (_, unknown @ Value::Unknown(_)) => unknown.clone(),
            _ => equal(item, other),
        };
        match same {
            Value::Bool(true) => return same,
            Value::Bool(false) => {}
            other => unclear = Some(other),
        }
    }
    unclear.unwrap_or(Value::Bool(false))
}

fn call(on: Option<&Node>, name: &str, arguments: &[Node], known: &Attributes) -> Value {
    let Some(on) = on else {
        return function(name, arguments, known);
    };
    match (value(on, known), arguments) {
        // Of tags (`matchTag`), of roles that are granted (`api.getAttribute`), of addresses.
        (Value::Unknown(why), _) => match path(on).as_deref() {
            Some(path @ ("resource" | "api")) => unknown(&format!("{path}.{name}")),
            _ => Value::Unknown(why),
        },
        (Value::Text(subject), [argument]) => match value(argument, known) {
            Value::Text(Name::Exact(argument)) => text_function(&subject, name, &argument),
            Value::Text(Name::Begins(_)) => unknown("the rest of resource.name"),
            unknown @ Value::Unknown(_) => unknown,
            _ => error(name),
        },
        // What holds at some hours only is not told: it changes while one looks.
        (Value::Time(_), _) => unknown(&format!("request.time.{name}()")),
        _ => unknown(&format!("{name}()")),
    }
}

fn function(name: &str, arguments: &[Node], known: &Attributes) -> Value {
    let [argument] = arguments else {
        return unknown(&format!("{name}()"));
    };
    let argument = match value(argument, known) {
        Value::Text(Name::Exact(text)) => text,
        unknown @ Value::Unknown(_) => return unknown,
        other if name == "timestamp" && matches!(other, Value::Time(_)) => return other,
        _ => return unknown(&format!("{name}()")),
    };
    match name {
        "timestamp" => match argument.parse() {
            Ok(time) => Value::Time(time),
            Err(_) => error("timestamp() of what is no time"),
        },
        "duration" => match duration(&argument) {
            Some(duration) => Value::Duration(duration),
            None => error("duration() of what is none"),
        },
        "string" => text(argument),
        _ => unknown(&format!("{name}()")),
    }
}

/// `1h30m`, `3600s`, `1.5h`.
fn duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut sum = 0.0_f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit());
        let (unit, more) = rest.split_at(end.unwrap_or(rest.len()));
        sum += number
            * match unit {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = more;
    }
    SignedDuration::try_from_secs_f64(if negative { -sum } else { sum }).ok()
}

/// A function of a text that takes a text.
fn text_function(subject: &Name, name: &str, argument: &str) -> Value {
    let rest = || unknown("the rest of resource.name");
    match (name, subject) {
        ("startsWith", Name::Exact(t)) => Value::Bool(t.starts_with(argument)),
        ("startsWith", Name::Begins(t)) if t.starts_with(argument) => Value::Bool(true),
        ("startsWith", Name::Begins(t)) if !argument.starts_with(t.as_str()) => Value::Bool(false),
        ("endsWith", Name::Exact(t)) => Value::Bool(t.ends_with(argument)),
        ("contains", Name::Exact(t)) => Value::Bool(t.contains(argument)),
        ("contains", Name::Begins(t)) if t.contains(argument) => Value::Bool(true),
        ("extract", Name::Exact(t)) => match extract(t, argument) {
            Some(found) => text(found),
            None => error("the template of extract()"),
        },
        ("startsWith" | "endsWith" | "contains" | "extract", Name::Begins(_)) => rest(),
        _ => unknown(&format!("{name}()")),
    }
}

/// What stands at `{…}` of a template; empty where the text is not like it.
/// <https://cloud.google.com/iam/docs/conditions-attribute-reference#extract>
fn extract(text: &str, template: &str) -> Option<String> {
    let (before, rest) = template.split_once('{')?;
    let (_, after) = rest.split_once('}')?;
    let found = || {
        let rest = &text[text.find(before)? + before.len()..];
        match after {
            "" => Some(rest),
            after => rest.find(after).map(|end| &rest[..end]),
        }
    };
    Some(found().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Attributes {
        Attributes {
            time: "2026-11-30T00:00:00Z".parse().ok(),
            resource_name: Some(Name::Begins("projects/_/buckets/b/objects/".to_owned())),
            resource_type: Some("storage.googleapis.com/Object".to_owned()),
            resource_service: Some("storage.googleapis.com".to_owned()),
            ..Attributes::default()
        }
    }

    fn truth(text: &str, known: &Attributes) -> Option<bool> {
        match eval(&Expression::parse(text).expect(text), known) {
            Truth::Yes => Some(true),
            Truth::No => Some(false),
            Truth::Unknown(_) => None,
        }
    }

    #[test]
    fn condition_is_worth_what_is_known() {
        let past = "request.time < timestamp('2026-01-01T00:00:00Z')";
        let to_come = "timestamp(\"2027-01-01T00:00:00Z\") >= request.time";
        let cases = [
            (past.to_owned(), Some(false)),
            (to_come.to_owned(), Some(true)),
            (format!("!({past})"), Some(true)),
            (format!("{past} || {to_come}"), Some(true)),
            (format!("{past} ? {past} : {to_come}"), Some(true)),
            (
                format!("resource.matchTag('1/env', 'prod') && {past}"),
                Some(false),
            ),
            (
                format!("{to_come} || resource.matchTag('1/env', 'prod')"),
                Some(true),
            ),
            (
                format!("resource.matchTag('1/env', 'prod') && {to_come}"),
                None,
            ),
            ("!resource.hasTagKey('1/env')".to_owned(), None),
            (
                "request.time.getHours('Europe/Berlin') < 18".to_owned(),
                None,
            ),
            (
                "request.time < timestamp('2026-11-29T23:00:00Z') + duration('1h30m')".to_owned(),
                Some(true),
            ),
            (
                "request.time < timestamp('2026-11-29T23:00:00Z') + duration('3600s')".to_owned(),
                Some(false),
            ),
            ("request.time < timestamp('tomorrow')".to_owned(), None),
            (
                "resource.name.startsWith('projects/_/buckets/b')".to_owned(),
                Some(true),
            ),
            (
                "resource.name.startsWith('projects/_/buckets/c')".to_owned(),
                Some(false),
            ),
            (
                "resource.name.startsWith('projects/_/buckets/b/objects/in/')".to_owned(),
                None,
            ),
            ("resource.name.endsWith('.csv')".to_owned(), None),
            (
                "resource.name == 'projects/_/buckets/b'".to_owned(),
                Some(false),
            ),
            (
                "resource.name != 'projects/_/buckets/b'".to_owned(),
                Some(true),
            ),
            (
                "resource.name == 'projects/_/buckets/b/objects/x'".to_owned(),
                None,
            ),
            (
                "resource.type == 'storage.googleapis.com/Bucket'".to_owned(),
                Some(false),
            ),
            (
                "resource.type in ['x', 'storage.googleapis.com/Object']".to_owned(),
                Some(true),
            ),
            ("resource.service in []".to_owned(), Some(false)),
            (
                "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['x'])"
                    .to_owned(),
                None,
            ),
            ("destination.ip == '1.2.3.4'".to_owned(), None),
            ("request.auth.access_levels == []".to_owned(), None),
            ("'a' == 1".to_owned(), None),
            (
                "1 < 2 && 2 - 1 == 1 && -1 < 0 && 'a' + 'b' == 'ab'".to_owned(),
                Some(true),
            ),
            ("request.time".to_owned(), None),
        ];
        for (text, wanted) in cases {
            assert_eq!(truth(&text, &known()), wanted, "{text}");
        }
        assert_eq!(truth(past, &Attributes::default()), None);
    }

    #[test]
    fn names_are_taken_apart_by_templates() {
        let known = Attributes {
            resource_name: Some(Name::Exact(
                "projects/_/buckets/b/objects/eu/x.csv".to_owned(),
            )),
            ..Attributes::default()
        };
        for (text, wanted) in [
            ("resource.name.extract('/objects/{dir}/') == 'eu'", true),
            (
                "resource.name.extract('{all}/objects') == 'projects/_/buckets/b'",
                true,
            ),
            (
                "resource.name.extract('/objects/{rest}') == 'eu/x.csv'",
                true,
            ),
            ("resource.name.extract('/folders/{dir}/') == ''", true),
            (
                "resource.name.endsWith('.csv') && resource.name.contains('/eu/')",
                true,
            ),
        ] {
            assert_eq!(truth(text, &known), Some(wanted), "{text}");
        }
    }
}
