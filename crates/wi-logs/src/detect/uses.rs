//! What identities do: L2, L3, L4, L12, L14, L15.

use std::collections::BTreeMap;

use super::{Context, Detector, FORGOTTEN_DAYS, Severity, calls, numbers, thousands};
use crate::facts::{Kind, Name, Stat};
use crate::name;
use crate::services::{self, Class};
use crate::when;

/// A principal's calls of one service.
struct Calls<'a> {
    all: Stat,
    classes: BTreeMap<Class, Stat>,
    methods: BTreeMap<&'a str, Stat>,
}

impl<'a> Calls<'a> {
    fn new(method: &'a str, stat: Stat) -> Self {
        Self {
            all: stat,
            classes: BTreeMap::from([(services::class(method), stat)]),
            methods: BTreeMap::from([(method, stat)]),
        }
    }

    fn add(&mut self, method: &'a str, stat: Stat) {
        self.all.add(stat);
        let add = |s: &mut Stat| s.add(stat);
        let class = services::class(method);
        self.classes.entry(class).and_modify(add).or_insert(stat);
        self.methods.entry(method).and_modify(add).or_insert(stat);
    }

    /// `jobs.insert ×14`, the most frequent first.
    fn methods(&self, of: Option<Class>) -> String {
        let mut all: Vec<(&str, u64)> = self
            .methods
            .iter()
            .filter(|(m, _)| of.is_none_or(|c| services::class(m) == c))
            .map(|(m, s)| (*m, s.calls))
            .collect();
        all.sort_by_key(|(method, count)| (std::cmp::Reverse(*count), *method));
        let more = all.len().saturating_sub(3);
        let mut words: Vec<String> = all
            .into_iter()
            .take(3)
            .map(|(method, count)| format!("{method} ×{}", thousands(count)))
            .collect();
        if more > 0 {
            words.push(format!("{more} more"));
        }
        words.join(", ")
    }
}

pub(super) fn look(context: &mut Context<'_>) {
    let facts = context.facts;
    let mut all: BTreeMap<&str, BTreeMap<&str, Calls<'_>>> = BTreeMap::new();
    for (row, stat) in facts.of(Kind::Use) {
        let of = all.entry(&row.who).or_default();
        match of.get_mut(&*row.a) {
            Some(calls) => calls.add(&row.b, *stat),
            None => _ = of.insert(&row.a, Calls::new(&row.b, *stat)),
        }
    }
    for (who, uses) in &all {
        if !context.is_workload(who) {
            continue;
        }
        for (service, calls) in uses {
            // Who may make tokens of whom is another question.
            let is_minting = *service == "iamcredentials.googleapis.com";
            if services::is_of_everybody(service) || (is_minting && name::is_ksa(who)) {
                continue;
            }
            let explains = context
                .expected
                .identity(who)
                .and_then(|i| i.explains(service));
            match explains {
                Some(false) => unexplained(context, who, service, calls),
                Some(true) => new_class(context, who, service, calls),
                None => by_history(context, who, service, calls),
            }
        }
        node(context, who, uses);
    }
    projects(context);
    regions(context);
}

fn unexplained(context: &mut Context<'_>, who: &str, service: &str, calls: &Calls<'_>) {
    let Some(identity) = context.expected.identity(who) else {
        return;
    };
    let grants: Vec<&str> = identity
        .roles
        .iter()
        .map(|r| r.strip_prefix("roles/").unwrap_or(r))
        .collect();
    let grants = match grants.as_slice() {
        [] => "it has no roles".to_owned(),
        grants => format!("its roles: {}", grants.join(", ")),
    };
    let what = format!(
        "{} asked {}, which none of its roles explains",
        context.shown(who),
        services::spoken(service)
    );
    let evidence = vec![
        format!("{}: {}", calls.methods(None), numbers(&calls.all)),
        context.where_from(who, &calls.all),
        grants,
    ];
    let rule = (Detector::L2, Severity::High);
    context.find(rule, who, service, what, evidence, Some(calls.all.first));
}

