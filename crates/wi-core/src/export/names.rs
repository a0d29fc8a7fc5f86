//! Names that no two things have.

use std::collections::BTreeSet;

/// Gives names; `join` is what stands for all that a name may not have.
pub(super) struct Names {
    taken: BTreeSet<String>,
    join: char,
    longest: usize,
}

impl Names {
    pub fn new(join: char, longest: usize) -> Self {
        Self {
            taken: BTreeSet::new(),
            join,
            longest,
        }
    }

    /// A name like this text that nothing else has.
    pub fn give(&mut self, text: &str) -> String {
        let mut name = String::new();
        for c in text.chars().map(|c| c.to_ascii_lowercase()) {
            if c.is_ascii_alphanumeric() {
                name.push(c);
            } else if !name.ends_with(self.join) && !name.is_empty() {
                name.push(self.join);
            }
        }
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            name.insert(0, 'x');
        }
        name.truncate(self.longest);
        let name = name.trim_end_matches(self.join).to_owned();
        let numbered = (2..).map(|n| format!("{name}{}{n}", self.join));
        let mut all = std::iter::once(name.clone()).chain(numbered);
        let free = all.find(|name| !self.taken.contains(name));
        let free = free.unwrap_or(name);
        self.taken.insert(free.clone());
        free
    }
}
