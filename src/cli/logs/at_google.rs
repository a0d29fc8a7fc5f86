//! `wi logs filters`, `wi logs sink` and `wi logs sql`: for who reads logs where they lie.

use std::path::PathBuf;

use clap::Args;
use wi_core::names::ProjectId;
use wi_core::words::safe;
use wi_logs::filter;
use wi_logs::sql::Query;

use super::super::{Failure, Success};
use super::{since, spec};
use crate::logs::expected;
use crate::view::print;

#[derive(Debug, Args)]
pub(in crate::cli) struct FilterArgs {
    /// The spec (without one: filters that name nobody)
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub spec: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SinkArgs {
    /// Where the logs go: PROJECT.DATASET
    #[arg(long, value_name = "PROJECT.DATASET")]
    pub dataset: String,
    /// Of this organization, by its number (default: of each project of the spec)
    #[arg(long, value_name = "NUMBER", conflicts_with = "folder")]
    pub organization: Option<u64>,
    /// Of this folder, by its number
    #[arg(long, value_name = "NUMBER")]
    pub folder: Option<u64>,
    /// The spec
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub spec: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SqlArgs {
    /// Where the logs are: PROJECT.DATASET
    #[arg(long, value_name = "PROJECT.DATASET")]
    pub dataset: String,
    /// How far back: 7d, 36h (default: all that is there)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// The sink makes one table a day: it was made without --use-partitioned-tables
    #[arg(long)]
    pub by_day: bool,
}

/// A project and a dataset in it, which are put into commands and queries as they are.
fn dataset(text: &str) -> Result<(ProjectId, &str), Failure> {
    let wrong = |why: &str| Failure::Message(format!("--dataset: `{}` {why}", safe(text)));
    let (project, dataset) = text
        .rsplit_once('.')
        .ok_or_else(|| wrong("is not PROJECT.DATASET"))?;
    let project = ProjectId::parse(project).map_err(|e| wrong(&e.0))?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match !dataset.is_empty() && dataset.chars().all(is_name) {
        true => Ok((project, dataset)),
        false => Err(wrong("names no dataset: letters, digits and _")),
    }
}

pub(in crate::cli) fn filters(args: FilterArgs) -> Result<Success, Failure> {
    let expected = spec(&args.spec)?
        .as_ref()
        .map(expected::of)
        .unwrap_or_default();
    let each = filter::each(&expected).into_iter();
    let text: Vec<String> = each
        .map(|f| format!("# {}\n{}\n", safe(&f.what), f.filter))
        .collect();
    print::data(&text.join("\n"))?;
    Ok(Success::Ok)
}

pub(in crate::cli) fn sink(args: SinkArgs) -> Result<Success, Failure> {
    let (project, dataset) = dataset(&args.dataset)?;
    let expected = spec(&args.spec)?
        .as_ref()
        .map(expected::of)
        .unwrap_or_default();
    let scopes: Vec<String> = match (args.organization, args.folder) {
        (Some(number), _) => vec![format!("--organization={number} --include-children")],
        (None, Some(number)) => vec![format!("--folder={number} --include-children")],
        (None, None) => expected
            .projects
            .iter()
            .map(|p| format!("--project={p}"))
            .collect(),
    };
    if scopes.is_empty() {
        return Err(Failure::Message(
            "of what? Name a spec with projects, --organization or --folder".to_owned(),
        ));
    }
    let filter = filter::all(&expected);
    let mut text =
        format!("# The dataset\nbq mk --dataset --project_id={project} {project}:{dataset}\n");
    for scope in scopes {
        let describe = scope.replace(" --include-children", "");
        text.push_str(&format!(
            "\n# The sink, and its right to write\ngcloud logging sinks create wi-identities bigquery.googleapis.com/projects/{project}/datasets/{dataset} --use-partitioned-tables {scope} --log-filter='{filter}'\ngcloud projects add-iam-policy-binding {project} --role=roles/bigquery.dataEditor --condition=None --member=\"$(gcloud logging sinks describe wi-identities {describe} --format='value(writerIdentity)')\"\n"
        ));
    }
    print::data(&text)?;
    Ok(Success::Ok)
}

pub(in crate::cli) fn sql(args: SqlArgs) -> Result<Success, Failure> {
    let (project, dataset) = dataset(&args.dataset)?;
    let name = format!("{project}.{dataset}");
    let now = jiff::Timestamp::now().as_microsecond();
    let query = Query {
        dataset: &name,
        since: match &args.since {
            Some(text) => Some(since(text, now)?),
            None => None,
        },
        until: None,
        by_day: args.by_day,
    };
    print::data(&query.text())?;
    Ok(Success::Ok)
}