fn by_history(context: &mut Context<'_>, who: &str, service: &str, found: &Calls<'_>) {
    let day = when::day_of(found.all.first);
    let known = context.base(who).and_then(|h| h.services.get(service));
    let last = known.and_then(|classes| classes.values().map(|s| s.last).max());
    if last.is_some_and(|last| day - last <= FORGOTTEN_DAYS) {
        return new_class(context, who, service, found);
    }
    let past = context.past(who, day);
    if !past.is_enough() {
        return new_class(context, who, service, found);
    }
    // One call that was denied is no use; many are a burst.
    if found.all.calls <= 1 && found.all.denied == found.all.calls {
        return;
    }
    let (severity, since) = match last {
        Some(last) => (
            Severity::Low,
            format!("not called since {}", when::date(last)),
        ),
        None => (Severity::Medium, "never called before".to_owned()),
    };
    let what = format!(
        "{} asked {}, which it has {since}",
        context.shown(who),
        services::spoken(service)
    );
    let evidence = vec![
        format!("{}: {}", found.methods(None), numbers(&found.all)),
        context.where_from(who, &found.all),
        past.words(),
    ];
    let rule = (Detector::L3, severity);
    context.find(rule, who, service, what, evidence, Some(found.all.first));
}

/// More than it ever did with a service that it knows.
fn new_class(context: &mut Context<'_>, who: &str, service: &str, found: &Calls<'_>) {
    for (class, stat) in &found.classes {
        let severity = match class {
            Class::Read => continue,
            Class::Write => Severity::Medium,
            Class::Admin => Severity::High,
        };
        let is_declared = context.expected.identity(who);
        if is_declared.is_some_and(|i| i.explains_class(service, *class)) {
            continue;
        }
        let day = when::day_of(stat.first);
        let base = context.base(who).and_then(|h| h.services.get(service));
        let is_known = base.is_some_and(|classes| {
            let fits = |(c, s): (&Class, &crate::history::Span)| {
                c >= class && day - s.last <= FORGOTTEN_DAYS
            };
            classes.iter().any(fits)
        });
        let past = context.past(who, day);
        if is_known || !past.is_enough() {
            continue;
        }
        // A higher class that was there before has this one in it.
        let higher = found.classes.range(class..).skip(1);
        if higher.into_iter().any(|(_, s)| s.first < stat.first) {
            continue;
        }
        let what = format!(
            "{} does {} calls of {}, and did none before",
            context.shown(who),
            class.word(),
            services::spoken(service)
        );
        let evidence = vec![
            format!("{}: {}", found.methods(Some(*class)), numbers(stat)),
            context.where_from(who, stat),
            past.words(),
        ];
        let about = format!("{service} {}", class.word());
        let rule = (Detector::L4, severity);
        context.find(rule, who, &about, what, evidence, Some(stat.first));
    }
}

/// Services that a node calls for itself.
const OF_NODES: [&str; 9] = [
    "container.googleapis.com",
    "artifactregistry.googleapis.com",
    "containerregistry.googleapis.com",
    "containerfilesystem.googleapis.com",
    "gkehub.googleapis.com",
    "opsconfigmonitoring.googleapis.com",
    "stackdriver.googleapis.com",
    "compute.googleapis.com",
    "k8s.io",
];

/// What node's own programs are called.
const NODE_AGENTS: [&str; 7] = [
    "kubelet",
    "containerd",
    "fluent-bit",
    "gke-",
    "google-cloud-ops",
    "node-problem-detector",
    "gcr-",
];

fn node(context: &mut Context<'_>, who: &str, uses: &BTreeMap<&str, Calls<'_>>) {
    let is_node = context.expected.node_accounts.contains(who)
        || (name::is_default_node_account(who) && context.expected.identity(who).is_none());
    if !is_node {
        return;
    }
    let agents: Vec<Name> = context
        .facts
        .about(Kind::Agent, who)
        .map(|(row, _)| row.a.clone())
        .filter(|a| !NODE_AGENTS.iter().any(|n| a.starts_with(n)))
        .collect();
    for (service, calls) in uses {
        let is_pull =
            *service == "storage.googleapis.com" && calls.classes.keys().all(|c| *c == Class::Read);
        if services::is_of_everybody(service)
            || OF_NODES.contains(service)
            || agents.is_empty()
            || is_pull
        {
            continue;
        }
        let what = format!(
            "{} is what nodes run as, and asked {}",
            context.shown(who),
            services::spoken(service)
        );
        let evidence = vec![
            format!("{}: {}", calls.methods(None), numbers(&calls.all)),
            format!("programs: {}", agents.join(", ")),
        ];
        let rule = (Detector::L12, Severity::Medium);
        context.find(rule, who, service, what, evidence, Some(calls.all.first));
    }
}

