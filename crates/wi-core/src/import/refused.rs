//! What a spec refuses, so that it is taken out of it.

use std::collections::BTreeMap;

use super::facts::KsaName;
use crate::names::Email;

/// What an entry of the spec is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Account(Email),
    Ksa(KsaName),
}

/// What the spec refuses, with its words.
#[derive(Default)]
pub(super) struct Refused(BTreeMap<Subject, String>);

impl Refused {
    pub fn add(&mut self, subject: Subject, why: String) {
        self.0.entry(subject).or_insert(why);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn account(&self, email: &Email) -> Option<&String> {
        self.0.get(&Subject::Account(email.clone()))
    }

    pub fn ksa(&self, name: &KsaName) -> Option<&String> {
        self.0.get(&Subject::Ksa(name.clone()))
    }
}
