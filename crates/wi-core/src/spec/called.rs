//! What a value is called in messages.

use std::fmt;

/// What a value is called in messages.
#[derive(Clone, Copy)]
pub enum Called<'n> {
    /// A whole document.
    Spec,
    /// A field, or a key, of that map.
    Field(&'n str, &'n str),
    /// An item of this list, with its name if it has one.
    Item(&'n str, Option<&'n str>),
}

impl Called<'_> {
    /// The field that it is the value of, or the list's.
    pub fn field(&self) -> &str {
        match self {
            Self::Spec => "",
            Self::Field(_, field) | Self::Item(field, _) => field,
        }
    }
}

impl fmt::Display for Called<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spec => f.write_str("the spec"),
            Self::Field(_, name) => write!(f, "`{name}`"),
            Self::Item("waves", Some(name)) => write!(f, "the wave `{name}`"),
            Self::Item("waves", None) => f.write_str("a wave"),
            Self::Item("grants", _) => f.write_str("a grant"),
            Self::Item("overrides", _) => f.write_str("an override"),
            Self::Item(list, _) => write!(f, "an entry of `{list}`"),
        }
    }
}
