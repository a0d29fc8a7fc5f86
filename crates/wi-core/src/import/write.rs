//! The chosen things as YAML: minimal, grouped, ordered.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts::ChosenAccount;
use super::choice::Choice;
use super::clusters::Settings;
use super::ksas::{Acts, ChosenKsa, ChosenNamespace};
use super::members::Given;
use super::refused::Subject;
use super::selectors::{PROJECT, Which, select};
use super::told::Choices;
use super::yaml::{list, map, quoted, remark, scalar};
use crate::names::{Condition, Email, KubeName, ProjectId};
use crate::resource::Resource;
use crate::spec::API_VERSION;
use crate::spec::model::{OnRemove, SourceLine};

/// The file of all that is of no namespace alone.
const MAIN: &str = "wi.yaml";

/// Files, and what their lines are about.
pub(super) struct Written {
    pub files: BTreeMap<String, String>,
    /// The first line of what is about each, by file.
    subjects: BTreeMap<String, BTreeMap<usize, Subject>>,
}

impl Written {
    /// What a line is about.
    pub fn subject(&self, place: &SourceLine) -> Option<Subject> {
        let of_file = self.subjects.get(&place.file)?;
        let (_, subject) = of_file.range(..=place.line).next_back()?;
        Some(subject.clone())
    }
}

pub(super) fn write(choice: &Choice, choices: &Choices) -> Written {
    let writer = Writer {
        choice,
        comments: choices.comments,
        names: account_names(choice.accounts.keys()),
        which: Whiches::of(choice),
    };
    let mut parts: BTreeMap<String, Vec<&KubeName>> =
        BTreeMap::from([(MAIN.to_owned(), Vec::new())]);
    for namespace in choice.namespaces.keys() {
        let file = match (choices.single_file, namespace.as_str()) {
            (true, _) => MAIN.to_owned(),
            (false, "wi") => "wi-namespace.yaml".to_owned(),
            (false, namespace) => format!("{namespace}.yaml"),
        };
        parts.entry(file).or_default().push(namespace);
    }
    let homes = homes(choice, &parts);
    let mut written = Written {
        files: BTreeMap::new(),
        subjects: BTreeMap::new(),
    };
    for (file, namespaces) in &parts {
        let mut text = Text::default();
        text.line(0, &format!("apiVersion: {API_VERSION}"));
        if file == MAIN {
            writer.head(&mut text);
        }
        let here = homes.iter().filter(|(_, home)| *home == file);
        writer.accounts(here.map(|(email, _)| *email), &mut text);
        writer.namespaces(namespaces, &mut text);
        written.subjects.insert(file.clone(), text.subjects);
        written.files.insert(file.clone(), text.text);
    }
    written
}

/// The file that each account is in: that of the only namespace that uses it, or the main one.
fn homes<'a>(
    choice: &'a Choice,
    parts: &'a BTreeMap<String, Vec<&KubeName>>,
) -> BTreeMap<&'a Email, &'a str> {
    let mut homes: BTreeMap<&Email, &str> = BTreeMap::new();
    for (file, namespaces) in parts {
        let ksas = namespaces
            .iter()
            .flat_map(|n| choice.namespaces[*n].ksas.values());
        for acts in ksas.flat_map(|k| k.on.values()) {
            if let Acts::As(email) = acts {
                let home = homes.entry(email).or_insert(file);
                if *home != file {
                    *home = MAIN;
                }
            }
        }
    }
    for email in choice.accounts.keys() {
        homes.entry(email).or_insert(MAIN);
    }
    homes
}

