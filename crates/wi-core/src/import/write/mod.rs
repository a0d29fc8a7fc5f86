//! The chosen things as YAML: minimal, grouped, ordered.

mod accounts;
mod clusters;
mod grants;
mod names;
mod namespaces;
mod text;
mod which;

use std::collections::BTreeMap;

use self::names::account_names;
use self::text::Text;
use self::which::Whiches;
use super::choice::Choice;
use super::ksas::Acts;
use super::refused::Subject;
use super::told::Choices;
use super::yaml::remark;
use crate::names::{Email, KubeName};
use crate::spec::API_VERSION;
use crate::spec::model::SourceLine;

/// The file of all that is of no namespace alone.
const MAIN: &str = "wi.yaml";

/// Files, and what their lines are about.
pub(super) struct Written {
    pub files: BTreeMap<String, String>,
    /// The first line of what is about each, by file.
    subjects: BTreeMap<String, BTreeMap<usize, Subject>>,
}

impl Written {
    /// What a line is about.
    pub fn subject(&self, place: &SourceLine) -> Option<Subject> {
        let of_file = self.subjects.get(&place.file)?;
        let (_, subject) = of_file.range(..=place.line).next_back()?;
        Some(subject.clone())
    }
}

pub(super) fn write(choice: &Choice, choices: &Choices) -> Written {
    let writer = Writer {
        choice,
        comments: choices.comments,
        names: account_names(choice.accounts.keys()),
        which: Whiches::of(choice),
    };
    let mut parts: BTreeMap<String, Vec<&KubeName>> =
        BTreeMap::from([(MAIN.to_owned(), Vec::new())]);
    for namespace in choice.namespaces.keys() {
        let file = match (choices.single_file, namespace.as_str()) {
            (true, _) => MAIN.to_owned(),
            (false, "wi") => "wi-namespace.yaml".to_owned(),
            (false, namespace) => format!("{namespace}.yaml"),
        };
        parts.entry(file).or_default().push(namespace);
    }
    let homes = homes(choice, &parts);
    let mut written = Written {
        files: BTreeMap::new(),
        subjects: BTreeMap::new(),
    };
    for (file, namespaces) in &parts {
        let mut text = Text::default();
        if let Some(heading) = choices.heading.as_ref().filter(|_| file == MAIN) {
            text.line(0, &format!("# {heading}"));
        }
        text.line(0, &format!("apiVersion: {API_VERSION}"));
        if file == MAIN {
            writer.head(&mut text);
        }
        let here = homes.iter().filter(|(_, home)| *home == file);
        writer.accounts(here.map(|(email, _)| *email), &mut text);
        writer.namespaces(namespaces, &mut text);
        written.subjects.insert(file.clone(), text.subjects);
        written.files.insert(file.clone(), text.text);
    }
    written
}

/// The file that each account is in: that of the only namespace that uses it, or the main one.
fn homes<'a>(
    choice: &'a Choice,
    parts: &'a BTreeMap<String, Vec<&KubeName>>,
) -> BTreeMap<&'a Email, &'a str> {
    let mut homes: BTreeMap<&Email, &str> = BTreeMap::new();
    for (file, namespaces) in parts {
        let ksas = namespaces
            .iter()
            .flat_map(|n| choice.namespaces[*n].ksas.values());
        for acts in ksas.flat_map(|k| k.on.values()) {
            if let Acts::As(by) = acts {
                let home = homes.entry(&by.account).or_insert(file);
                if *home != file {
                    *home = MAIN;
                }
            }
        }
    }
    for email in choice.accounts.keys() {
        homes.entry(email).or_insert(MAIN);
    }
    homes
}

struct Writer<'a> {
    choice: &'a Choice,
    comments: bool,
    /// What the spec calls accounts.
    names: BTreeMap<Email, String>,
    which: Whiches<'a>,
}

impl Writer<'_> {
    fn remark(&self, text: Option<&str>) -> String {
        remark(text.filter(|_| self.comments))
    }
}
