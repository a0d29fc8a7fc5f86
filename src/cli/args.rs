//! What the user can say, and how it is spelled.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use wi_core::names::Email;
use wi_core::plan::{Options, UpgradeOverride};

/// Workload Identity for GKE, planned like Terraform and applied without an outage.
#[derive(Debug, Parser)]
#[command(name = "wi", version, max_term_width = 100, propagate_version = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
pub(super) struct Global {
    /// Print without colours (also: NO_COLOR)
    #[arg(long, global = true)]
    no_color: bool,
    /// Log each API call to standard error; twice for more (also: WI_LOG=debug)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl Global {
    /// Colours and the log.
    pub fn set_up(&self) {
        if self.no_color {
            anstream::ColorChoice::Never.write_global();
        }
        let level = match self.verbose {
            // What libraries have to say is in the errors that come of it, in words.
            0 => "wi=warn",
            1 => "wi=debug",
            _ => "wi=trace,info",
        };
        let filter = std::env::var("WI_LOG")
            .ok()
            .filter(|f| !f.is_empty() && self.verbose == 0);
        let filter = match filter.as_deref() {
            // A bare level is about wi, not about each library's own chatter.
            Some(bare @ ("trace" | "debug" | "info" | "warn" | "error")) => format!("wi={bare}"),
            Some(other) => other.to_owned(),
            None => level.to_owned(),
        };
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
            .with_writer(|| crate::view::print::Log)
            .log_internal_errors(false)
            .with_ansi(false)
            .init();
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a first spec, and the workflows of a CI
    Init(InitArgs),
    /// Read the spec and the live state, and print what would change
    Plan(PlanArgs),
    /// Plan, ask, and carry it out
    Apply(ApplyArgs),
    /// Print a saved plan
    Show(ShowArgs),
    /// Post a plan as the comment on a pull request, or update it
    Comment(CommentArgs),
    /// Check the spec alone, offline
    Validate(SpecArgs),
    /// Say who one is, and what stands in the way of a plan and an apply
    Doctor(DoctorArgs),
    /// Print the dependency graph of the spec
    Graph(GraphArgs),
    /// Print the JSON Schema of the spec
    Schema(SchemaArgs),
    /// Serve the simulator of the Google and Kubernetes APIs
    Sandbox(SandboxArgs),
}

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

#[derive(Debug, Args)]
pub(super) struct SpecArgs {
    /// Spec files and directories, read recursively; `-` is standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(super) struct ConnectArgs {
    /// Run on the embedded simulator, starting from this world (default: the one beside the spec,
    /// or an empty one with the spec's clusters)
    #[arg(long, value_name = "WORLD", num_args = 0..=1)]
    pub sandbox: Option<Option<PathBuf>>,
    /// Use this base URL for an API, such as container=http://127.0.0.1:8080/ (also:
    /// WI_ENDPOINT_CONTAINER …, or WI_ENDPOINT for all)
    #[arg(long, value_name = "API=URL")]
    pub endpoint: Vec<String>,
    /// Take the access token from this file (also: GOOGLE_OAUTH_ACCESS_TOKEN; default: application
    /// default credentials)
    #[arg(long, value_name = "FILE", env = "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE")]
    pub access_token_file: Option<PathBuf>,
    /// Act as this service account; several by commas: each creates tokens of the next (also:
    /// GOOGLE_IMPERSONATE_SERVICE_ACCOUNT)
    #[arg(
        long,
        value_name = "EMAIL",
        env = "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT"
    )]
    pub impersonate_service_account: Option<String>,
    /// Give up on an API that is silent for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub request_timeout: u64,
    /// API calls at the same time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub parallelism: u16,
}

impl ConnectArgs {
    /// The accounts to act as, in order; the last one is who calls the APIs.
    pub fn impersonated(&self) -> Result<Option<Vec<String>>, String> {
        let given = self.impersonate_service_account.clone();
        let given = given.or_else(|| std::env::var("GOOGLE_IMPERSONATE_SERVICE_ACCOUNT").ok());
        let Some(given) = given.filter(|g| !g.is_empty()) else {
            return Ok(None);
        };
        let chain: Result<Vec<String>, String> = given
            .split(',')
            .map(|email| {
                let email = Email::parse(email.trim())
                    .map_err(|e| format!("--impersonate-service-account: {}", e.0))?;
                Ok(email.as_str().to_owned())
            })
            .collect();
        Ok(Some(chain?))
    }
}

