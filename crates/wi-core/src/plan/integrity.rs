//! Plan files come from strangers, and whoever makes one gets its checksum right. An edit says itself what
//! is shown of it, so that little can be forged: an edit that `wi` never plans, a name that is another
//! account's, a wave that there is not.

use std::collections::BTreeSet;
use std::fmt;

use super::{Options, Plan};
use crate::address::{AccountName, Address};
use crate::desired::Desired;
use crate::names::{ClusterPath, Email};
use crate::spec::migration::Until;
use crate::spec::model::Parallel;

/// What is wrong with an edit that `wi` has not written; its address goes before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forged {
    /// It is about something else.
    Other,
    /// Its attributes do not tell all of it.
    Unshown,
    /// No plan has such an edit.
    Unknown,
}

impl fmt::Display for Forged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Other => "is another object than its address says",
            Self::Unshown => "does something else than it shows",
            Self::Unknown => "does what wi never does",
        })
    }
}

impl std::error::Error for Forged {}

/// What in a plan file does not fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// The plan and what it is of have different owners.
    TwoSpecs,
    /// An edit of the plan.
    Edit(Address, Forged),
    /// A change in a wave, where there are none.
    NoWaves(Address),
    /// A change in a wave that there is not.
    ChangeInNoWave(Address),
    /// A cluster in a wave that there is not.
    ClusterInNoWave,
    /// Two waves of one name.
    SameWaves,
    /// A wave of more than 100 %.
    MoreThanWhole(String),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoSpecs => f.write_str("it is of two specs"),
            Self::Edit(address, why) => write!(f, "{address} {why}"),
            Self::NoWaves(address) => write!(f, "{address} is in a wave, and there are none"),
            Self::ChangeInNoWave(address) => {
                write!(f, "{address} is in a wave that there is not")
            }
            Self::ClusterInNoWave => f.write_str("a cluster is in a wave that there is not"),
            Self::SameWaves => f.write_str("two waves have one name"),
            Self::MoreThanWhole(wave) => write!(f, "the wave {wave} is more than whole"),
        }
    }
}

impl std::error::Error for Misfit {}

/// That error, unless it holds.
pub(super) fn holds(it: bool, or: Forged) -> Result<(), Forged> {
    if it { Ok(()) } else { Err(or) }
}

/// What the edits of a plan have to fit.
#[derive(Debug)]
pub struct Checked<'a> {
    /// The name of the spec.
    pub(super) owner: &'a str,
    pub(super) options: &'a Options,
    desired: &'a Desired,
}

impl<'a> Checked<'a> {
    /// Whether what this spec's mark is on may get ours: it has it, it is nobody's, or the user said so.
    pub(super) fn may_take(&self, owner: Option<&str>) -> Result<(), Forged> {
        let may = |owner: &str| owner == self.owner || self.options.adopt_from.contains(owner);
        holds(owner.is_none_or(may), Forged::Unknown)
    }

    /// Where a cluster of the spec is.
    pub(super) fn cluster(&self, name: &str) -> Result<&'a ClusterPath, Forged> {
        let cluster = self.desired.clusters.get(name);
        cluster.map(|c| &c.path).ok_or(Forged::Other)
    }

    /// How far an account is to get off its keys.
    pub(super) fn until(&self, email: &Email) -> Option<Until> {
        let name = self.desired.account_name(email)?;
        self.desired.migrations.get(name).map(|m| m.until)
    }

    /// Whether an account that is changed, or whose policy is, goes by this name: the spec's, or one of its
    /// own if it left the spec.
    pub(super) fn named(&self, email: &Email, name: &AccountName) -> Result<(), Forged> {
        let left = self.desired.account_name(email).is_none();
        let own = [AccountName::of_id(email), AccountName::of_email(email)];
        holds(!left || own.contains(name), Forged::Other)?;
        self.member_named(email, name)
    }

    /// As [`Self::named`], for an account that is given a role: the plan may not hold what the spec says of
    /// it, and then has a name that no other account has.
    pub(super) fn member_named(&self, email: &Email, name: &AccountName) -> Result<(), Forged> {
        let is_it = match self.desired.account_name(email) {
            Some(own) => *name == AccountName::of_spec(own),
            None => !self
                .desired
                .accounts
                .keys()
                .any(|n| *name == AccountName::of_spec(n)),
        };
        holds(is_it, Forged::Other)
    }
}

/// What in the file does not fit together; nothing in one that `wi` has written.
pub(super) fn check(desired: &Desired, options: &Options, plan: &Plan) -> Result<(), Misfit> {
    if desired.owner != plan.owner {
        return Err(Misfit::TwoSpecs);
    }
    waves(plan)?;
    let checked = Checked {
        owner: &plan.owner,
        options,
        desired,
    };
    for (address, change) in &plan.changes {
        let edit = change.edit.check(&checked);
        edit.map_err(|why| Misfit::Edit(address.clone(), why))?;
    }
    Ok(())
}

fn waves(plan: &Plan) -> Result<(), Misfit> {
    let Some(waves) = &plan.waves else {
        return match plan.changes.iter().find(|(_, c)| c.wave != 0) {
            Some((address, _)) => Err(Misfit::NoWaves(address.clone())),
            None => Ok(()),
        };
    };
    let last = plan
        .changes
        .iter()
        .find(|(_, c)| c.wave >= waves.waves.len());
    if let Some((address, _)) = last {
        return Err(Misfit::ChangeInNoWave(address.clone()));
    }
    if waves.wave_of.values().any(|w| *w >= waves.waves.len()) {
        return Err(Misfit::ClusterInNoWave);
    }
    let names: BTreeSet<&str> = waves.waves.iter().map(|w| w.name.as_str()).collect();
    if names.len() != waves.waves.len() {
        return Err(Misfit::SameWaves);
    }
    let too_many = |w: &crate::desired::WaveSettings| matches!(w.max_parallel, Parallel::Percent(p) if p > 100);
    match waves.waves.iter().find(|w| too_many(w)) {
        Some(wave) => Err(Misfit::MoreThanWhole(wave.name.clone())),
        None => Ok(()),
    }
}
