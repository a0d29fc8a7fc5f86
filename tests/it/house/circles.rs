//! Which file uses which, from their `use` lines and paths: files that use each other in a circle can only be
//! understood together. A file may use the `mod.rs` above it, where what its folder shares is.

use std::collections::{BTreeMap, BTreeSet};

/// A module by the names on the way to it; the crate's root has none.
type Module = Vec<String>;

/// A path of the code, and whether a `pub use` has it.
struct Named {
    path: Vec<String>,
    is_passed_on: bool,
}

/// The circles of a crate, each as its files in order.
pub fn of(sources: &[(String, String)]) -> BTreeSet<Vec<String>> {
    let named: BTreeMap<Module, Vec<Named>> = sources
        .iter()
        .map(|(file, text)| (module(file), named(&code(text))))
        .collect();
    let users: BTreeMap<&Module, BTreeSet<&Module>> = named
        .iter()
        .filter(|(user, _)| !user.is_empty())
        .map(|(user, paths)| {
            let used = paths.iter().filter_map(|n| home(&named, user, &n.path, 0));
            let above = |m: &Module| user.starts_with(m);
            (user, used.filter(|m| !above(m)).collect())
        })
        .collect();
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        users.keys().map(|m| (*m, reached(&users, m))).collect();
    let mut circles = BTreeSet::new();
    for (module, from_it) in &reached {
        let mut circle: Vec<String> = from_it
            .iter()
            .filter(|other| reached.get(*other).is_some_and(|r| r.contains(module)))
            .map(|other| other.join("/"))
            .collect();
        circle.sort();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles
}

fn module(file: &str) -> Module {
    let parts = file.trim_end_matches(".rs").split('/').map(str::to_owned);
    let mut parts: Module = parts.collect();
    let is_folders = parts.last().is_some_and(|p| p == "mod");
    if is_folders || parts == ["lib"] {
        parts.pop();
    }
    parts
}

/// Without comments, and without the tests at the end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next();
    let lines = text.unwrap_or_default().lines();
    let lines = lines.map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// All paths of a text: those of `use`, and those in between.
fn named(code: &str) -> Vec<Named> {
    let (mut all, mut rest) = (Vec::new(), String::new());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let Some(is_passed_on) = begins_use(line) else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        let mut statement = line.to_owned();
        while !statement.contains(';') {
            let Some(more) = lines.next() else { break };
            statement.push_str(more);
        }
        let tree = statement.split(';').next().unwrap_or_default();
        let (_, tree) = tree.split_once("use ").expect("it begins so");
        let paths = expanded(tree).into_iter();
        all.extend(paths.map(|path| Named { path, is_passed_on }));
    }
    let paths = in_between(&rest).into_iter();
    all.extend(paths.map(|path| Named {
        path,
        is_passed_on: false,
    }));
    all
}

/// Whether a `use` begins in this line, and if so, whether it is `pub`.
fn begins_use(line: &str) -> Option<bool> {
    let line = line.trim_start();
    if line.starts_with("use ") {
        return Some(false);
    }
    let rest = line.strip_prefix("pub")?;
    let rest = rest.trim_start_matches(|c: char| c != ' ').trim_start();
    rest.starts_with("use ").then_some(true)
}

/// `a::{b, c::{d, self}}` as `a::b`, `a::c::d`, `a::c`.
fn expanded(tree: &str) -> Vec<Vec<String>> {
    let words = |path: &str| -> Vec<String> {
        let path = path.split(" as ").next().unwrap_or_default();
        let words = path.split("::").map(|w| w.trim().to_owned());
        words.filter(|w| !w.is_empty()).collect()
    };
    let Some((start, inside)) = tree.split_once('{') else {
        return vec![words(tree)];
    };
    let inside = inside.trim_end();
    let inside = inside.strip_suffix('}').unwrap_or(inside);
    let (mut depth, mut parts) = (0_usize, vec![String::new()]);
    for c in inside.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match c {
            ',' if depth == 0 => parts.push(String::new()),
            c => parts.last_mut().expect("one").push(c),
        }
    }
    let start = words(start);
    let parts = parts.iter().filter(|p| !p.trim().is_empty());
    parts
        .flat_map(|part| expanded(part))
        .map(|path| {
            let own = path.into_iter().filter(|w| w != "self");
            start.iter().cloned().chain(own).collect()
        })
        .collect()
}

