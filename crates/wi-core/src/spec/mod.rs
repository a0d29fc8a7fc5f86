//! The spec: YAML in, a checked [`model::Spec`] out, or all mistakes at once. Knows nothing of the
//! live state.

mod called;
mod coerce;
mod diagnostics;
pub mod fleet;
pub mod key_rule;
mod kinds;
pub mod migration;
pub mod model;
mod outdented;
mod read;
mod schema;
mod schema_check;
pub mod selector;
mod source_line;
mod suggest;
mod tree;
pub mod waves;
mod workload_pattern;
mod yaml_context;
mod yaml_errors;

pub use suggest::nearest;

use std::sync::Arc;

pub use diagnostics::{Diagnostic, Source, SpecErrors};
pub use read::guard::glob;
pub use schema::json_schema;

use called::Called;
use model::Spec;
use tree::{Node, Span};

/// The `apiVersion` of documents that are read.
pub const API_VERSION: &str = "wi/v1";

/// A document of ours, and the file that it is in.
struct Document {
    source: Arc<Source>,
    root: Node,
}

/// Merges texts into one spec.
pub fn load_sources(sources: Vec<Source>) -> Result<Spec, SpecErrors> {
    load(sources, Vec::new(), "the input")
}

/// As [`load_sources`], with the mistakes that were made in reading them, and where it was looked for them.
pub fn load(
    sources: Vec<Source>,
    mut mistakes: Vec<Diagnostic>,
    where_looked: &str,
) -> Result<Spec, SpecErrors> {
    let schema = json_schema();
    let names: Vec<String> = sources.iter().map(|s| s.name.clone()).collect();
    let mut documents = Vec::new();
    let mut skipped = Vec::new();
    for source in sources {
        let source = Arc::new(source);
        match tree::parse(&source.text) {
            Ok(roots) => {
                for root in roots {
                    if let Some(document) = ours(&source, root, &mut mistakes) {
                        documents.push(document);
                    }
                }
            }
            Err(e) if !is_for_us(&source.text) => {
                skipped.push(format!("{}: {}", source.name, e.without_snippet()));
            }
            Err(e) => mistakes.push(yaml_errors::mistake(&source, &e)),
        }
    }
    if documents.is_empty() && mistakes.is_empty() {
        mistakes.push(Diagnostic {
            code: "no_spec",
            message: format!("no document with `apiVersion: {API_VERSION}` in {where_looked}"),
            help: Some(no_spec_help(&skipped)),
            label: None,
            other: None,
        });
    }
    if let Some(several) = several_specs(&documents) {
        return Err(SpecErrors(vec![several]));
    }
    // What has been told by now is that files or documents are missing.
    let is_whole = mistakes.is_empty();
    for document in &mut documents {
        schema_check::SchemaCheck {
            root: &schema,
            source: &document.source,
            mistakes: &mut mistakes,
        }
        .check(&mut document.root, &schema, Called::Spec);
    }
    let spec = read::read(&documents, is_whole, &mut mistakes);
    // As the files are read; what has no place comes first.
    mistakes.sort_by_key(|m| {
        let (source, span, _) = m.label.as_ref()?;
        Some((names.iter().position(|n| *n == source.name), span.start))
    });
    match spec {
        Some(spec) if mistakes.is_empty() => Ok(spec),
        _ => Err(SpecErrors(mistakes)),
    }
}

/// Documents of more than one spec, which are told by their names: all else that would be said of them together is noise.
fn several_specs(documents: &[Document]) -> Option<Diagnostic> {
    let mut specs: Vec<(&str, &Document, Span)> = Vec::new();
    for document in documents {
        if let Some(node) = document.root.get("name")
            && let Some(name) = node.text()
            && specs.iter().all(|(known, ..)| *known != name)
        {
            specs.push((name, document, node.span));
        }
    }
    let [(_, first, first_span), (_, second, span), ..] = specs[..] else {
        return None;
    };
    let list: Vec<String> = specs
        .iter()
        .map(|(name, document, _)| format!("`{name}` ({})", document.source.name))
        .collect();
    Some(Diagnostic {
        code: "several_specs",
        message: format!("these are {} specs, not one: {}", list.len(), list.join(", ")),
        help: Some(
            "Name the files or the directory of one of them. Files of one spec have the same `name`, or only one of them has it."
                .to_owned(),
        ),
        label: Some((Arc::clone(&second.source), span, "another spec".to_owned())),
        other: Some((Arc::clone(&first.source), first_span, "the first".to_owned())),
    })
}

fn no_spec_help(skipped: &[String]) -> String {
    let help = format!(
        "Start a spec with the line `apiVersion: {API_VERSION}`, or name the directory that has one."
    );
    if skipped.is_empty() {
        help
    } else {
        format!(
            "{help}\nSkipped, since they are not YAML: {}",
            skipped.join("; ")
        )
    }
}

/// Whether a document is for us; one that looks like ours but does not say so is a mistake.
fn ours(source: &Arc<Source>, root: Node, mistakes: &mut Vec<Diagnostic>) -> Option<Document> {
    let mistake = |span: Span, message: String, label: &str| Diagnostic {
        code: "api_version",
        message,
        help: Some(format!("Write `apiVersion: {API_VERSION}`.")),
        label: Some((Arc::clone(source), span, label.to_owned())),
        other: None,
    };
    let key = |fits: &dyn Fn(&str) -> bool| root.entries().iter().find(|(k, _)| fits(&k.text));
    match root.get("apiVersion") {
        Some(version) if version.text() == Some(API_VERSION) => {
            return Some(Document {
                source: Arc::clone(source),
                root,
            });
        }
        Some(version) => {
            let written = kinds::written(version, &source.text);
            if written.starts_with("wi/") {
                let message = format!("this version of wi does not know `{written}`");
                mistakes.push(mistake(version.span, message, "not known"));
            // Kubernetes' manifests have a kind, and nobody else has this field.
            } else if root.get("kind").is_none() && key(&|k| k == "googleServiceAccounts").is_some()
            {
                let message =
                    format!("this looks like a spec, but its `apiVersion` is `{written}`");
                mistakes.push(mistake(version.span, message, "not wi's"));
            }
        }
        None => {
            let like = |k: &str| matches!(k.to_lowercase().as_str(), "apiversion" | "api_version");
            let is_ours = |v: &Node| v.text().is_some_and(|v| v.starts_with("wi/"));
            if let Some((key, _)) = key(&like).filter(|(_, v)| is_ours(v)) {
                let message = format!("the spec has no `apiVersion`, but `{}`", key.text);
                mistakes.push(mistake(key.span, message, "did you mean `apiVersion`?"));
            } else if let Some((key, _)) =
                key(&|k| matches!(k, "googleServiceAccounts" | "clusters"))
            {
                let message = "this looks like a spec, but has no `apiVersion`".to_owned();
                mistakes.push(mistake(key.span, message, "a field of a spec"));
            }
        }
    }
    None
}

/// Whether a text that is no YAML was meant for us: other tools' templates lie in the same
/// directories.
fn is_for_us(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start_matches("---").trim();
        let version = line
            .strip_prefix("apiVersion:")
            .map(|v| v.trim().trim_matches(['"', '\'']));
        version.is_some_and(|v| v.starts_with("wi/"))
    })
}
