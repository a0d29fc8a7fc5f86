//! Plan files come from strangers, and whoever makes one gets its checksum right. An edit says itself what
//! is shown of it, so that little can be forged: an edit that `wi` never plans, a name that is another
//! account's, a wave that there is not.

use std::collections::BTreeSet;

use super::{Options, Plan};
use crate::address::AccountName;
use crate::desired::Desired;
use crate::names::{ClusterPath, Email};
use crate::spec::migration::Until;
use crate::spec::model::Parallel;

pub(super) const OTHER: &str = "is another object than its address says";
pub(super) const UNSHOWN: &str = "does something else than it shows";
pub(super) const UNKNOWN: &str = "does what wi never does";

/// An error of these words, unless it holds.
pub(super) fn holds(it: bool, or: &str) -> Result<(), String> {
    if it { Ok(()) } else { Err(or.to_owned()) }
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
    pub(super) fn may_take(&self, owner: Option<&str>) -> Result<(), String> {
        let may = |owner: &str| owner == self.owner || self.options.adopt_from.contains(owner);
        holds(owner.is_none_or(may), UNKNOWN)
    }

    /// Where a cluster of the spec is.
    pub(super) fn cluster(&self, name: &str) -> Result<&'a ClusterPath, String> {
        let cluster = self.desired.clusters.get(name);
        cluster.map(|c| &c.path).ok_or_else(|| OTHER.to_owned())
    }

    /// How far an account is to get off its keys.
    pub(super) fn until(&self, email: &Email) -> Option<Until> {
        let name = self.desired.account_name(email)?;
        self.desired.migrations.get(name).map(|m| m.until)
    }

    /// Whether an account that is changed, or whose policy is, goes by this name: the spec's, or one of its
    /// own if it left the spec.
    pub(super) fn named(&self, email: &Email, name: &AccountName) -> Result<(), String> {
        let left = self.desired.account_name(email).is_none();
        let own = [AccountName::of_id(email), AccountName::of_email(email)];
        holds(!left || own.contains(name), OTHER)?;
        self.member_named(email, name)
    }

    /// As [`Self::named`], for an account that is given a role: the plan may not hold what the spec says of
    /// it, and then has a name that no other account has.
    pub(super) fn member_named(&self, email: &Email, name: &AccountName) -> Result<(), String> {
        let is_it = match self.desired.account_name(email) {
            Some(own) => *name == AccountName::of_spec(own),
            None => !self
                .desired
                .accounts
                .keys()
                .any(|n| *name == AccountName::of_spec(n)),
        };
        holds(is_it, OTHER)
    }
}

/// What in the file does not fit together; nothing in one that `wi` has written.
pub(super) fn check(desired: &Desired, options: &Options, plan: &Plan) -> Result<(), String> {
    if desired.owner != plan.owner {
        return Err("it is of two specs".to_owned());
    }
    waves(plan)?;
    let checked = Checked {
        owner: &plan.owner,
        options,
        desired,
    };
    for (address, change) in &plan.changes {
        let edit = change.edit.check(&checked);
        edit.map_err(|why| format!("{address} {why}"))?;
    }
    Ok(())
}

fn waves(plan: &Plan) -> Result<(), String> {
    let Some(waves) = &plan.waves else {
        return match plan.changes.iter().find(|(_, c)| c.wave != 0) {
            Some((address, _)) => Err(format!("{address} is in a wave, and there are none")),
            None => Ok(()),
        };
    };
    let last = plan
        .changes
        .iter()
        .find(|(_, c)| c.wave >= waves.waves.len());
    if let Some((address, _)) = last {
        return Err(format!("{address} is in a wave that there is not"));
    }
    if waves.wave_of.values().any(|w| *w >= waves.waves.len()) {
        return Err("a cluster is in a wave that there is not".to_owned());
    }
    let names: BTreeSet<&str> = waves.waves.iter().map(|w| w.name.as_str()).collect();
    if names.len() != waves.waves.len() {
        return Err("two waves have one name".to_owned());
    }
    let too_many = |w: &crate::desired::WaveSettings| matches!(w.max_parallel, Parallel::Percent(p) if p > 100);
    match waves.waves.iter().find(|w| too_many(w)) {
        Some(wave) => Err(format!("the wave {} is more than whole", wave.name)),
        None => Ok(()),
    }
}
