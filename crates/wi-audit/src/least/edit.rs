//! Lines of a spec in which a role is written, changed: the rest of the file stays as it is, comments and order, too.

use wi_core::resource::Resource;

/// Lines to be taken out of a text, and those that come in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineEdit {
    /// The first line, from 1.
    pub line: usize,
    /// As they are.
    pub old: Vec<String>,
    /// As they would be.
    pub new: Vec<String>,
}

/// What a grant becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Roles to write in place of the present one; none: the grant goes.
    pub roles: Vec<String>,
    /// The resource to write beside them, where it is another one than now.
    pub on: Option<Resource>,
}

/// The edit of the grant of a role at a line; `None`: it is written in a way that is not changed line by line. What comes of
/// it is to be read again: that it says what was meant is not known here.
pub fn edit(text: &str, line: usize, role: &str, change: &Change) -> Option<LineEdit> {
    let old = text.lines().nth(line.checked_sub(1)?)?;
    let before = old.find(role)?;
    let (head, tail) = (&old[..before], &old[before + role.len()..]);
    let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_');
    // Another role may begin like it, and one line may have it twice.
    if !tail.chars().next().is_none_or(ends) || tail.contains(role) {
        return None;
    }
    let indent: String = old.chars().take_while(|c| *c == ' ').collect();
    let Some(item) = old.trim_start().strip_prefix("- ") else {
        return in_flow(old, line, (head, tail), change);
    };
    let comment = comment(item);
    let value = item[..item.len() - comment.len()].trim();
    let told = |role: &String| match &change.on {
        Some(on) => format!("{{ role: {role}, resource: {on} }}"),
        None => role.clone(),
    };
    let new: Vec<String> = if value == role {
        let lines = change.roles.iter().enumerate();
        let of = |(at, role): (usize, &String)| {
            let end = if at == 0 && !comment.is_empty() {
                format!(" {comment}")
            } else {
                String::new()
            };
            format!("{indent}- {}{end}", told(role))
        };
        lines.map(of).collect()
    } else if value.starts_with('{') && value.ends_with('}') {
        let has_resource = value.contains("resource:");
        let more = match &change.on {
            Some(_) if has_resource => return None,
            Some(on) => format!(", resource: {on}"),
            None => String::new(),
        };
        change
            .roles
            .iter()
            .map(|role| format!("{head}{role}{more}{tail}"))
            .collect()
    } else {
        // A block of several lines, of which this is the first: `- role: roles/…`.
        match (change.roles.as_slice(), &change.on) {
            ([role], None) => vec![format!("{head}{role}{tail}")],
            _ => return None,
        }
    };
    Some(LineEdit {
        line,
        old: vec![old.to_owned()],
        new,
    })
}

/// In a sequence that is written in one line with others: `grants: [roles/a, { role: roles/b }]`.
fn in_flow(
    old: &str,
    line: usize,
    (head, tail): (&str, &str),
    change: &Change,
) -> Option<LineEdit> {
    let [role] = change.roles.as_slice() else {
        return None;
    };
    let new = match &change.on {
        None => role.clone(),
        Some(on) if head.trim_end().ends_with("role:") => format!("{role}, resource: {on}"),
        Some(on) => format!("{{ role: {role}, resource: {on} }}"),
    };
    Some(LineEdit {
        line,
        old: vec![old.to_owned()],
        new: vec![format!("{head}{new}{tail}")],
    })
}

/// `# why`, at the end of a line.
fn comment(item: &str) -> &str {
    match item.find(" #") {
        Some(at) => item[at..].trim_start(),
        None => "",
    }
}

/// A text with edits of other lines each.
pub fn edited(text: &str, edits: &[LineEdit]) -> String {
    let mut out = String::new();
    for (at, line) in text.split_inclusive('\n').enumerate() {
        match edits.iter().find(|e| e.line == at + 1) {
            None => out.push_str(line),
            Some(edit) => {
                let end = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
                for new in &edit.new {
                    out.push_str(new);
                    out.push_str(end);
                }
            }
        }
    }
    out
}

