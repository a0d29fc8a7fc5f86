//! `wi import`: a spec from what is there, and the proof that it is that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use wi_client::google::container;
use wi_core::desired::Desired;
use wi_core::import::{self, Choices, FileKind, Imported, Proof};
use wi_core::live::Live;
use wi_core::names::{KubeName, ProjectId};
use wi_core::plan::Options;
use wi_core::spec::model::{Access, Endpoint};
use wi_core::spec::{API_VERSION, Source, load_sources};
use wi_core::words::safe;

use super::connect::{self, ConnectArgs, Session};
use super::heading;
use super::{Failure, Success};
use crate::engine::pipeline::{self, Input, Part};
use crate::import::{Read, Wanted, owners, read};
use crate::view::importing::{self, Progress};
use crate::view::print;

#[derive(Debug, Args)]
#[command(next_line_help = true)]
pub(super) struct ImportArgs {
    /// Files that say what other tools own: Terraform's state, what `terraform show -json` prints, Config
    /// Connector's YAML; `-` is standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// From what the spec is made (repeatable): what is live is always read, since only it says what is
    #[arg(long, value_enum, default_value = "live")]
    pub from: Vec<From>,
    /// Take over what Terraform and Config Connector own, and say what they are to let go of
    #[arg(long)]
    pub take_over: bool,
    /// This project's clusters, accounts and policies (repeatable; also: GOOGLE_CLOUD_PROJECT)
    #[arg(long, value_name = "PROJECT")]
    pub project: Vec<String>,
    /// Only this cluster: NAME or LOCATION/NAME (repeatable)
    #[arg(long, value_name = "CLUSTER")]
    pub cluster: Vec<String>,
    /// How a cluster is reached (repeatable): CLUSTER=dns, public, private, connectGateway, or a kubeconfig's FILE or
    /// FILE#CONTEXT; `*` for all others
    #[arg(long, value_name = "CLUSTER=HOW")]
    pub access: Vec<String>,
    /// The spec's name (default: that of the marks that are there, or the project's)
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The directory that the files go into
    #[arg(long, value_name = "DIR", default_value = ".", help_heading = heading::OUTPUT)]
    pub out: PathBuf,
    /// One file, not one for each namespace
    #[arg(long, help_heading = heading::OUTPUT)]
    pub single_file: bool,
    /// Without comments on whose things are
    #[arg(long, help_heading = heading::OUTPUT)]
    pub no_comments: bool,
    /// Write over files that are there; each is kept as FILE.bak
    #[arg(long, help_heading = heading::OUTPUT)]
    pub force: bool,
    /// Print the files, and write none
    #[arg(long, help_heading = heading::OUTPUT)]
    pub dry_run: bool,
    /// List all that is not in the spec
    #[arg(long, help_heading = heading::OUTPUT)]
    pub explain_left_out: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// From what a spec is made. Without a doc comment on each, they take one line of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum From {
    Live,
    Tfstate,
    Tfjson,
    Kcc,
}

pub(super) fn run(args: ImportArgs) -> Result<Success, Failure> {
    run_with(args, None)
}

/// A spec of one cluster, in one file with this remark above it.
pub(super) fn of_one_cluster(
    directory: &Path,
    (project, cluster): (Option<String>, Option<String>),
    connect: ConnectArgs,
    heading: String,
) -> Result<Success, Failure> {
    let args = ImportArgs {
        files: Vec::new(),
        from: vec![From::Live],
        take_over: false,
        project: project.into_iter().collect(),
        cluster: cluster.into_iter().collect(),
        access: Vec::new(),
        name: None,
        out: directory.to_owned(),
        single_file: true,
        no_comments: false,
        force: false,
        dry_run: false,
        explain_left_out: false,
        connect,
    };
    run_with(args, Some(heading))
}

