//! What the user can say: the commands, and what all of them take. A command's own arguments are with the
//! command.

use clap::{ArgAction, Args, Parser, Subcommand};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::{
    access, apply, audit, comment, completion, doctor, explain, export, graph, help, import, init,
    logs, migrate, plan, sandbox, scan, schema, show, validate, verify,
};

/// Workload Identity for GKE, planned like Terraform and applied without an outage.
#[derive(Debug, Parser)]
#[command(
    name = "wi",
    version = env!("WI_VERSION"),
    max_term_width = 80,
    propagate_version = true,
    disable_help_flag = true,
    disable_help_subcommand = true,
    disable_version_flag = true
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes. Help and version are declared here, and not by clap, so that they come last,
/// under this heading.
#[derive(Debug, Args)]
#[command(next_help_heading = "General options")]
pub(super) struct Global {
    /// Log each API call to standard error; twice for more (also: WI_LOG=debug)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Print without colours (also: NO_COLOR)
    #[arg(long, global = true)]
    no_color: bool,
    /// Print this help
    #[arg(short, long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
    /// Print the version
    #[arg(short = 'V', long, global = true, action = ArgAction::Version)]
    version: Option<bool>,
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
            .with_max_level(LevelFilter::TRACE)
            .with_writer(|| crate::view::print::Log)
            .log_internal_errors(false)
            .with_ansi(false)
            .finish()
            .with(targets(&filter))
            .init();
    }
}

/// `wi=debug,h2=info,warn`: a level for what begins with each name, and one for the rest. What is none is left out.
fn targets(filter: &str) -> Targets {
    let words = filter.split(',').map(str::trim).filter(|w| !w.is_empty());
    words.fold(Targets::new(), |targets, word| {
        match (word.split_once('='), word.parse::<LevelFilter>()) {
            (Some((name, level)), _) => match level.parse::<LevelFilter>() {
                Ok(level) => targets.with_target(name, level),
                Err(_) => targets,
            },
            (None, Ok(level)) => targets.with_default(level),
            (None, Err(_)) => targets.with_target(word, LevelFilter::TRACE),
        }
    })
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a first spec, and the workflows of a CI
    Init(init::InitArgs),
    /// Write a spec from what is there, and prove that it is that
    Import(import::ImportArgs),
    /// Print what the spec asks for in the words of Terraform or Config Connector
    Export(export::ExportArgs),
    /// Read the spec and the live state, and print what would change
    Plan(plan::PlanArgs),
    /// Plan, ask, and carry it out
    Apply(apply::ApplyArgs),
    /// Plan to take away all that the spec owns, ask for its name, and carry it out
    Destroy(apply::ApplyArgs),
    /// Print a saved plan
    Show(show::ShowArgs),
    /// Post a plan as the comment on a pull request, or update it
    Comment(comment::CommentArgs),
    /// Check the spec alone, offline
    Validate(validate::SpecArgs),
    /// Say who you are, and what stands in the way of a plan and an apply
    Doctor(doctor::DoctorArgs),
    /// Say why a pod may do something, or may not: every link from it to the role
    Explain(explain::ExplainArgs),
    /// Prove that workloads may do what the spec says, each with its own token
    Verify(verify::VerifyArgs),
    /// Find static keys in files, Git's history and clusters, and who uses them
    Scan(scan::ScanArgs),
    /// Find over-privilege, drift, and ways to become somebody else, by rules
    Audit(Box<audit::AuditArgs>),
    /// Say what somebody reaches, as whom and by which steps, or who reaches something
    Access(Box<access::AccessArgs>),
    /// Say how far accounts are off their static keys, and what comes next
    Migrate(migrate::MigrateArgs),
    /// Find unusual token requests and uses of identities in audit logs
    Logs(logs::LogsArgs),
    /// Print the dependency graph of the spec
    Graph(graph::GraphArgs),
    /// Print the JSON Schema of the spec
    Schema(schema::SchemaArgs),
    /// Serve the simulator of the Google and Kubernetes APIs
    Sandbox(sandbox::SandboxArgs),
    /// Print the completions of a shell
    Completion(completion::CompletionArgs),
    /// Print or write manual pages
    Man(completion::ManArgs),
    /// Print the help of a command, or a page of the documentation
    Help(help::HelpArgs),
}

impl Command {
    /// As it is typed.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Import(_) => "import",
            Self::Export(_) => "export",
            Self::Plan(_) => "plan",
            Self::Apply(_) => "apply",
            Self::Destroy(_) => "destroy",
            Self::Show(_) => "show",
            Self::Comment(_) => "comment",
            Self::Validate(_) => "validate",
            Self::Doctor(_) => "doctor",
            Self::Explain(_) => "explain",
            Self::Verify(_) => "verify",
            Self::Scan(_) => "scan",
            Self::Access(_) => "access",
            Self::Audit(_) => "audit",
            Self::Migrate(_) => "migrate",
            Self::Logs(_) => "logs",
            Self::Graph(_) => "graph",
            Self::Schema(_) => "schema",
            Self::Sandbox(_) => "sandbox",
            Self::Completion(_) => "completion",
            Self::Man(_) => "man",
            Self::Help(_) => "help",
        }
    }
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
    fn a_log_filter_has_levels_for_names_and_one_for_the_rest() {
        let filter = targets("wi=debug, h2 ,info,rustls=loud,");
        assert!(filter.would_enable("wi::plan", &tracing::Level::DEBUG));
        assert!(!filter.would_enable("wi::plan", &tracing::Level::TRACE));
        assert!(filter.would_enable("h2::frame", &tracing::Level::TRACE));
        assert!(filter.would_enable("rustls", &tracing::Level::INFO));
        assert!(!filter.would_enable("rustls", &tracing::Level::DEBUG));
        assert!(!targets("wi=warn").would_enable("h2", &tracing::Level::ERROR));
    }
}