/// What the spec calls accounts: their ids, where no other has the same.
fn account_names<'a>(emails: impl Iterator<Item = &'a Email>) -> BTreeMap<Email, String> {
    let emails: Vec<&Email> = emails.collect();
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    for email in &emails {
        *ids.entry(email.account_id()).or_default() += 1;
    }
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut names = BTreeMap::new();
    for email in emails {
        let id = email.account_id();
        let domain = email.as_str().split_once('@').map_or("", |(_, d)| d);
        let project = domain.split('.').next().unwrap_or_default();
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        };
        let long: String = format!("{id}-{project}").chars().map(plain).collect();
        let short: String = id.chars().map(plain).collect();
        let name = match ids[id] {
            1 => short,
            _ => long,
        };
        let mut name: String = name.chars().take(60).collect();
        while taken.contains(&name) {
            name.push('x');
        }
        taken.insert(name.clone());
        names.insert(email.clone(), name);
    }
    names
}

/// How clusters are selected, each time that they are.
struct Whiches<'a> {
    choice: &'a Choice,
    /// The keys of labels that selectors go by.
    labels: BTreeSet<String>,
}

impl<'a> Whiches<'a> {
    fn of(choice: &'a Choice) -> Self {
        let mut whiches = Self {
            choice,
            labels: BTreeSet::new(),
        };
        let mut labels = BTreeSet::new();
        for namespace in choice.namespaces.values() {
            let mut all = vec![whiches.namespace(namespace)];
            for ksa in namespace.ksas.values() {
                all.push(whiches.ksa(namespace, ksa));
                let groups = whiches.groups(ksa);
                all.extend(groups.iter().map(|g| whiches.of_ksa(ksa, &g.1)));
            }
            labels.extend(all.iter().filter_map(|w| w.label().map(str::to_owned)));
        }
        let settings = whiches.settings();
        labels.extend(
            settings
                .iter()
                .filter_map(|(w, _)| w.label().map(str::to_owned)),
        );
        whiches.labels = labels;
        whiches
    }

    fn on(&self, ksa: &ChosenKsa) -> BTreeSet<String> {
        let names = &self.choice.fleet.names;
        ksa.on.keys().map(|path| names[path].clone()).collect()
    }

    fn on_any(&self, namespace: &ChosenNamespace) -> BTreeSet<String> {
        namespace.ksas.values().flat_map(|k| self.on(k)).collect()
    }

    fn namespace(&self, namespace: &ChosenNamespace) -> Which {
        let fleet = &self.choice.fleet;
        select(&self.on_any(namespace), &fleet.all(), &fleet.labels)
    }

    fn ksa(&self, namespace: &ChosenNamespace, ksa: &ChosenKsa) -> Which {
        let all = self.on_any(namespace);
        select(&self.on(ksa), &all, &self.choice.fleet.labels)
    }

    /// What it is on which clusters: what it is on most of them first.
    fn groups<'k>(&self, ksa: &'k ChosenKsa) -> Vec<(&'k Acts, BTreeSet<String>)> {
        let mut groups: BTreeMap<&Acts, BTreeSet<String>> = BTreeMap::new();
        for (path, acts) in &ksa.on {
            let name = self.choice.fleet.names[path].clone();
            groups.entry(acts).or_default().insert(name);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, on)| std::cmp::Reverse(on.len()));
        groups
    }

    fn of_ksa(&self, ksa: &ChosenKsa, on: &BTreeSet<String>) -> Which {
        select(on, &self.on(ksa), &self.choice.fleet.labels)
    }

    /// What is to be said of clusters that are not listed.
    fn settings(&self) -> Vec<(Which, &'a Settings)> {
        let fleet = &self.choice.fleet;
        let mut groups: BTreeMap<&Settings, BTreeSet<String>> = BTreeMap::new();
        for name in &fleet.found {
            let (_, settings) = &fleet.clusters[name];
            if *settings != Settings::Plain {
                groups.entry(settings).or_default().insert(name.clone());
            }
        }
        let all = fleet.all();
        let groups = groups.into_iter();
        groups
            .map(|(settings, on)| (select(&on, &all, &fleet.labels), settings))
            .collect()
    }
}