/// `heading`: of one cluster alone.
fn run_with(args: ImportArgs, heading: Option<String>) -> Result<Success, Failure> {
    let is_one = heading.is_some();
    let wanted = Wanted {
        projects: projects(&args)?,
        clusters: args.cluster.iter().cloned().collect(),
        access: access(&args.access)?,
    };
    let name = args.name.clone();
    if let Some(name) = &name {
        KubeName::label(name).map_err(|e| Failure::Message(format!("--name: {e}")))?;
    }
    let kinds = args.from.iter().filter_map(|from| match from {
        From::Live => None,
        From::Tfstate => Some(FileKind::State),
        From::Tfjson => Some(FileKind::Shown),
        From::Kcc => Some(FileKind::Manifests),
    });
    let kinds: Vec<FileKind> = kinds.collect();
    if args.files.is_empty() && !kinds.is_empty() {
        return Err(Failure::Message(
            "--from names a kind of files: which? `wi import --from tfstate terraform.tfstate`"
                .to_owned(),
        ));
    }
    let choices = Choices {
        owners: owners(&args.files, &kinds)?,
        take_over: args.take_over,
        name,
        single_file: args.single_file,
        heading,
        comments: !args.no_comments,
    };
    connect::runtime()?.block_on(async {
        let here = [PathBuf::from(".")];
        let session = Session::open(&args.connect, &here, Desired::default).await?;
        if is_one && wanted.clusters.is_empty() {
            only_cluster(&session, &wanted.projects).await?;
        }
        let made = make(&session, &wanted, &choices, &args.out).await;
        session.close().await?;
        let Made {
            read,
            imported,
            proof,
        } = made?;
        let imported = &imported;
        if let Some(told) = importing::instead_of(imported) {
            print::note(&told);
        }
        print::note(&importing::left_out(imported, args.explain_left_out));
        if !read.unseen.is_empty() {
            print::note(&importing::unseen(&read.unseen));
        }
        if imported.is_empty() {
            return Err(Failure::Message(
                "there is nothing to import: no cluster that could be read has a workload pool, and no Google service account is one that workloads of GKE may act as. `wi init` writes a first spec".to_owned(),
            ));
        }
        let summary = importing::summary(imported);
        if !proof.holds() {
            let suffix = |name: &String| format!("{name}.rejected");
            let files = imported.files.iter();
            let files: BTreeMap<String, String> =
                files.map(|(n, t)| (suffix(n), t.clone())).collect();
            print::note(&importing::proof(&proof));
            if !args.dry_run {
                write(&args.out, &files)?;
            }
            return Err(Failure::Message(format!(
                "what was made is not what is there, so that it is no spec yet: {summary}{}",
                match args.dry_run {
                    true => String::new(),
                    false => format!(
                        ", kept as {}/*.rejected",
                        safe(&args.out.display().to_string())
                    ),
                }
            )));
        }
        if args.dry_run {
            print::data(&together(&imported.files))?;
            print::note(&format!("Would write {summary}."));
        } else {
            let files = may_write(&args, &imported.files)?;
            write(&args.out, &files)?;
            print::data(&format!("Wrote {summary}.\n"))?;
        }
        print::note(&importing::proof(&proof));
        if let Some(told) = importing::other_tools(imported, &choices.owners) {
            print::note(&told);
        }
        Ok(Success::Ok)
    })
}

/// Whether there is just one cluster; the error names all.
async fn only_cluster(session: &Session, projects: &BTreeSet<ProjectId>) -> Result<(), Failure> {
    for project in projects {
        // What cannot be listed is told where all is read.
        let Ok(list) = container::list_clusters(&session.http, project).await else {
            continue;
        };
        if list.clusters.len() > 1 {
            let names = list.clusters.iter();
            let names: Vec<String> = names
                .map(|c| format!("{}/{}", c.location, safe(&c.name)))
                .collect();
            return Err(Failure::Message(format!(
                "which cluster of {project}? --cluster NAME: {}. `wi import --project {project}` takes all of them",
                names.join(", ")
            )));
        }
    }
    Ok(())
}

/// What was read, what was made of it, and what a plan of that does.
struct Made {
    read: Read,
    imported: Imported,
    proof: Proof,
}

async fn make(
    session: &Session,
    wanted: &Wanted,
    choices: &Choices,
    out: &Path,
) -> Result<Made, Failure> {
    let http = &session.http;
    let progress = Progress::start();
    let read = read(http, wanted, &|text| progress.tell(text)).await;
    progress.tell("Planning what was made");
    prove(http, wanted, choices, out, read).await
}

async fn prove(
    http: &wi_client::http::Http,
    wanted: &Wanted,
    choices: &Choices,
    out: &Path,
    read: Read,
) -> Result<Made, Failure> {
    let facts = &read.facts;
    let is_there = |name: &&String| {
        facts
            .clusters
            .keys()
            .any(|c| **name == c.name || **name == format!("{}/{}", c.location, c.name))
    };
    if let Some(missing) = wanted.clusters.iter().find(|name| !is_there(name)) {
        let missing = safe(missing);
        return Err(Failure::Message(format!(
            "--cluster {missing}: the projects have no such cluster{}",
            why_not(&read)
        )));
    }
    if facts.clusters.is_empty() && facts.accounts.values().all(|a| a.found().is_none()) {
        return Err(Failure::Message(format!(
            "nothing could be read{}",
            why_not(&read)
        )));
    }
    let imported = import::import(facts, choices).map_err(Failure::Rendered)?;
    let sources = imported.files.iter().map(|(name, text)| {
        let name = out.join(name).display().to_string();
        Source::new(name, text.clone())
    });
    let spec = load_sources(sources.collect())?;
    let options = Options {
        now: Some(jiff::Timestamp::now()),
        ..Options::default()
    };
    let look = async |_: &Desired, _: &mut Live| Ok::<(), Failure>(());
    let made = pipeline::make(http, Input::of(spec), &options, &Part::default(), look).await?;
    let proof = import::proof(&made.plan);
    Ok(Made {
        read,
        imported,
        proof,
    })
}

