//! What is expected of identities: what a spec says, in the words of logs.

use std::collections::{BTreeMap, BTreeSet};

use crate::detector::Detector;
use crate::name::{self, Cidr};
use crate::services::{self, Class, Explained};
use crate::when::Micros;

/// All that is expected.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// By principal, in the spelling of [`name::principal`].
    pub identities: BTreeMap<String, Identity>,
    /// Projects that they may call into.
    pub projects: BTreeSet<String>,
    /// Regions that clusters are in; empty: not known.
    pub regions: BTreeSet<String>,
    /// Namespaces whose pods have rights.
    pub namespaces: BTreeSet<String>,
    /// What nodes run as.
    pub node_accounts: BTreeSet<String>,
    /// Networks that calls may come from, with what they are.
    pub networks: Vec<(Cidr, String)>,
    /// Whether those are all that the VPCs of clusters have: then no pod has a private address beyond them.
    pub networks_are_all: bool,
    /// VPCs that clusters are in, as [`name::vpc`] spells them; empty: not known.
    pub vpcs: BTreeSet<String>,
    /// Who carries out plans, where it is told: else it is whoever's agent is `wi`.
    pub wi: Option<String>,
    /// When accounts went off keys, where that is told.
    pub migrated: BTreeMap<String, Micros>,
    /// When all of them did, where that is told.
    pub migrated_all: Option<Micros>,
    /// What somebody accepted.
    pub accepted: Vec<Accepted>,
}

/// An identity that is declared.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// What accepts a finding about it is written with: `account: web`.
    pub key: String,
    /// Who uses it, in words: `shop/web on prod-eu`.
    pub used_by: String,
    /// Its roles, as they are written.
    pub roles: Vec<String>,
    /// Whether pods act as it.
    pub has_workloads: bool,
    /// Who may act as it, with `*` for anything.
    pub users: Vec<String>,
    /// Where it is declared: a file and a line.
    pub place: Option<(String, u32)>,
    /// Roles on resources of which nobody knows the project: buckets.
    elsewhere: BTreeSet<String>,
    /// Services of those.
    pub anywhere: BTreeSet<String>,
    services: BTreeMap<String, Class>,
    unknown: bool,
}

impl Identity {
    /// One with these roles.
    pub fn new(key: &str, roles: Vec<String>) -> Self {
        let mut identity = Self {
            key: key.to_owned(),
            ..Self::default()
        };
        identity.roles = roles;
        identity.judge(&Permissions::new());
        identity
    }

    /// Says that a role is on something of which nobody knows the project.
    pub fn is_anywhere(&mut self, role: &str) {
        self.elsewhere.insert(role.to_owned());
        self.judge(&Permissions::new());
    }

    /// Finds out what its roles explain, by their names and by the permissions of those that were read.
    fn judge(&mut self, known: &Permissions) {
        self.unknown = false;
        self.services.clear();
        self.anywhere.clear();
        for role in self.roles.clone() {
            match services::explained(&role, known.get(&role).map(Vec::as_slice)) {
                Explained::All | Explained::Unknown => self.unknown = true,
                Explained::Services(hosts) => {
                    for (host, class) in hosts {
                        if self.elsewhere.contains(&role) {
                            self.anywhere.insert(host.clone());
                        }
                        self.explain(&host, class);
                    }
                }
            }
        }
    }

    fn explain(&mut self, service: &str, class: Class) {
        let known = self.services.entry(service.to_owned()).or_insert(class);
        *known = class.max(*known);
    }

    /// Whether roles explain that it calls a service at all. `None`: one of them may, and nobody knows.
    pub fn explains(&self, service: &str) -> Option<bool> {
        match self.services.contains_key(service) {
            true => Some(true),
            false if self.unknown => None,
            false => Some(false),
        }
    }

    /// Whether roles explain calls of this class.
    pub fn explains_class(&self, service: &str, class: Class) -> bool {
        self.services
            .get(service)
            .is_some_and(|most| class <= *most)
    }

    /// Services that its roles are for.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// Whether somebody may act as it.
    pub fn may_be_used_by(&self, who: &str) -> bool {
        self.users.iter().any(|user| name::glob(user, who))
    }
}

/// What roles permit, by their names: those that were read.
pub type Permissions = BTreeMap<String, Vec<String>>;

/// A line of `audit.expect`.
#[derive(Debug, Clone, Default)]
pub struct Accepted {
    /// Principals, with `*` for anything: one of them.
    pub who: Vec<String>,
    /// The service, of findings about one.
    pub service: Option<String>,
    /// The detector.
    pub detector: Option<Detector>,
    /// What it is about, with `*` for anything.
    pub about: Option<String>,
    /// Why.
    pub reason: String,
    /// The last day on which it counts, as a number.
    pub until: Option<i64>,
    /// Where it is written.
    pub place: String,
}

impl Expected {
    /// All roles of the identities.
    pub fn roles(&self) -> BTreeSet<&str> {
        let all = self.identities.values();
        all.flat_map(|i| i.roles.iter().map(String::as_str))
            .collect()
    }

    /// Judges roles by what they permit, too.
    pub fn knows_roles(&mut self, known: &Permissions) {
        for identity in self.identities.values_mut() {
            identity.judge(known);
        }
    }

    /// The identity of a principal, if it is declared.
    pub fn identity(&self, who: &str) -> Option<&Identity> {
        self.identities.get(who)
    }

    /// The label of a network that is known.
    pub fn network(&self, place: &str) -> Option<&str> {
        let known = self.networks.iter().find(|(cidr, _)| cidr.has(place));
        known.map(|(_, label)| label.as_str())
    }
}
