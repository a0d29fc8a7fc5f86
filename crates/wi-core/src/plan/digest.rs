//! What makes two plans the same one: what they would do, where and how they would do it, and whom
//! that harms.
//!
//! Whoever approves a hash approves all that steers an apply. What is left out here is left out by
//! name, so that what is added to a plan is covered until somebody says otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Attribute, Change, Edit, IdentityLoss, Options, Plan, Workload};
use crate::address::Address;
use crate::desired::{Desired, Waves};
use crate::digest::sha256;
use crate::spec::model::{NodePools, SourceLine};

/// What the hash is of, so that the hash of one version is never that of another.
const OF: &str = "wi plan 3";

/// All of it.
#[derive(Serialize)]
struct Essence<'a> {
    of: &'static str,
    owner: &'a str,
    changes: Vec<ChangeEssence<'a>>,
    /// Workloads that lose the node's identity, by the node pool's address.
    losing: BTreeSet<(&'a str, &'a Workload)>,
    /// Grants that give and take nothing.
    ended: &'a BTreeSet<Address>,
    /// Service accounts whose annotation goes, and the workloads that lose it.
    losing_identity: &'a BTreeMap<Address, IdentityLoss>,
    /// Service accounts that act as another account then, and what their pods lose by it.
    other_accounts: Vec<(&'a str, &'a BTreeSet<String>)>,
    held_back: BTreeSet<&'a str>,
    staying: &'a BTreeSet<Address>,
    waves: &'a Option<Waves>,
    options: Options,
    /// Where the clusters are, how they are reached, what is verified there.
    desired: Desired,
}

/// One change, without line numbers and remarks.
#[derive(Serialize)]
struct ChangeEssence<'a> {
    address: &'a str,
    edit: Edit,
    /// What is there before, as far as it is shown: of objects the edit has more than counts.
    attributes: Vec<Attribute>,
    needs: &'a BTreeSet<Address>,
    wave: usize,
}

/// SHA-256 in hexadecimal of all that decides what `plan` does and where: the same for two plans that
/// would do the same, whenever they were made. Versions of objects, numbers of nodes and places in the
/// spec do not count.
///
/// `desired` is just what is kept with it ([`super::scope::kept`]).
pub(super) fn hash(plan: &Plan, desired: &Desired, options: &Options) -> String {
    let changes = plan.changes.iter().map(|(address, change)| {
        let Change {
            edit,
            notes: _,
            place: _,
            needs,
            wave,
        } = change;
        ChangeEssence {
            address,
            edit: edit.timeless(),
            attributes: edit.attributes(&plan.owner),
            needs,
            wave: *wave,
        }
    });
    let losing = plan
        .impact
        .iter()
        .flat_map(|(address, impact)| impact.losers().map(move |w| (&**address, w)));
    let essence = Essence {
        of: OF,
        owner: &plan.owner,
        changes: changes.collect(),
        losing: losing.collect(),
        ended: &plan.ended,
        losing_identity: &plan.losing_identity,
        other_accounts: plan
            .other_accounts
            .iter()
            .map(|(address, other)| (&**address, &other.loses))
            .collect(),
        staying: &plan.staying,
        held_back: plan.held_back.iter().map(|h| &*h.address).collect(),
        waves: &plan.waves,
        options: Options {
            now: None,
            ..options.clone()
        },
        desired: placeless(desired.clone()),
    };
    let text = serde_json::to_vec(&essence).expect("no key of these maps is anything but text");
    sha256(&text)
}

/// Without what only says where the spec asks for it.
fn placeless(mut desired: Desired) -> Desired {
    desired.files = BTreeMap::new();
    for cluster in desired.clusters.values_mut() {
        cluster.place = nowhere();
        if let NodePools::Only(names) = &mut cluster.node_pools {
            names.values_mut().for_each(|place| *place = nowhere());
        }
    }
    for account in desired.accounts.values_mut() {
        account.place = nowhere();
        // No change comes of it.
        account.keys = None;
        let grants = account.grants.iter_mut();
        grants.for_each(|grant| grant.place = nowhere());
        let users = account.users.iter_mut();
        users.for_each(|user| user.place = nowhere());
    }
    let namespaces = desired.namespaces.values_mut().map(|n| &mut n.place);
    let ksas = desired.ksas.values_mut().map(|k| &mut k.place);
    let members = desired.guard.forbid_members.iter_mut().map(|(_, p)| p);
    let removals = desired.guard.max_removals.iter_mut().map(|(_, p)| p);
    namespaces
        .chain(ksas)
        .chain(desired.bindings.values_mut())
        .chain(members)
        .chain(removals)
        .for_each(|place| *place = nowhere());
    desired.guard.forbid_keys = None;
    let migrations = desired.migrations.values_mut();
    migrations.for_each(|migration| migration.place = nowhere());
    desired
}

fn nowhere() -> SourceLine {
    SourceLine {
        file: String::new(),
        line: 0,
    }
}
