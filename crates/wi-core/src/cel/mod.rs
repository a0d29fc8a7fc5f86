//! The Common Expression Language, as far as conditions of IAM use it: parsed in full, evaluated in three
//! values.
//!
//! The grammar is that of <https://github.com/google/cel-spec/blob/master/doc/langdef.md>. What depends on
//! something that is not known here (tags, the caller's address, an object's name) is [`Truth::Unknown`],
//! and so is what CEL calls an error: nobody is said to have or to lack a right by it.

mod eval;
mod lex;
mod parse;

use std::fmt;

pub use eval::{Attributes, Name, Truth, eval};

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression(Node);

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong, and where: IAM refuses such a condition.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        parse::parse(text).map(Self)
    }
}

/// Why an expression is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where, in bytes from the start of the text.
    pub at: usize,
    /// What was found, and what belongs there.
    pub message: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at character {}", self.message, self.at + 1)
    }
}

impl std::error::Error for SyntaxError {}

/// A literal.
#[derive(Debug, Clone, PartialEq)]
enum Literal {
    Bool(bool),
    Int(i64),
    /// What comparisons of conditions never need exactly.
    Number,
    Text(String),
    Null,
    Bytes,
}

/// A part of an expression.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Literal(Literal),
    Name(String),
    /// `of.field`
    Field(Box<Node>, String),
    /// `name(arguments)` or `on.name(arguments)`
    Call {
        on: Option<Box<Node>>,
        name: String,
        arguments: Vec<Node>,
    },
    /// `of[at]`
    Index(Box<Node>, Box<Node>),
    List(Vec<Node>),
    /// A map or a message: of no use in a condition.
    Map,
    Not(Box<Node>),
    Negative(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    /// `if ? then : otherwise`
    Choice(Box<Node>, Box<Node>, Box<Node>),
}

/// An operator between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    In,
    Plus,
    Minus,
    Times,
    Divided,
    Modulo,
}
