//! `wi init`: a first spec, and the workflows of a CI.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use wi_core::names::ProjectId;

use super::{Failure, Success};
use crate::view::print;

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The directory that the spec goes into
    #[arg(value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,
    /// The project (also: GOOGLE_CLOUD_PROJECT)
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
    /// Also write the workflows that plan pull requests, apply on main, and look for drift
    #[arg(long, value_enum)]
    pub ci: Option<Ci>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Ci {
    /// .github/workflows/wi.yaml
    Github,
    /// .gitlab/wi.yaml
    Gitlab,
}

/// Where the schema lies for editors; hidden, so that it is no part of the spec.
const SCHEMA: &str = ".wi/wi.v1.schema.json";

/// The project of a spec whose author named none.
const PLACEHOLDER: &str = "my-project";

pub(super) fn run(args: InitArgs) -> Result<Success, Failure> {
    let mut files = Vec::new();
    if args.ci.is_none() || !has_spec(&args.directory) {
        let spec = args.directory.join("wi.yaml");
        files.push((spec, spec_text(&project(&args)?)));
    }
    let schema = format!("{:#}\n", wi_core::spec::json_schema());
    match args.ci {
        Some(Ci::Github) => files.push((
            PathBuf::from(".github/workflows/wi.yaml"),
            for_root(
                include_str!("../../examples/ci/github.yaml"),
                &args.directory,
            )?,
        )),
        Some(Ci::Gitlab) => files.push((
            PathBuf::from(".gitlab/wi.yaml"),
            for_root(
                include_str!("../../examples/ci/gitlab.yaml"),
                &args.directory,
            )?,
        )),
        None => {}
    }
    // All or nothing: what is there already is somebody's work.
    for (path, _) in &files {
        if path.exists() {
            return Err(Failure::Message(format!(
                "{} is there already; nothing was written. Move it away first, or name another directory",
                path.display()
            )));
        }
    }
    files.push((args.directory.join(SCHEMA), schema));
    for (path, text) in &files {
        write(path, text)?;
        let path = path.strip_prefix(".").unwrap_or(path);
        print::data(&format!("Wrote {}\n", path.display()))?;
    }
    print::note(&next(&args));
    Ok(Success::Ok)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |e| Failure::Message(format!("cannot write {}: {e}", path.display()));
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}

/// Whether a directory holds a spec already.
fn has_spec(directory: &Path) -> bool {
    std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|p| p.extension().is_some_and(|e| e == "yaml" || e == "yml"))
        .filter_map(|p| std::fs::read_to_string(p).ok())
        .any(|text| {
            text.lines().any(|l| {
                l.strip_prefix("apiVersion:")
                    .is_some_and(|v| v.trim() == wi_core::spec::API_VERSION)
            })
        })
}

/// The project that the user names, or that gcloud's settings do.
fn project(args: &InitArgs) -> Result<String, Failure> {
    let from_environment = || {
        ["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
    };
    let project = args.project.clone().or_else(from_environment);
    let project = project.unwrap_or_else(|| PLACEHOLDER.to_owned());
    ProjectId::parse(&project).map_err(|e| Failure::Message(e.to_string()))?;
    Ok(project)
}

fn spec_text(project: &str) -> String {
    // Of `example.com:acme` the second part is a name.
    let name = project.rsplit(':').next().unwrap_or(project);
    format!(
        "\
# yaml-language-server: $schema={SCHEMA}
apiVersion: wi/v1
name: {name}          # who owns what this spec creates: its mark is on all of it
project: {project}       # default project

clusters:
  main: {{ location: europe-west1 }}   # as `gcloud container clusters list` has it

googleServiceAccounts:
  example-app:
    grants:
      - {{ role: roles/storage.objectViewer, resource: bucket/{name}-example }}

namespaces:
  example:
    create: true
    serviceAccounts:
      app: {{ impersonates: example-app }}   # pods that run as example/app are example-app
"
    )
}

/// The template, for a spec in this directory.
fn for_root(template: &str, directory: &Path) -> Result<String, Failure> {
    let root = directory.to_str().filter(|root| {
        root.chars()
            .all(|c| c.is_ascii_alphanumeric() || "._/-".contains(c))
    });
    let Some(root) = root else {
        return Err(Failure::Message(format!(
            "{} cannot be named in a workflow: take a directory of letters, digits, `.`, `_`, `/` and `-`",
            directory.display()
        )));
    };
    let root = root.trim_end_matches('/').trim_start_matches("./");
    if root.is_empty() || root == "." {
        return Ok(template
            .replace("ROOT: wi #", "ROOT: . #")
            .replace("paths: [\"wi/**\", ", "paths: [\"**.yaml\", ")
            .replace("paths: [\"wi/**\"]", "paths: [\"**.yaml\"]"));
    }
    Ok(template
        .replace("ROOT: wi #", &format!("ROOT: {root} #"))
        .replace("\"wi/**\"", &format!("\"{root}/**\"")))
}

fn next(args: &InitArgs) -> String {
    let root = match args.directory.to_str() {
        Some(".") | None => String::new(),
        Some(directory) => format!(" {directory}"),
    };
    let first = format!(
        "\nNext: put your names into the spec, then try it without touching anything:\n\n    wi plan{root} --sandbox\n"
    );
    match args.ci {
        None => first,
        Some(_) => format!(
            "{first}\nThe workflow says at its top which variables it needs. Commit it with the spec.\n"
        ),
    }
}