/// `a::b` wherever it stands.
fn in_between(code: &str) -> Vec<Vec<String>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut all = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("::") {
        let start = rest[..at].rfind(|c| !is_word(c)).map_or(0, |i| i + 1);
        let mut path = vec![rest[start..at].to_owned()];
        rest = &rest[at..];
        while let Some(next) = rest.strip_prefix("::") {
            let end = next.find(|c| !is_word(c)).unwrap_or(next.len());
            path.push(next[..end].to_owned());
            rest = &next[end..];
        }
        path.retain(|w| !w.is_empty());
        let is_path = path
            .first()
            .is_some_and(|w| w.starts_with(|c: char| c.is_ascii_lowercase()));
        if is_path {
            all.push(path);
        }
    }
    all
}

/// The module in which what a path names is written down: what it passes on of others is theirs.
fn home<'a>(
    all: &'a BTreeMap<Module, Vec<Named>>,
    user: &Module,
    path: &[String],
    depth: usize,
) -> Option<&'a Module> {
    let mut rest = path;
    let mut at = match path.first()?.as_str() {
        "crate" => Module::new(),
        "self" | "super" => user.clone(),
        word => {
            let below = [user.as_slice(), &[word.to_owned()]].concat();
            all.contains_key(&below).then(|| user.clone())?
        }
    };
    while let Some(word) = rest.first() {
        match word.as_str() {
            "crate" | "self" => {}
            "super" => _ = at.pop(),
            word => {
                let below = [at.as_slice(), &[word.to_owned()]].concat();
                if !all.contains_key(&below) {
                    break;
                }
                at = below;
            }
        }
        rest = &rest[1..];
    }
    let (found, names) = all.get_key_value(&at)?;
    let passed_on = names
        .iter()
        .filter(|n| n.is_passed_on && n.path.last() == rest.first());
    for named in passed_on.filter(|_| depth < 6) {
        if let Some(home) = home(all, found, &named.path, depth + 1)
            && home != found
        {
            return Some(home);
        }
    }
    Some(found)
}

fn reached<'a>(
    users: &BTreeMap<&'a Module, BTreeSet<&'a Module>>,
    from: &'a Module,
) -> BTreeSet<&'a Module> {
    let (mut found, mut left) = (BTreeSet::new(), vec![from]);
    while let Some(module) = left.pop() {
        for used in users.get(module).into_iter().flatten() {
            if found.insert(*used) {
                left.push(used);
            }
        }
    }
    found
}

#[test]
fn circle_is_found_through_what_is_passed_on_and_not_where_there_is_none() {
    let files = |files: &[(&str, &str)]| {
        let files = files
            .iter()
            .map(|(f, t)| ((*f).to_owned(), (*t).to_owned()));
        of(&files.collect::<Vec<_>>())
    };
    let found = files(&[
        ("lib.rs", "mod a;\nmod b;\nmod c;\npub use c::C;"),
        (
            "a/mod.rs",
            "mod part;\npub use part::Part;\nuse crate::{b::{self, B}, C};",
        ),
        ("a/part.rs", "use super::Other;"),
        ("b.rs", "use std::fmt;\nfn f() { crate::a::other() }"),
        (
            "c.rs",
            "// use crate::a::X;\n#[cfg(test)]\nmod tests { use crate::a::Y; }",
        ),
    ]);
    assert_eq!(
        found,
        BTreeSet::from([vec!["a".to_owned(), "b".to_owned()]])
    );
    // `Part` is written down in `a/part`, which uses nobody but its own folder's `mod.rs`.
    let none = files(&[
        (
            "a/mod.rs",
            "mod part;\npub use part::Part;\nuse crate::b::B;",
        ),
        ("a/part.rs", "use super::Other;"),
        ("b.rs", "use crate::a::Part;"),
    ]);
    assert_eq!(none, BTreeSet::new());
}