struct Writer<'a> {
    choice: &'a Choice,
    comments: bool,
    /// What the spec calls accounts.
    names: BTreeMap<Email, String>,
    which: Whiches<'a>,
}

#[derive(Default)]
struct Text {
    text: String,
    lines: usize,
    subjects: BTreeMap<usize, Subject>,
}

impl Text {
    fn line(&mut self, depth: usize, text: &str) {
        self.text.push_str(&"  ".repeat(depth));
        self.text.push_str(text);
        self.text.push('\n');
        self.lines += 1;
    }

    fn section(&mut self, key: &str) {
        self.text.push('\n');
        self.lines += 1;
        self.line(0, &format!("{key}:"));
    }

    /// What comes next is about this.
    fn about(&mut self, subject: Subject) {
        self.subjects.insert(self.lines + 1, subject);
    }
}

impl Writer<'_> {
    fn remark(&self, text: Option<&str>) -> String {
        remark(text.filter(|_| self.comments))
    }

    fn head(&self, text: &mut Text) {
        text.line(0, &format!("name: {}", scalar(&self.choice.name)));
        if let Some(project) = &self.choice.project {
            text.line(0, &format!("project: {}", scalar(project.as_str())));
        }
        let fleet = &self.choice.fleet;
        let listed = fleet
            .clusters
            .iter()
            .filter(|(name, _)| !fleet.found.contains(*name));
        let listed: Vec<String> = listed
            .map(|(name, (path, settings))| {
                let mut fields = Vec::new();
                if Some(&path.project) != self.choice.project.as_ref() {
                    fields.push(format!("project: {}", scalar(path.project.as_str())));
                }
                fields.push(format!("location: {}", scalar(&path.location)));
                if path.name != *name {
                    fields.push(format!("name: {}", scalar(&path.name)));
                }
                let labels = self.labels(name);
                if !labels.is_empty() {
                    fields.push(format!("labels: {}", pairs(&labels)));
                }
                fields.extend(settings_field(settings));
                format!("{}: {}", scalar(name), map(&fields))
            })
            .collect();
        if !listed.is_empty() {
            text.section("clusters");
            for line in listed {
                text.line(1, &line);
            }
        }
        let discover = self.discover();
        if !discover.is_empty() {
            text.section("discover");
            for line in discover {
                text.line(1, &line);
            }
        }
        let settings = self.which.settings();
        if !settings.is_empty() {
            text.section("overrides");
        }
        for (which, settings) in settings {
            let clusters = which.yaml().unwrap_or_else(|| "all".to_owned());
            let fields: Vec<String> = [format!("clusters: {clusters}")]
                .into_iter()
                .chain(settings_field(settings))
                .collect();
            text.line(1, &format!("- {}", map(&fields)));
        }
    }

    /// The labels of a cluster that selectors go by.
    fn labels(&self, cluster: &str) -> BTreeMap<String, String> {
        let all = self.choice.fleet.labels.get(cluster).into_iter().flatten();
        all.filter(|(key, _)| self.which.labels.contains(*key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Where to look for clusters: those with more labels first, since the first that finds one counts.
    fn discover(&self) -> Vec<String> {
        let fleet = &self.choice.fleet;
        let mut entries: BTreeSet<(
            std::cmp::Reverse<usize>,
            &ProjectId,
            BTreeMap<String, String>,
        )> = BTreeSet::new();
        for name in &fleet.found {
            let (path, _) = &fleet.clusters[name];
            let labels = self.labels(name);
            entries.insert((std::cmp::Reverse(labels.len()), &path.project, labels));
        }
        let entries = entries.into_iter();
        let entries = entries.map(|(_, project, labels)| {
            let mut fields = vec![format!("project: {}", scalar(project.as_str()))];
            let mut of_gke = labels.clone();
            of_gke.remove(PROJECT);
            if !of_gke.is_empty() {
                fields.push(format!("resourceLabels: {}", pairs(&of_gke)));
            }
            if !labels.is_empty() {
                fields.push(format!("labels: {}", pairs(&labels)));
            }
            format!("- {}", map(&fields))
        });
        entries.collect()
    }

    fn accounts<'e>(&self, emails: impl Iterator<Item = &'e Email>, text: &mut Text) {
        let mut emails: Vec<&Email> = emails.collect();
        emails.sort_by_key(|email| &self.names[*email]);
        if !emails.is_empty() {
            text.section("googleServiceAccounts");
        }
        for email in emails {
            text.about(Subject::Account(email.clone()));
            self.account(email, text);
        }
    }

    fn account(&self, email: &Email, text: &mut Text) {
        let name = &self.names[email];
        let (project, display_name, on_remove, grants, users) = match &self.choice.accounts[email] {
            ChosenAccount::Referred(why) => {
                let email = map(&[format!("email: {}", scalar(email.as_str()))]);
                let why = self.remark(Some(why));
                return text.line(1, &format!("{}: {email}{why}", scalar(name)));
            }
            ChosenAccount::Managed {
                project,
                display_name,
                on_remove,
                grants,
                users,
            } => (project, display_name, on_remove, grants, users),
        };
        let mut fields = Vec::new();
        if email.account_id() != name {
            fields.push(format!("id: {}", scalar(email.account_id())));
        }
        if Some(project) != self.choice.project.as_ref() {
            fields.push(format!("project: {}", scalar(project.as_str())));
        }
        if !display_name.is_empty() {
            fields.push(format!("displayName: {}", scalar(display_name)));
        }
        let on_remove = on_remove.map(|on_remove| match on_remove {
            OnRemove::Disable => "disable",
            OnRemove::Delete => "delete",
            OnRemove::Keep => "keep",
        });
        fields.extend(on_remove.map(|word| format!("onRemove: {word}")));
        if fields.is_empty() && grants.is_empty() && users.is_empty() {
            return text.line(1, &format!("{}: {{}}", scalar(name)));
        }
        text.line(1, &format!("{}:", scalar(name)));
        for field in fields {
            text.line(2, &field);
        }
        if !users.is_empty() {
            text.line(2, "users:");
        }
        for (user, why) in users {
            let why = self.remark(why.as_deref());
            text.line(3, &format!("- {}{why}", scalar(user)));
        }
        grants_of(grants, Some(project), text, 2);
    }

    fn namespaces(&self, names: &[&KubeName], text: &mut Text) {
        if !names.is_empty() {
            text.section("namespaces");
        }
        for name in names {
            let namespace = &self.choice.namespaces[*name];
            text.line(1, &format!("{}:", scalar(name.as_str())));
            if let Some(clusters) = self.which.namespace(namespace).yaml() {
                text.line(2, &format!("clusters: {clusters}"));
            }
            if let Some(made_by) = &namespace.made_by {
                let made_by = self.remark(Some(made_by));
                text.line(2, &format!("create: false{made_by}"));
            }
            text.line(2, "serviceAccounts:");
            for (ksa, of) in &namespace.ksas {
                text.about(Subject::Ksa(((*name).clone(), ksa.clone())));
                self.ksa(ksa, of, namespace, text);
            }
        }
    }

    fn ksa(&self, name: &KubeName, ksa: &ChosenKsa, namespace: &ChosenNamespace, text: &mut Text) {
        let name = scalar(name.as_str());
        let mut fields = Vec::new();
        if let Some(clusters) = self.which.ksa(namespace, ksa).yaml() {
            fields.push(format!("clusters: {clusters}"));
        }
        if ksa.existing.is_some() {
            fields.push("existing: true".to_owned());
        }
        let groups = self.which.groups(ksa);
        let Some(((first, _), others)) = groups.split_first() else {
            return;
        };
        if let Acts::As(account) = first {
            fields.push(format!("impersonates: {}", scalar(&self.names[account])));
        }
        let whose = self.remark(ksa.existing.as_deref());
        let has_grants = matches!(first, Acts::Itself(grants) if !grants.is_empty());
        if !has_grants && others.is_empty() {
            return text.line(3, &format!("{name}: {}{whose}", map(&fields)));
        }
        text.line(3, &format!("{name}:{whose}"));
        for field in fields {
            text.line(4, &field);
        }
        if let Acts::Itself(grants) = first {
            grants_of(grants, None, text, 4);
        }
        if !others.is_empty() {
            text.line(4, "overrides:");
        }
        for (acts, on) in others {
            // All of its clusters are not another part of them.
            let Some(clusters) = self.which.of_ksa(ksa, on).yaml() else {
                continue;
            };
            match acts {
                Acts::As(account) => {
                    let account = format!("impersonates: {}", scalar(&self.names[account]));
                    let fields = [format!("clusters: {clusters}"), account];
                    text.line(5, &format!("- {}", map(&fields)));
                }
                Acts::Itself(grants) => {
                    text.line(5, &format!("- clusters: {clusters}"));
                    grants_of(grants, None, text, 6);
                }
            }
        }
    }
}

fn pairs(labels: &BTreeMap<String, String>) -> String {
    let pairs = labels
        .iter()
        .map(|(k, v)| format!("{}: {}", scalar(k), scalar(v)));
    map(&pairs.collect::<Vec<_>>())
}

fn settings_field(settings: &Settings) -> Option<String> {
    match settings {
        Settings::Plain => None,
        Settings::NotManaged => Some("manage: false".to_owned()),
        Settings::NoPool => Some("nodePools: []".to_owned()),
        Settings::Without(pools) => Some(format!(
            "nodePools: {}",
            map(&[format!("exclude: {}", list(pools))])
        )),
    }
}

/// `home` is the project of a role that names no resource.
fn grants_of(grants: &[Given], home: Option<&ProjectId>, text: &mut Text, depth: usize) {
    if !grants.is_empty() {
        text.line(depth, "grants:");
    }
    for key in grants {
        let role = scalar(key.role.as_str());
        let at_home =
            matches!((&key.resource, home), (Resource::Project(p), Some(home)) if p == home);
        if at_home && key.condition.is_none() {
            text.line(depth + 1, &format!("- {role}"));
            continue;
        }
        let mut fields = vec![format!("role: {role}")];
        if !at_home {
            fields.push(format!("resource: {}", scalar(&key.resource.to_string())));
        }
        match &key.condition {
            None => text.line(depth + 1, &format!("- {}", map(&fields))),
            Some(condition) => match expires(condition) {
                Some(day) => {
                    fields.push(format!("expires: {day}"));
                    text.line(depth + 1, &format!("- {}", map(&fields)));
                }
                None => {
                    text.line(
                        depth + 1,
                        &format!(
                            "- {}",
                            fields.join(&format!("\n{}", "  ".repeat(depth + 2)))
                        ),
                    );
                    text.lines += fields.len() - 1;
                    condition_of(condition, text, depth + 2);
                }
            },
        }
    }
}

fn condition_of(condition: &Condition, text: &mut Text, depth: usize) {
    text.line(depth, "condition:");
    text.line(depth + 1, &format!("title: {}", scalar(&condition.title)));
    if !condition.description.is_empty() {
        text.line(
            depth + 1,
            &format!("description: {}", scalar(&condition.description)),
        );
    }
    text.line(
        depth + 1,
        &format!("expression: {}", quoted(&condition.expression)),
    );
}

/// The day or the time of a condition that is `expires` in a spec.
fn expires(condition: &Condition) -> Option<String> {
    let text = condition.title.strip_prefix("until-")?;
    let as_spec = Condition::until(text)?;
    (as_spec == *condition).then(|| quoted_time(text))
}

fn quoted_time(text: &str) -> String {
    match text.contains(':') {
        true => quoted(text),
        false => text.to_owned(),
    }
}
