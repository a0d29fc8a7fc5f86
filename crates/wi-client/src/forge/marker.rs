//! The hidden first line of a comment, by which it is found again.

use std::fmt;

use wi_core::percent;

/// What a comment is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marker {
    /// Which of a repository's specs.
    pub root: String,
    /// The commit that was planned: the head of the pull request.
    pub sha: String,
    /// The plan's hash; empty for one that failed.
    pub plan: String,
    /// Which run: a later one has a greater number.
    pub run: u64,
}

const START: &str = "<!-- wi:plan:v1 ";
const END: &str = " -->";

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{START}root={} sha={} plan={} run={}{END}",
            percent::comment(&self.root),
            percent::comment(&self.sha),
            percent::comment(&self.plan),
            self.run
        )
    }
}

impl Marker {
    /// Reads a comment's first line.
    pub fn parse(line: &str) -> Option<Self> {
        let inner = line.trim_end().strip_prefix(START)?.strip_suffix(END)?;
        let mut marker = Self::default();
        for field in inner.split(' ') {
            let (key, value) = field.split_once('=')?;
            match key {
                "root" => marker.root = percent::decoded(value)?,
                "sha" => marker.sha = percent::decoded(value)?,
                "plan" => marker.plan = percent::decoded(value)?,
                "run" => marker.run = value.parse().ok()?,
                _ => {} // of a newer wi
            }
        }
        Some(marker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_the_marker_or_forges_a_field() {
        let marker = Marker {
            root: "envs/prod --> <b> run=99\n# é".to_owned(),
            sha: "abc".to_owned(),
            plan: "12".to_owned(),
            run: 7,
        };
        let line = marker.to_string();
        assert_eq!(line.matches("-->").count(), 1, "{line}");
        assert!(!line.contains('\n'));
        assert_eq!(Marker::parse(&line), Some(marker));
        assert_eq!(Marker::parse("<!-- something else -->"), None);
    }
}