/// As a patch of a file, which `patch -p1` and `git apply --unidiff-zero` carry out.
pub fn patch(file: &str, edits: &[LineEdit]) -> String {
    let mut out = format!("--- a/{file}\n+++ b/{file}\n");
    let mut moved: isize = 0;
    let mut edits: Vec<&LineEdit> = edits.iter().collect();
    edits.sort_by_key(|e| e.line);
    for edit in edits {
        // Where nothing comes in its place, the line before is named.
        let shifted = edit.line.saturating_add_signed(moved);
        let to = if edit.new.is_empty() {
            shifted - 1
        } else {
            shifted
        };
        out.push_str(&format!(
            "@@ -{},{} +{to},{} @@\n",
            edit.line,
            edit.old.len(),
            edit.new.len()
        ));
        for line in &edit.old {
            out.push_str(&format!("-{line}\n"));
        }
        for line in &edit.new {
            out.push_str(&format!("+{line}\n"));
        }
        moved += edit.new.len().cast_signed() - edit.old.len().cast_signed();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a:
  grants:
    - roles/storage.admin # for reports
    - { role: roles/storage.admin, resource: bucket/b }
    - { role: roles/pubsub.admin }
    - role: roles/secretmanager.admin
      resource: secret/s
    - roles/storage.adminOfAll
";

    fn change(roles: &[&str], on: Option<&str>) -> Change {
        Change {
            roles: roles.iter().map(|r| (*r).to_owned()).collect(),
            on: on.map(|on| Resource::parse(on, None).expect(on)),
        }
    }

    #[test]
    fn the_line_of_a_grant_is_changed_and_nothing_else() {
        let admin = "roles/storage.admin";
        let new = |line, role, change: &Change| edit(TEXT, line, role, change).map(|e| e.new);
        let viewer = change(&["roles/storage.objectViewer"], None);
        let line = |text: &str| Some(vec![text.to_owned()]);
        assert_eq!(
            new(3, admin, &viewer),
            line("    - roles/storage.objectViewer # for reports")
        );
        assert_eq!(
            new(4, admin, &viewer),
            line("    - { role: roles/storage.objectViewer, resource: bucket/b }")
        );
        assert_eq!(
            new(
                5,
                "roles/pubsub.admin",
                &change(&["roles/pubsub.viewer"], Some("bucket/xyz"))
            ),
            line("    - { role: roles/pubsub.viewer, resource: bucket/xyz }")
        );
        let accessor = change(&["roles/secretmanager.secretAccessor"], None);
        let secret = "roles/secretmanager.admin";
        assert_eq!(
            new(6, secret, &accessor),
            line("    - role: roles/secretmanager.secretAccessor")
        );
        // A role that only begins so, another line, a block that would take more lines.
        assert_eq!(new(8, admin, &viewer), None);
        assert_eq!(new(2, admin, &viewer), None);
        assert_eq!(new(6, secret, &change(&[], None)), None);
        assert_eq!(new(99, admin, &viewer), None);
        assert_eq!(new(0, admin, &viewer), None);
        let two = change(
            &["roles/storage.objectViewer", "roles/storage.objectCreator"],
            Some("bucket/xyz"),
        );
        assert_eq!(
            new(3, admin, &two),
            Some(vec![
                "    - { role: roles/storage.objectViewer, resource: bucket/xyz } # for reports"
                    .to_owned(),
                "    - { role: roles/storage.objectCreator, resource: bucket/xyz }".to_owned(),
            ])
        );
    }

    #[test]
    fn a_grant_among_others_in_a_line_is_changed_where_it_stands() {
        let text = "  web: { grants: [roles/a.b, { role: roles/c.d }] } # two";
        let new = |role, change: &Change| edit(text, 1, role, change).map(|e| e.new.concat());
        let on = |on| change(&["roles/x.y"], on);
        assert_eq!(
            new("roles/a.b", &on(Some("bucket/xyz"))).as_deref(),
            Some(
                "  web: { grants: [{ role: roles/x.y, resource: bucket/xyz }, { role: roles/c.d }] } # two"
            )
        );
        assert_eq!(
            new("roles/c.d", &on(Some("bucket/xyz"))).as_deref(),
            Some("  web: { grants: [roles/a.b, { role: roles/x.y, resource: bucket/xyz }] } # two")
        );
        assert_eq!(
            new("roles/c.d", &on(None)).as_deref(),
            Some("  web: { grants: [roles/a.b, { role: roles/x.y }] } # two")
        );
        assert_eq!(new("roles/a.b", &change(&[], None)), None);
    }

    #[test]
    fn a_patch_counts_its_lines_and_the_text_is_the_same_otherwise() {
        let viewer = change(&["roles/storage.objectViewer"], None);
        let gone = edit(TEXT, 3, "roles/storage.admin", &change(&[], None)).expect("an edit");
        let smaller = edit(TEXT, 4, "roles/storage.admin", &viewer).expect("an edit");
        let edits = [gone, smaller];
        assert_eq!(
            patch("wi.yaml", &edits),
            "--- a/wi.yaml\n+++ b/wi.yaml\n@@ -3,1 +2,0 @@\n-    - roles/storage.admin # for reports\n@@ -4,1 +3,1 @@\n-    - { role: roles/storage.admin, resource: bucket/b }\n+    - { role: roles/storage.objectViewer, resource: bucket/b }\n"
        );
        let text = edited(TEXT, &edits);
        let kept: Vec<&str> = TEXT
            .lines()
            .enumerate()
            .filter(|(at, _)| !matches!(at, 2 | 3))
            .map(|(_, l)| l)
            .collect();
        let left: Vec<&str> = text
            .lines()
            .filter(|l| !l.contains("objectViewer"))
            .collect();
        assert_eq!(left, kept);
        assert!(edited("a: 1\r\n", &[]).ends_with("\r\n"));
    }
}