#[derive(Debug, Args)]
pub(super) struct ChoiceArgs {
    /// Plan just this address, all below it, and what it needs (repeatable)
    #[arg(long, value_name = "ADDRESS")]
    pub target: Vec<String>,
    /// Also remove what the spec at this commit, tag or branch granted and this one does not
    #[arg(long, value_name = "GIT_REF")]
    pub base: Option<String>,
    /// Move node pools although workloads on them lose the node's identity
    #[arg(long)]
    pub accept_loss: bool,
    /// Remove more than a fifth of what the spec owns
    #[arg(long)]
    pub allow_mass_removal: bool,
    /// Move node pools within their clusters' maintenance exclusions, too
    #[arg(long)]
    pub ignore_maintenance_exclusions: bool,
    /// Recreate nodes in this way, in this run; the node pools' own settings are put back
    #[arg(long, value_enum)]
    pub strategy: Option<UpgradeStrategy>,
    /// With at most so many nodes more than now, in this run
    #[arg(long, value_name = "NODES", value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub max_surge: Option<u32>,
    /// With at most so many nodes fewer than now, in this run
    #[arg(long, value_name = "NODES", value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub max_unavailable: Option<u32>,
    /// Only this wave of the rollout
    #[arg(long, value_name = "WAVE", conflicts_with = "until_wave")]
    pub wave: Option<String>,
    /// The waves of the rollout up to this one
    #[arg(long, value_name = "WAVE")]
    pub until_wave: Option<String>,
    /// Take Kubernetes fields over from other field managers
    #[arg(long)]
    pub force_conflicts: bool,
    /// Succeed although not all of the live state could be read
    #[arg(long)]
    pub allow_incomplete: bool,
}

impl ChoiceArgs {
    /// Whether anything is chosen.
    pub fn any(&self) -> bool {
        !self.target.is_empty()
            || self.base.is_some()
            || self.accept_loss
            || self.allow_mass_removal
            || self.ignore_maintenance_exclusions
            || self.upgrade() != UpgradeOverride::default()
            || self.force_conflicts
            || self.wave.is_some()
            || self.until_wave.is_some()
            || self.allow_incomplete
    }

    /// What the planner is to know of it.
    pub fn options(&self) -> Options {
        Options {
            accept_loss: self.accept_loss,
            force_conflicts: self.force_conflicts,
            ignore_exclusions: self.ignore_maintenance_exclusions,
            allow_mass_removal: self.allow_mass_removal,
            upgrade: self.upgrade(),
            now: Some(jiff::Timestamp::now()),
        }
    }