fn why_not(read: &Read) -> String {
    match read.unseen.is_empty() {
        true => String::new(),
        false => format!("\n\n{}", importing::unseen(&read.unseen).trim_end()),
    }
}

/// How clusters are reached, by their names.
fn access(given: &[String]) -> Result<BTreeMap<String, Access>, Failure> {
    let parsed = given.iter().map(|text| {
        let Some((cluster, how)) = text.split_once('=').filter(|(_, how)| !how.is_empty()) else {
            return Err(Failure::Message(format!(
                "--access {}: CLUSTER=HOW, such as prod-eu=connectGateway or prod-eu=~/.kube/config#prod-eu",
                safe(text)
            )));
        };
        let access = match how {
            "dns" => Access::Endpoint(Endpoint::Dns),
            "public" => Access::Endpoint(Endpoint::Public),
            "private" => Access::Endpoint(Endpoint::Private),
            "connectGateway" => Access::ConnectGateway,
            file => {
                let (path, context) = match file.split_once('#') {
                    Some((path, context)) => (path, Some(context.to_owned())),
                    None => (file, None),
                };
                Access::Kubeconfig {
                    path: path.to_owned(),
                    context,
                }
            }
        };
        Ok((cluster.to_owned(), access))
    });
    parsed.collect()
}

/// The projects that the user names, or that gcloud's settings do.
fn projects(args: &ImportArgs) -> Result<BTreeSet<ProjectId>, Failure> {
    let mut given = args.project.clone();
    if given.is_empty() {
        let names = ["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"];
        let mut set = names.iter().filter_map(|name| std::env::var(name).ok());
        given.extend(set.find(|value| !value.is_empty()));
    }
    if given.is_empty() {
        return Err(Failure::Message(
            "which project? --project PROJECT, once for each".to_owned(),
        ));
    }
    let parsed = given.iter().map(|text| {
        ProjectId::parse(text).map_err(|e| Failure::Message(format!("--project: {e}")))
    });
    parsed.collect()
}

/// The files that are to be written. What is there is somebody's work, unless it is the same.
fn may_write(
    args: &ImportArgs,
    files: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Failure> {
    let out = safe(&args.out.display().to_string());
    if let Some(other) = other_spec(&args.out, files) {
        let other = safe(&other.display().to_string());
        return Err(Failure::Message(format!(
            "{other} is a spec, too, and would be one with what is written beside it; nothing was written. Name another directory: --out DIR"
        )));
    }
    let mut changed = BTreeMap::new();
    for (name, text) in files {
        let path = args.out.join(name);
        let Ok(there) = std::fs::read_to_string(&path) else {
            changed.insert(name.clone(), text.clone());
            continue;
        };
        if there == *text {
            continue;
        }
        if !args.force {
            return Err(Failure::Message(format!(
                "{out}/{name} is there already, and is another; nothing was written. Move it away, name another directory (--out DIR), or write over it (--force)"
            )));
        }
        let kept = args.out.join(format!("{name}.bak"));
        std::fs::copy(&path, &kept)
            .map_err(|e| Failure::Message(format!("cannot keep {}: {e}", kept.display())))?;
        changed.insert(name.clone(), text.clone());
    }
    Ok(changed)
}

/// A file of a spec that is in the directory and is not written.
fn other_spec(directory: &Path, files: &BTreeMap<String, String>) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory).ok()?.flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().find(|path| {
        let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        let name = path.file_name().and_then(|n| n.to_str());
        let is_ours = name.is_some_and(|n| files.contains_key(n));
        let is_spec = |text: String| {
            let mut lines = text.lines();
            lines.any(|l| {
                l.strip_prefix("apiVersion:")
                    .is_some_and(|v| v.trim() == API_VERSION)
            })
        };
        is_yaml && !is_ours && std::fs::read_to_string(path).is_ok_and(is_spec)
    })
}

fn write(directory: &Path, files: &BTreeMap<String, String>) -> Result<(), Failure> {
    let failed = |path: &Path, e| Failure::Message(format!("cannot write {}: {e}", path.display()));
    std::fs::create_dir_all(directory).map_err(|e| failed(directory, e))?;
    for (name, text) in files {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|e| failed(&path, e))?;
    }
    Ok(())
}

/// All files as one stream of YAML documents.
fn together(files: &BTreeMap<String, String>) -> String {
    let files = files.iter().map(|(name, text)| format!("# {name}\n{text}"));
    files.collect::<Vec<_>>().join("---\n")
}
