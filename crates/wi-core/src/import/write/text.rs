//! Lines of YAML, and what they are about.

use std::collections::BTreeMap;

use super::super::refused::Subject;

#[derive(Default)]
pub(super) struct Text {
    pub text: String,
    lines: usize,
    pub subjects: BTreeMap<usize, Subject>,
}

impl Text {
    pub fn line(&mut self, depth: usize, text: &str) {
        self.text.push_str(&"  ".repeat(depth));
        self.text.push_str(text);
        self.text.push('\n');
        self.lines += 1;
    }

    pub fn section(&mut self, key: &str) {
        self.text.push('\n');
        self.lines += 1;
        self.line(0, &format!("{key}:"));
    }

    /// What comes next is about this.
    pub fn about(&mut self, subject: Subject) {
        self.subjects.insert(self.lines + 1, subject);
    }
}