/// Calls into projects that are not of the spec.
fn projects(context: &mut Context<'_>) {
    let facts = context.facts;
    if context.expected.projects.is_empty() {
        return;
    }
    let mut foreign: BTreeMap<(Name, Name), Stat> = BTreeMap::new();
    for (row, stat) in facts.of(Kind::Use) {
        let identity = context.expected.identity(&row.who);
        let is_bound = identity.is_some_and(|i| !i.anywhere.contains(&*row.a));
        if is_bound && !row.c.is_empty() && !context.expected.projects.contains(&*row.c) {
            foreign
                .entry((row.who.clone(), row.c.clone()))
                .and_modify(|s| s.add(*stat))
                .or_insert(*stat);
        }
    }
    for ((who, project), stat) in foreign {
        let what = format!(
            "{} called into project {project}, which the spec does not name",
            context.shown(&who)
        );
        let evidence = vec![numbers(&stat)];
        let rule = (Detector::L14, Severity::Medium);
        context.find(rule, &who, &project, what, evidence, Some(stat.first));
    }
}

/// Places that are everywhere.
const EVERYWHERE: [&str; 9] = [
    "", "global", "us", "eu", "asia", "europe", "nam4", "eur4", "asia1",
];

fn regions(context: &mut Context<'_>) {
    let facts = context.facts;
    let region_of = |place: &str| {
        let place = place.to_ascii_lowercase();
        match place.rsplit_once('-') {
            Some((region, zone)) if zone.len() == 1 && region.contains('-') => region.to_owned(),
            _ => place,
        }
    };
    let mut found: BTreeMap<(Name, String), (Stat, bool)> = BTreeMap::new();
    for (row, stat) in facts.of(Kind::Region) {
        let by_host = &*row.b == "host";
        found
            .entry((row.who.clone(), region_of(&row.a)))
            .and_modify(|(s, host)| {
                s.add(*stat);
                *host |= by_host;
            })
            .or_insert((*stat, by_host));
    }
    for ((who, region), (stat, by_host)) in found {
        let known = context
            .base(&who)
            .is_some_and(|h| h.regions.iter().any(|r| region_of(r) == region));
        if known
            || !context.is_workload(&who)
            || EVERYWHERE.contains(&region.as_str())
            || context.expected.regions.contains(&region)
        {
            continue;
        }
        let past = context.past(&who, when::day_of(stat.first));
        if !past.is_enough() {
            continue;
        }
        let how = if by_host { " by its own host" } else { "" };
        let what = format!(
            "{} called {region}{how}, where it never called before",
            context.shown(&who)
        );
        let evidence = vec![numbers(&stat), past.words()];
        let rule = (Detector::L15, Severity::Low);
        context.find(rule, &who, &region, what, evidence, Some(stat.first));
    }
}

impl Context<'_> {
    /// `from 10.4.1.0/24 (pods)`, of all networks that it called from in that time.
    fn where_from(&self, who: &str, of: &Stat) -> String {
        let within = |s: &Stat| s.first <= of.last && s.last >= of.first;
        let places: Vec<String> = self
            .facts
            .about(Kind::Place, who)
            .filter(|(_, stat)| within(stat))
            .map(|(row, _)| self.place(&row.a))
            .collect();
        let more = places.len().saturating_sub(4);
        let mut shown = places.into_iter().take(4).collect::<Vec<_>>().join(", ");
        if more > 0 {
            shown.push_str(&format!(" and {more} more"));
        }
        match shown.is_empty() {
            true => format!("{} in all, from no address that is told", calls(of.calls)),
            false => format!("in that time it called from {shown}"),
        }
    }
}
