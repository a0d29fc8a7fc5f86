//! What a plan covers and what it may do: the arguments that `wi plan` and `wi apply` share.

use clap::{Args, ValueEnum};
use wi_core::plan::{Options, UpgradeOverride};

use super::heading;
use crate::engine::pipeline::{Input, Part};

/// How a plan is made, in the groups of `--help`.
#[derive(Debug, Args)]
pub(super) struct ChoiceArgs {
    /// Only this address, what is below it, and what it needs (repeatable)
    #[arg(long, value_name = "ADDRESS", value_parser = word(), help_heading = PLANNED)]
    pub target: Vec<String>,
    /// Only this cluster, and what its workloads are given (repeatable)
    #[arg(long, value_name = "NAME", conflicts_with = "target", value_parser = word(), help_heading = PLANNED)]
    pub cluster: Vec<String>,
    /// Also remove what the spec granted at this commit, tag or branch
    #[arg(long, value_name = "GIT_REF", value_parser = word(), help_heading = PLANNED)]
    pub base: Option<String>,
    /// Take away all that the spec owns
    #[arg(long, conflicts_with_all = ["base", "cluster"], help_heading = PLANNED)]
    pub destroy: bool,
    /// Move node pools although pods on them lose the node's identity
    #[arg(long, help_heading = ALLOWED)]
    pub accept_loss: bool,
    /// Take over what is marked as the spec of this name's (repeatable)
    #[arg(long, value_name = "NAME", value_parser = word(), help_heading = ALLOWED)]
    pub adopt_from: Vec<String>,
    /// Take over Kubernetes fields that other field managers own
    #[arg(long, help_heading = ALLOWED)]
    pub force_conflicts: bool,
    /// Go on although some of the live state could not be read
    #[arg(long, help_heading = ALLOWED)]
    pub allow_incomplete: bool,
    /// Remove more than a fifth of what the spec owns
    #[arg(long, help_heading = ALLOWED)]
    pub allow_mass_removal: bool,
    /// Move node pools during their clusters' maintenance exclusions, too
    #[arg(long, help_heading = ALLOWED)]
    pub ignore_maintenance_exclusions: bool,
    /// Only this wave
    #[arg(long, value_name = "WAVE", conflicts_with = "until_wave", value_parser = word(), help_heading = heading::ROLLOUT)]
    pub wave: Option<String>,
    /// The waves up to this one
    #[arg(long, value_name = "WAVE", value_parser = word(), help_heading = heading::ROLLOUT)]
    pub until_wave: Option<String>,
    /// Recreate nodes a few at a time, or beside a second set of nodes
    #[arg(long, value_enum, help_heading = NODES)]
    pub strategy: Option<UpgradeStrategy>,
    /// At most so many nodes more than now at a time
    #[arg(long, value_name = "NODES", value_parser = nodes(), help_heading = NODES)]
    pub max_surge: Option<u32>,
    /// At most so many nodes fewer than now at a time
    #[arg(long, value_name = "NODES", value_parser = nodes(), help_heading = NODES)]
    pub max_unavailable: Option<u32>,
}

const PLANNED: &str = "What is planned";
const ALLOWED: &str = "What is allowed";
const NODES: &str = "How nodes are recreated (in this run; the settings are put back)";

/// Nothing is no name: a variable of a script that is not set, say.
fn word() -> clap::builder::NonEmptyStringValueParser {
    clap::builder::NonEmptyStringValueParser::new()
}

/// How many nodes GKE lets an upgrade add or take.
fn nodes() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(0..=1000)
}

impl ChoiceArgs {
    /// Whether anything is chosen.
    pub fn any(&self) -> bool {
        !self.words().is_empty()
    }

    /// The flags that were given, as they would be typed again.
    pub fn words(&self) -> Vec<String> {
        let Self {
            target,
            cluster,
            base,
            destroy,
            adopt_from,
            accept_loss,
            force_conflicts,
            allow_incomplete,
            allow_mass_removal,
            ignore_maintenance_exclusions,
            wave,
            until_wave,
            strategy,
            max_surge,
            max_unavailable,
        } = self;
        let mut words: Vec<String> = Vec::new();
        let mut value = |flag: &str, value: Option<String>| {
            words.extend(value.into_iter().flat_map(|v| [flag.to_owned(), v]));
        };
        for target in target {
            value("--target", Some(target.clone()));
        }
        for name in cluster {
            value("--cluster", Some(name.clone()));
        }
        value("--base", base.clone());
        for owner in adopt_from {
            value("--adopt-from", Some(owner.clone()));
        }
        value("--wave", wave.clone());
        value("--until-wave", until_wave.clone());
        let strategy = strategy.as_ref().and_then(ValueEnum::to_possible_value);
        value("--strategy", strategy.map(|s| s.get_name().to_owned()));
        value("--max-surge", max_surge.map(|n| n.to_string()));
        value("--max-unavailable", max_unavailable.map(|n| n.to_string()));
        for (flag, given) in [
            ("--destroy", destroy),
            ("--accept-loss", accept_loss),
            ("--force-conflicts", force_conflicts),
            ("--allow-incomplete", allow_incomplete),
            ("--allow-mass-removal", allow_mass_removal),
            (
                "--ignore-maintenance-exclusions",
                ignore_maintenance_exclusions,
            ),
        ] {
            if *given {
                words.push(flag.to_owned());
            }
        }
        words
    }

    /// Which part of the changes is wanted.
    pub fn part(&self) -> Part {
        Part {
            targets: self.target.clone(),
            clusters: self.cluster.iter().cloned().collect(),
            wave: self.wave.clone(),
            until_wave: self.until_wave.clone(),
        }
    }

    /// What is planned, of a spec as it was read.
    pub fn of(&self, input: Input) -> Input {
        match self.destroy {
            true => input.destroyed(),
            false => input,
        }
    }

    /// What the planner is to know of it.
    pub fn options(&self) -> Options {
        Options {
            accept_loss: self.accept_loss,
            adopt_from: self.adopt_from.iter().cloned().collect(),
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

/// The strategies of GKE that can be asked for. Without a doc comment on each, they take one line of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum UpgradeStrategy {
    Surge,
    BlueGreen,
}
