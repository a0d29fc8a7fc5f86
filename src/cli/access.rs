//! `wi access`: what somebody reaches, and who reaches something.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use wi_core::access::Whose;
use wi_core::resource::Resource;
use wi_core::words::safe;

use super::connect::{self, ConnectArgs, Session};
use super::heading;
use super::report::write;
use super::{Failure, Success};
use crate::audit;
use crate::audit::reach;
use crate::engine::pipeline::Input;
use crate::view::access::{Picture, graph, json, text};
use crate::view::print;

const ASKED: &str = "What is asked";

#[derive(Debug, Args)]
#[command(next_line_help = true)]
pub(super) struct AccessArgs {
    /// Spec files and directories, read recursively; `-` is standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub paths: Vec<PathBuf>,
    /// What this one reaches: NAMESPACE/SERVICEACCOUNT, CLUSTER/NAMESPACE/SERVICEACCOUNT, pod/NAMESPACE/NAME,
    /// deploy/NAMESPACE/NAME (or another workload), gsa/NAME, an email, nodepool/CLUSTER/POOL (whoever is root on a
    /// node), cluster/NAME (whoever is its admin), or the address of a change
    #[arg(long, value_name = "SUBJECT", required_unless_present = "to", conflicts_with = "to", help_heading = ASKED)]
    pub of: Option<String>,
    /// Who reaches this: bucket/NAME and the like, as in the spec, or a full resource name
    #[arg(long, value_name = "RESOURCE", help_heading = ASKED)]
    pub to: Option<String>,
    /// With which permission, such as storage.objects.get (default: some role)
    #[arg(long, value_name = "PERMISSION", requires = "to", help_heading = ASKED)]
    pub permission: Option<String>,
    /// Evaluate conditions as of this time (default: now)
    #[arg(long, value_name = "TIME", help_heading = ASKED)]
    pub at: Option<Timestamp>,
    /// Follow at most so many steps
    #[arg(long, value_name = "N", default_value_t = 4, help_heading = ASKED)]
    pub max_depth: usize,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t = AccessFormat::Text, help_heading = heading::OUTPUT)]
    pub format: AccessFormat,
    /// In text, show at most so many of a kind
    #[arg(long, value_name = "N", default_value_t = 50, help_heading = heading::OUTPUT)]
    pub rows: usize,
    /// Exit with 0 although something could not be read
    #[arg(long, help_heading = ASKED)]
    pub allow_incomplete: bool,
    /// Write the answer to this file
    #[arg(long, value_name = "FILE", help_heading = heading::OUTPUT)]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// The languages of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum AccessFormat {
    Text,
    Json,
    Dot,
    Mermaid,
    /// BloodHound's OpenGraph
    Opengraph,
}

pub(super) fn run(args: AccessArgs) -> Result<Success, Failure> {
    let of = args.of.as_deref().map(Whose::parse).transpose()?;
    let input = Input::load(&args.paths, None)?;
    let wanted = audit::all();
    let (world, subjects) = connect::runtime()?.block_on(async {
        let session = Session::open(&args.connect, &args.paths, || input.declared()).await?;
        let asked = async {
            let world = audit::live(&session.http, input, &wanted).await?;
            let subjects = match &of {
                Some(whose) => Some(audit::nodes(&session.http, &world, whose).await?),
                None => None,
            };
            Ok::<_, Failure>((world, subjects))
        };
        let asked = asked.await;
        session.close().await?;
        asked
    })?;
    let at = args.at.or(world.now);
    let (width, rows, depth) = (print::width(), args.rows, args.max_depth);
    let mut unknown = None;
    let (told, picture) = match (subjects, &args.to) {
        (Some((subjects, unread)), _) => {
            let mut answers = reach::of(&world, &subjects, at, depth);
            for answer in &mut answers {
                answer.beyond.unread.extend(unread.iter().cloned());
            }
            (text::of(&answers, rows, width), Picture::of(&answers))
        }
        (None, Some(to)) => {
            let resource = meant(&world, to)?;
            let permission = args.permission.as_deref();
            let answer = reach::to(&world, &resource, permission, at, depth);
            let answer = answer.ok_or("nothing was read".to_owned())?;
            unknown = permission.filter(|_| answer.in_no_role);
            (text::to(&answer, rows, width), Picture::to(&answer))
        }
        (None, None) => return Err(Failure::Message("--of or --to is needed".to_owned())),
    };
    let told = match args.format {
        AccessFormat::Text => told,
        AccessFormat::Json => json::document(&picture),
        AccessFormat::Dot => graph::dot(&picture),
        AccessFormat::Mermaid => graph::mermaid(&picture),
        AccessFormat::Opengraph => graph::opengraph(&picture),
    };
    match &args.out {
        Some(file) => write(file, &anstream::adapter::strip_str(&told).to_string())?,
        None => print::data(&told)?,
    }
    if let Some(permission) = unknown {
        // One that nobody has yet is an answer; a misspelt one has the same.
        print::note(&format!(
            "No role that was read permits {}: if it is spelled so, nobody has it by what was seen.",
            safe(permission)
        ));
    }
    if !picture.beyond.unread.is_empty() && !args.allow_incomplete {
        return Err(Failure::Message(
            "the answer is incomplete; see above. Pass --allow-incomplete to go by what could be read".to_owned(),
        ));
    }
    Ok(Success::Ok)
}

/// The resource that is meant: one whose policy was read, in the project of the spec.
fn meant(world: &wi_audit::World, text: &str) -> Result<Resource, Failure> {
    let accounts = world.desired.accounts.values().map(|a| &a.project);
    let clusters = world.desired.clusters.values().map(|c| &c.path.project);
    let mut projects: Vec<_> = accounts.chain(clusters).collect();
    projects.dedup();
    let read = |r: &Resource| world.live().is_some_and(|l| l.iam.policies.contains_key(r));
    let all = projects
        .iter()
        .filter_map(|p| Resource::parse(text, Some(p)).ok());
    let found = all.into_iter().find(read);
    let resource = match found {
        Some(resource) => resource,
        None => Resource::parse(text, projects.first().copied())
            .map_err(|e| format!("--to: {}", e.0))?,
    };
    if !read(&resource) {
        return Err(Failure::Message(format!(
            "--to {resource}: the spec grants nothing there, so that its policy was not read; `wi explain --to` asks about a single identity"
        )));
    }
    Ok(resource)
}
