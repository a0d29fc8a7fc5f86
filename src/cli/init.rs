//! `wi init`: a first spec, and the workflows of a CI.

use std::path::{Component, Path, PathBuf};

use clap::{Args, ValueEnum};
use wi_core::names::ProjectId;
use wi_core::words::shell_word;

use super::connect::ConnectArgs;
use super::{Failure, Success, import};
use crate::view::print;

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The directory that the spec goes into
    #[arg(value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,
    /// The project (also: GOOGLE_CLOUD_PROJECT)
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
    /// A spec of what is there in one cluster, as `wi import` makes it of many
    #[arg(long)]
    pub from_live: bool,
    /// Of which: NAME or LOCATION/NAME (default: the project's only one)
    #[arg(long, value_name = "CLUSTER", requires = "from_live")]
    pub cluster: Option<String>,
    /// Also write the workflows that plan pull requests, apply what was merged, and look for drift,
    /// at the top of the git repository
    #[arg(long, value_enum)]
    pub ci: Option<Ci>,
    /// The branch whose spec is applied (default: the one that origin/HEAD names, or main)
    #[arg(long, value_name = "NAME", requires = "ci")]
    pub branch: Option<String>,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Ci {
    /// .github/workflows/wi.yaml; wi-ROOT.yaml for a spec in another directory than wi
    Github,
    /// .gitlab/wi.yaml; wi-ROOT.yaml for a spec in another directory than wi
    Gitlab,
}

/// Where the schema lies for editors; hidden, so that it is no part of the spec.
const SCHEMA: &str = ".wi/wi.v1.schema.json";

/// What `wi` leaves beside a spec and is not to be committed.
const IGNORED: &str = ".wi-rollout/\n.wi-sandbox/\n*.plan\n";

/// The project of a spec whose author named none.
const PLACEHOLDER: &str = "my-project";

