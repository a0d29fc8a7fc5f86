//! Why something could not be read or done: one cause can be met by many calls, and is told once.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// For the user: where it was met (`by the public endpoint 10.0.0.1: GET https://10.0.0.1/api/v1/pods: `), and
/// what it comes from (`Unauthorized (HTTP 401)`). Reads as the whole sentence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reason {
    text: String,
    /// Where the cause begins in `text`, in bytes.
    cause_at: usize,
}

impl Reason {
    /// What came back to a call; `call` ends in a colon and a blank.
    pub fn of_call(call: &str, cause: &str) -> Self {
        Self {
            text: format!("{call}{cause}"),
            cause_at: call.len(),
        }
    }

    /// What it comes from, without the call that met it.
    pub fn cause(&self) -> &str {
        // What a file says of a place is not believed.
        self.text.get(self.cause_at..).unwrap_or(&self.text)
    }

    /// The same, met within something; the text ends in a colon and a blank.
    #[must_use]
    pub fn within(self, place: &str) -> Self {
        Self {
            text: format!("{place}{}", self.text),
            cause_at: self.cause_at.saturating_add(place.len()),
        }
    }

    /// The same, with what follows from it.
    #[must_use]
    pub fn with(mut self, more: &str) -> Self {
        self.text.push_str(more);
        self
    }
}

impl Deref for Reason {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A text of which no part is a call's.
impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self { text, cause_at: 0 }
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_stays_the_same_wherever_it_is_met_and_whatever_follows() {
        let of = |url: &str| Reason::of_call(&format!("GET {url}: "), "Unauthorized (HTTP 401)");
        let met = of("https://b/nodes").within("by the public endpoint b: ");
        assert_eq!(of("https://a/pods").cause(), met.cause());
        assert_eq!(
            *met,
            *"by the public endpoint b: GET https://b/nodes: Unauthorized (HTTP 401)"
        );
        assert_eq!(
            met.with(". Log in").cause(),
            "Unauthorized (HTTP 401). Log in"
        );
        let plain = Reason::from("see http://x: it is so");
        assert_eq!(plain.cause(), &*plain);
    }

    #[test]
    fn a_place_outside_of_the_text_is_none() {
        let forged: Reason =
            serde_json::from_str(r#"{"text":"né","cause_at":2}"#).expect("a reason");
        assert_eq!(forged.cause(), "né");
    }
}
