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
    /// Services of roles on resources of which nobody knows the project: buckets.
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
        for role in &roles {
            match services::explained(role) {
                Explained::All | Explained::Unknown => identity.unknown = true,
                Explained::Services(hosts, class) => {
                    for host in hosts {
                        identity.explain(&host, class);
                    }
                }
            }
        }
        identity.roles = roles;
        identity
    }

    /// Says that a role is on something of which nobody knows the project.
    pub fn is_anywhere(&mut self, role: &str) {
        if let Explained::Services(hosts, _) = services::explained(role) {
            self.anywhere.extend(hosts);
        }
    }

    /// Says that calls to a service are expected, up to a class.
    pub fn explain(&mut self, service: &str, class: Class) {
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