pub(super) fn run(args: InitArgs) -> Result<Success, Failure> {
    let mut files = Vec::new();
    if args.connect.sandbox.is_some() && !args.from_live {
        return Err(Failure::Message(
            "--sandbox is for what is there: wi init --from-live".to_owned(),
        ));
    }
    if args.from_live {
        if has_spec(&args.directory) {
            return Err(Failure::Message(format!(
                "{} has a spec already; nothing was written. Name another directory",
                args.directory.display()
            )));
        }
    } else if args.ci.is_none() || !has_spec(&args.directory) {
        let spec = args.directory.join("wi.yaml");
        files.push((spec, spec_text(&project(&args)?)));
    }
    let schema = format!("{:#}\n", wi_core::spec::json_schema());
    if let Some(ci) = args.ci {
        let place = Place::of(&args.directory, args.branch.as_deref())?;
        files.push((place.top.join(place.file(ci)), place.workflow(ci)));
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
    if args.from_live {
        import::of_one_cluster(
            &args.directory,
            (args.project.clone(), args.cluster.clone()),
            args.connect.clone(),
            format!("yaml-language-server: $schema={SCHEMA}"),
        )?;
    }
    files.push((args.directory.join(SCHEMA), schema));
    let ignore = args.directory.join(".gitignore");
    if !ignore.exists() {
        files.push((ignore, IGNORED.to_owned()));
    }
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

/// Where a spec lies in its repository.
struct Place {
    /// The top of the repository, or the working directory outside of one.
    top: PathBuf,
    /// The spec's directory from there, with `/`: `wi`, `fleets/eu`, or `.`.
    root: String,
    branch: String,
}

impl Place {
    fn of(directory: &Path, branch: Option<&str>) -> Result<Self, Failure> {
        let failed = |e| Failure::Message(format!("cannot look at {}: {e}", directory.display()));
        let full = std::path::absolute(directory).map_err(failed)?;
        let repository = full.ancestors().find(|d| d.join(".git").exists());
        let root = match repository {
            Some(top) => full.strip_prefix(top).unwrap_or(&full),
            None => directory,
        };
        let parts: Vec<&str> = root
            .components()
            .filter(|c| !matches!(c, Component::CurDir))
            .map(|c| c.as_os_str().to_str().unwrap_or_default())
            .collect();
        let simple = |part: &&str| {
            !part.is_empty()
                && *part != ".."
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        if !parts.iter().all(simple) {
            return Err(Failure::Message(format!(
                "{} cannot be named in a workflow: take a directory within the repository, of letters, digits, `.`, `_` and `-`",
                directory.display()
            )));
        }
        let branch = branch
            .map(str::to_owned)
            .or_else(|| default_branch(repository?))
            .unwrap_or_else(|| "main".to_owned());
        if !branch
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._/-".contains(c))
        {
            return Err(Failure::Message(format!(
                "the branch {branch:?} cannot be named in a workflow"
            )));
        }
        Ok(Self {
            // Named as the user did where that is the same: messages then do, too.
            top: match repository {
                Some(top) if std::path::absolute(".").ok().as_deref() != Some(top) => {
                    top.to_owned()
                }
                _ => PathBuf::from("."),
            },
            root: if parts.is_empty() {
                ".".to_owned()
            } else {
                parts.join("/")
            },
            branch,
        })
    }

    /// What tells the workflows of several specs in one repository apart; nothing for the first names.
    fn suffix(&self) -> String {
        match self.root.as_str() {
            "." | "wi" => String::new(),
            root => format!("-{}", root.replace(['/', '.'], "-")),
        }
    }

    fn file(&self, ci: Ci) -> String {
        match ci {
            Ci::Github => format!(".github/workflows/wi{}.yaml", self.suffix()),
            Ci::Gitlab => format!(".gitlab/wi{}.yaml", self.suffix()),
        }
    }

    /// The workflow of the examples, for this spec.
    fn workflow(&self, ci: Ci) -> String {
        let (root, suffix) = (&self.root, self.suffix());
        let all = |pattern: &str| match root.as_str() {
            "." => format!("\"{pattern}.yaml\""),
            root => format!("\"{root}/{pattern}\""),
        };
        match ci {
            Ci::Github => include_str!("../../examples/ci/github.yaml")
                .replace(".github/workflows/wi.yaml", &self.file(ci))
                .replace("\nname: wi\n", &format!("\nname: wi{suffix}\n"))
                .replace("wi-plan-wi-$", &format!("wi-plan-wi{suffix}-$"))
                .replace("branches: [main]", &format!("branches: [{}]", self.branch))
                .replace("\"wi/**\"", &all("**")),
            Ci::Gitlab => include_str!("../../examples/ci/gitlab.yaml")
                .replace(".gitlab/wi.yaml", &self.file(ci))
                .replace("\n.wi:", &format!("\n.wi{suffix}:"))
                .replace("extends: .wi\n", &format!("extends: .wi{suffix}\n"))
                .replace(
                    "resource_group: wi ",
                    &format!("resource_group: wi{suffix} "),
                )
                .replace("\nwi ", &format!("\nwi{suffix} "))
                .replace("[wi plan main]", &format!("[wi{suffix} plan main]"))
                .replace("'wi plan main'", &format!("'wi{suffix} plan main'"))
                .replace("\"wi/**/*\"", &all("**/*")),
        }
        .replace("ROOT: wi #", &format!("ROOT: {root} #"))
    }
}

/// The branch that a clone's remote calls its default.
fn default_branch(top: &Path) -> Option<String> {
    let head = std::fs::read_to_string(top.join(".git/refs/remotes/origin/HEAD")).ok()?;
    let name = head.trim().strip_prefix("ref: refs/remotes/origin/")?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn next(args: &InitArgs) -> String {
    let root = match args.directory.to_str() {
        Some(".") | None => String::new(),
        Some(directory) => format!(" {directory}"),
    };
    if args.from_live {
        let sandbox = args.connect.words();
        let sandbox: String = sandbox
            .iter()
            .map(|w| format!(" {}", shell_word(w)))
            .collect();
        return format!(
            "\nNext: read it, and see that nothing is to be done but marks:\n\n    wi plan{root}{sandbox}\n"
        );
    }
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
