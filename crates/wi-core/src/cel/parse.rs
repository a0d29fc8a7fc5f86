//! The grammar, by recursive descent.

use super::lex::{Token, TokenKind, tokens};
use super::{Literal, Node, Operator, SyntaxError};

/// IAM takes no longer expressions, by far.
const LONGEST: usize = 64 * 1024;

/// So many parts within one another.
const DEEPEST: usize = 100;

/// So many words: IAM takes no more than a dozen operators, and a chain of them is a deep tree.
const MOST_WORDS: usize = 2000;

/// Words that CEL keeps for itself.
const RESERVED: [&str; 16] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
];

pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    if text.len() > LONGEST {
        return Err(SyntaxError {
            at: LONGEST,
            message: format!("it is longer than {LONGEST} bytes"),
        });
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
    };
    if parser.tokens.len() > MOST_WORDS {
        return Err(SyntaxError {
            at: parser.tokens[MOST_WORDS].at,
            message: format!("it has more than {MOST_WORDS} words and signs"),
        });
    }
    let node = parser.expression()?;
    match parser.peek() {
        TokenKind::End => Ok(node),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser {
    /// The last one is the end.
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

type Parsed = Result<Node, SyntaxError>;

impl Parser {
    fn peek(&self) -> &TokenKind {
        &self.tokens[self.next].kind
    }

    fn take(&mut self) -> TokenKind {
        let kind = self.peek().clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        kind
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Sign(s) if *s == sign);
        if found {
            self.take();
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), SyntaxError> {
        if self.eat(sign) {
            return Ok(());
        }
        Err(self.unexpected(&format!("`{sign}`")))
    }

    fn unexpected(&self, wanted: &str) -> SyntaxError {
        let found = match self.peek() {
            TokenKind::End => "the end".to_owned(),
            TokenKind::Sign(sign) => format!("`{sign}`"),
            TokenKind::Name(name) => format!("`{name}`"),
            TokenKind::Literal(Literal::Text(_)) => "a text".to_owned(),
            TokenKind::Literal(_) => "a literal".to_owned(),
        };
        SyntaxError {
            at: self.tokens[self.next].at,
            message: format!("{found} stands where {wanted} belongs"),
        }
    }

    fn deeper(&mut self, part: fn(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(SyntaxError {
                at: self.tokens[self.next].at,
                message: "it has too many parts within one another".to_owned(),
            });
        }
        let node = part(self);
        self.depth -= 1;
        node
    }

    fn expression(&mut self) -> Parsed {
        self.deeper(|p| {
            let condition = p.binary(0)?;
            if !p.eat("?") {
                return Ok(condition);
            }
            let then = p.binary(0)?;
            p.expect(":")?;
            let otherwise = p.expression()?;
            Ok(Node::Choice(
                Box::new(condition),
                Box::new(then),
                Box::new(otherwise),
            ))
        })
    }

    /// Operators of this level and those that bind tighter.
    fn binary(&mut self, level: usize) -> Parsed {
        let Some(operators) = LEVELS.get(level) else {
            return self.deeper(Self::unary);
        };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.operator(operators) {
            let right = self.binary(level + 1)?;
            left = Node::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn operator(&mut self, operators: &[(&str, Operator)]) -> Option<Operator> {
        let word = match self.peek() {
            TokenKind::Sign(sign) => *sign,
            TokenKind::Name(name) if name == "in" => "in",
            _ => return None,
        };
        let (_, operator) = operators.iter().find(|(w, _)| *w == word)?;
        self.take();
        Some(*operator)
    }

    fn unary(&mut self) -> Parsed {
        if self.eat("!") {
            return Ok(Node::Not(Box::new(self.deeper(Self::unary)?)));
        }
        if self.eat("-") {
            return Ok(Node::Negative(Box::new(self.deeper(Self::unary)?)));
        }
        self.member()
    }

    fn member(&mut self) -> Parsed {
        let mut node = self.primary()?;
        loop {
            if self.eat(".") {
                let TokenKind::Name(name) = self.peek().clone() else {
                    return Err(self.unexpected("the name of a field or a function"));
                };
                self.take();
                let on = Box::new(node);
                node = if self.eat("(") {
                    Node::Call {
                        on: Some(on),
                        name,
                        arguments: self.list(")")?,
                    }
                } else {
                    Node::Field(on, name)
                };
            } else if self.eat("[") {
                let at = self.expression()?;
                self.expect("]")?;
                node = Node::Index(Box::new(node), Box::new(at));
            } else {
                return Ok(node);
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        // A leading dot names something of the root.
        let rooted = self.eat(".");
        match self.peek().clone() {
            TokenKind::Name(name) if !RESERVED.contains(&name.as_str()) && name != "in" => {
                self.take();
                if self.eat("(") {
                    let arguments = self.list(")")?;
                    return Ok(Node::Call {
                        on: None,
                        name,
                        arguments,
                    });
                }
                if self.eat("{") {
                    return self.map();
                }
                Ok(Node::Name(name))
            }
            TokenKind::Literal(literal) if !rooted => {
                self.take();
                Ok(Node::Literal(literal))
            }
            TokenKind::Sign("(") if !rooted => {
                self.take();
                let node = self.expression()?;
                self.expect(")")?;
                Ok(node)
            }
            TokenKind::Sign("[") if !rooted => {
                self.take();
                self.list("]").map(Node::List)
            }
            TokenKind::Sign("{") if !rooted => {
                self.take();
                self.map()
            }
            _ => Err(self.unexpected("a value")),
        }
    }

    /// Expressions with commas between them, up to `end`.
    fn list(&mut self, end: &str) -> Result<Vec<Node>, SyntaxError> {
        let mut list = Vec::new();
        while !self.eat(end) {
            list.push(self.expression()?);
            // A list may end with a comma, arguments may not.
            let comma = self.eat(",");
            let ended = matches!(self.peek(), TokenKind::Sign(s) if *s == end);
            if ended && comma && end == ")" {
                return Err(self.unexpected("a value"));
            }
            if !ended && !comma {
                return Err(self.unexpected(&format!("`,` or `{end}`")));
            }
        }
        Ok(list)
    }

    fn map(&mut self) -> Parsed {
        while !self.eat("}") {
            self.expression()?;
            self.expect(":")?;
            self.expression()?;
            if !self.eat(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Node::Map)
    }
}

/// The operators, those that bind least first.
const LEVELS: [&[(&str, Operator)]; 5] = [
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[
        ("<", Operator::Less),
        ("<=", Operator::LessOrEqual),
        (">", Operator::Greater),
        (">=", Operator::GreaterOrEqual),
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("in", Operator::In),
    ],
    &[("+", Operator::Plus), ("-", Operator::Minus)],
    &[
        ("*", Operator::Times),
        ("/", Operator::Divided),
        ("%", Operator::Modulo),
    ],
];

#[cfg(test)]
mod tests {
    use crate::cel::Expression;

    #[test]
    fn expression_of_a_condition_is_read() {
        for text in [
            "true",
            "request.time < timestamp(\"2027-01-01T00:00:00Z\")",
            "!(resource.name.startsWith('projects/_/buckets/a') && resource.type in ['a', \"b\",])",
            "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['roles/x'])",
            "resource.matchTag('123/env', 'prod') ? true : 1 + 2 * -3 >= 0x10u",
            "r'raw\\' == \"\"\"two\nlines\"\"\" // and a remark",
            "a[0].b[\"c\"] != {'x': 1}",
            "resource.name.extract('/objects/{x}/') == 'it\\'s \\u00e9'",
            "1.5e-3 < 2.0 || b'x' == b\"y\"",
            ".request.time.getHours('Europe/Berlin') < 18",
        ] {
            Expression::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_at_its_place() {
        for (text, at) in [
            ("", 0),
            ("request.time <", 14),
            ("request.time < timestamp('2027", 25),
            ("resource.name startsWith('x')", 14),
            ("a = b", 2),
            ("a && (b || c", 12),
            ("f(a, )", 5),
            ("[1 2]", 3),
            ("a.'b'", 2),
            ("12ab", 0),
            ("'\\q'", 1),
            ("if (a)", 0),
            ("a ? b", 5),
            ("a b", 2),
            ("#", 0),
        ] {
            let error = Expression::parse(text).expect_err(text);
            assert_eq!(error.at, at, "{text}: {error}");
        }
        for deep in ["(", "!", "-", "[", "a ? b : "] {
            assert!(Expression::parse(&deep.repeat(20_000)).is_err());
        }
        assert!(Expression::parse(&format!("{}a", "a||".repeat(20_000))).is_err());
    }
}