    /// How nodes are recreated in this run.
    pub fn upgrade(&self) -> UpgradeOverride {
        UpgradeOverride {
            strategy: self.strategy.map(|s| {
                match s {
                    UpgradeStrategy::Surge => "SURGE",
                    UpgradeStrategy::BlueGreen => "BLUE_GREEN",
                }
                .to_owned()
            }),
            max_surge: self.max_surge,
            max_unavailable: self.max_unavailable,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum UpgradeStrategy {
    /// A few nodes at a time
    Surge,
    /// A second set of nodes beside the first
    BlueGreen,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub connect: ConnectArgs,
    #[command(flatten)]
    pub choice: ChoiceArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Save the plan to this file, for `wi apply FILE`; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with 2 when there are changes: 0 nothing to do, 1 error, 2 changes
    #[arg(long)]
    pub detailed_exitcode: bool,
}

#[derive(Debug, Args)]
pub(super) struct OutputArgs {
    /// Print JSON, with the field names of `terraform show -json`
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print Markdown, as for a comment on a pull request
    #[arg(long)]
    pub markdown: bool,
    /// Print each change by itself, also those that are the same in several clusters
    #[arg(long)]
    pub expand: bool,
    /// The most bytes that the Markdown may have; what does not fit is counted
    #[arg(long, value_name = "BYTES", default_value_t = crate::view::markdown::COMMENT, value_parser = clap::value_parser!(u32).range(2000..))]
    pub max_bytes: u32,
}

#[derive(Debug, Args)]
pub(super) struct CommentArgs {
    /// A plan that `wi plan --out` saved; `-` is standard input
    #[arg(
        value_name = "PLAN",
        required_unless_present = "failed",
        conflicts_with = "failed"
    )]
    pub plan: Option<PathBuf>,
    /// The plan failed, and this is what it printed
    #[arg(long, value_name = "LOG")]
    pub failed: Option<PathBuf>,
    /// Which of the repository's specs it is: there is one comment for each
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub root: String,
    /// The forge (default: that of the CI job)
    #[arg(long, value_enum)]
    pub forge: Option<Forge>,
    /// OWNER/NAME, or GitLab's project id (default: that of the CI job)
    #[arg(long, value_name = "NAME")]
    pub repository: Option<String>,
    /// The pull request (default: that of the CI job)
    #[arg(long, value_name = "N")]
    pub number: Option<u64>,
    /// The commit that was planned: the head of the pull request (default: that of the CI job)
    #[arg(long, value_name = "COMMIT")]
    pub sha: Option<String>,
    /// Leave the labels of the pull request alone
    #[arg(long)]
    pub no_labels: bool,
    /// Print the comment instead of posting it
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Forge {
    /// github.com or GitHub Enterprise Server (GITHUB_TOKEN, GITHUB_API_URL)
    Github,
    /// gitlab.com or self-managed GitLab (GITLAB_TOKEN, CI_API_V4_URL)
    Gitlab,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// A plan that `wi plan --out` saved; `-` is standard input
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    /// Spec files and directories, read recursively; or one plan that `wi plan --out` saved, which
    /// is carried out as it is, without a question
    #[arg(value_name = "PATH|PLAN", default_value = ".")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub connect: ConnectArgs,
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// Do not ask
    #[arg(long)]
    pub auto_approve: bool,
    /// Go on without a question if the plan has this hash, and not at all otherwise
    #[arg(long, value_name = "HASH", value_parser = plan_hash)]
    pub expect_plan_hash: Option<String>,
    /// Print each change by itself, also those that are the same in several clusters
    #[arg(long)]
    pub expand: bool,
    /// Go on after this wave, whose gate is manual (repeatable)
    #[arg(long, value_name = "WAVE")]
    pub approve: Vec<String>,
    /// How long the pods of changed node pools may take to be ready again, in minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 15)]
    pub ready_timeout: u64,
    /// Print one JSON object a line, in the form of Terraform's machine-readable UI
    #[arg(long)]
    pub json: bool,
    /// The longest that one GKE operation may take, in minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 360)]
    pub operation_timeout: u64,
}

#[derive(Debug, Args)]
pub(super) struct GraphArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// The language to print it in
    #[arg(long, value_enum, default_value_t = GraphFormat::Dot)]
    pub format: GraphFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum GraphFormat {
    /// For Graphviz
    Dot,
    /// For Markdown
    Mermaid,
}

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Which schema
    #[arg(value_enum, default_value_t = SchemaKind::Spec)]
    pub kind: SchemaKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaKind {
    /// Of the spec (wi/v1)
    Spec,
    /// Of the sandbox's world file (wi.sandbox/v1)
    World,
    /// Of what `wi plan --json` prints
    Plan,
}

#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// The world to start from
    #[arg(value_name = "WORLD")]
    pub world: PathBuf,
    /// The port of the Google APIs on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 4588)]
    pub port: u16,
    /// Keep the state here between runs; without it, changes are forgotten at the end
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Also write the settings for kubectl to this file
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// The hash of a plan, or its first part.
fn plan_hash(text: &str) -> Result<String, String> {
    let hexadecimal = text.bytes().all(|b| b.is_ascii_hexdigit());
    if hexadecimal && (12..=64).contains(&text.len()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a plan hash has 64 hexadecimal digits, of which the first 12 do".to_owned())
    }
}

/// Terraform's users type one dash: `-auto-approve` is taken for `--auto-approve`.
pub(super) fn with_long_dashes(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    const LONG: [&str; 7] = [
        "auto-approve",
        "detailed-exitcode",
        "json",
        "no-color",
        "out",
        "parallelism",
        "target",
    ];
    let mut rest_is_paths = false;
    args.into_iter()
        .map(|arg| {
            let Some(text) = arg.to_str() else {
                return arg;
            };
            rest_is_paths |= text == "--";
            let name = text
                .strip_prefix('-')
                .map(|t| t.split('=').next().unwrap_or(t));
            if !rest_is_paths && name.is_some_and(|n| LONG.contains(&n)) {
                format!("-{text}").into()
            } else {
                arg
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        let args = [
            "wi",
            "apply",
            "-auto-approve",
            "-target=gsa.a",
            "--",
            "-target",
        ];
        let args = with_long_dashes(args.map(OsString::from));
        assert_eq!(
            args[2..],
            ["--auto-approve", "--target=gsa.a", "--", "-target"]
        );
    }
}
