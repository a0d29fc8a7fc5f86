//! From what was seen to what is told: one key, however many places it lies in.

use std::collections::BTreeMap;

use wi_core::findings::rules::{self, Rule};
use wi_core::findings::{Finding, Findings, Place};
use wi_core::words::shell_word;
use wi_keys::{Found, Key, Kind};
use wi_logs::detect::thousands;

use super::files::Walked;
use super::history::History;
use super::{Hit, Spot};

/// What a scan tells.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong, place by place.
    pub findings: Findings,
    /// The keys, each with all of its places.
    pub keys: Vec<KeyReport>,
    /// What was looked at, a sentence each.
    pub looked_at: Vec<String>,
}

/// A key.
#[derive(Debug, Clone)]
pub struct KeyReport {
    /// Its names, put together from all places.
    pub key: Key,
    /// Where it lies, in order.
    pub places: Vec<KeyPlace>,
    /// Who uses it, where clusters were looked at.
    pub users: Vec<String>,
    /// What is known of it, where accounts were looked at and it is one of theirs.
    pub live: Option<KeyLive>,
}

/// What is told of a live key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyLive {
    /// The day on which it was made.
    pub made: String,
    /// What each source tells of its use, with its window.
    pub last_use: Vec<String>,
    /// The verdict, in words.
    pub verdict: String,
}

/// Where a key lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPlace {
    /// The place.
    pub place: Place,
    /// Its spellings there, the outermost first: `base64, gzip`. Empty: as it is.
    pub spelling: String,
    /// What else is known of it there.
    pub remarks: Vec<String>,
}

/// In what a key lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lies {
    /// In a file.
    File,
    /// In Git's history, and in no file any more.
    History,
    /// In a Kubernetes Secret.
    Secret,
    /// In another Kubernetes object.
    PlainObject,
}

/// A key at a place.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// What was found.
    pub found: Found,
    /// Where.
    pub place: Place,
    /// In what.
    pub lies: Lies,
    /// What else is known of it.
    pub remarks: Vec<String>,
}

/// By what two sightings are of one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Public(String),
    Named(Kind, String),
    /// Nothing tells it from others.
    Alone(Place, usize),
}

impl Identity {
    fn of(sighting: &Sighting) -> Self {
        let key = &sighting.found.key;
        match (&key.public_key, key.kind) {
            (Some(digest), _) => Self::Public(digest.clone()),
            (None, Kind::Pkcs12) => Self::Alone(sighting.place.clone(), sighting.found.offset),
            (None, kind) => Self::Named(kind, key.name()),
        }
    }
}

/// What was seen in files and in history.
pub fn sightings(walked: &Walked, history: Option<&History>) -> Vec<Sighting> {
    let mut all: Vec<Sighting> = walked
        .hits
        .iter()
        .filter_map(|hit| match &hit.spot {
            Spot::File { path, line } => Some(Sighting {
                found: hit.found.clone(),
                place: Place::file(path, Some(*line)),
                lies: Lies::File,
                remarks: Vec::new(),
            }),
            Spot::Blob { .. } => None,
        })
        .collect();
    let Some(history) = history else {
        return all;
    };
    for Hit { spot, found } in &history.hits {
        let Spot::Blob { object, line } = spot else {
            continue;
        };
        let (path, remark) = match history.origins.get(object) {
            Some(origin) => (
                origin.path.clone(),
                format!(
                    "in Git since commit {}, {}",
                    short(&origin.commit),
                    origin.day
                ),
            ),
            None => (
                format!("git-objects/{object}"),
                "in an object of Git that no branch or tag leads to".to_owned(),
            ),
        };
        let sighting = Sighting {
            found: found.clone(),
            place: Place::file(&path, Some(*line)),
            lies: Lies::History,
            remarks: vec![remark],
        };
        let identity = Identity::of(&sighting);
        // It still lies there: then its age is a remark on that.
        let still = all
            .iter_mut()
            .find(|s| Identity::of(s) == identity && s.place.path.ends_with(&sighting.place.path));
        match still {
            Some(known) if !known.remarks.contains(&sighting.remarks[0]) => {
                known.remarks.extend(sighting.remarks);
            }
            Some(_) => {}
            None => all.push(sighting),
        }
    }
    all
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// The keys of all sightings, and a finding for each place.
pub fn keys(sightings: Vec<Sighting>) -> (Vec<KeyReport>, Vec<Finding>) {
    let mut by_key: BTreeMap<Identity, Vec<Sighting>> = BTreeMap::new();
    for sighting in sightings {
        by_key
            .entry(Identity::of(&sighting))
            .or_default()
            .push(sighting);
    }
    let (mut keys, mut findings) = (Vec::new(), Vec::new());
    for sightings in by_key.into_values() {
        let key = best(&sightings);
        let mut places: Vec<KeyPlace> = sightings.iter().map(place_of).collect();
        places.sort();
        places.dedup();
        findings.extend(sightings.iter().map(|s| finding(&key, s)));
        findings.extend(sightings.iter().filter_map(|s| mismatch(&key, s)));
        keys.push(KeyReport {
            key,
            places,
            users: Vec::new(),
            live: None,
        });
    }
    keys.sort_by_cached_key(|k| (k.key.kind, k.key.name()));
    (keys, findings)
}

/// The names of a key from the place that says most.
fn best(sightings: &[Sighting]) -> Key {
    let told = |key: &Key| {
        let names = [&key.email, &key.id, &key.project, &key.client_id];
        names.into_iter().flatten().count()
    };
    let mut best = sightings[0].found.key.clone();
    for sighting in sightings {
        let key = &sighting.found.key;
        if told(key) > told(&best) || (told(key) == told(&best) && *key < best) {
            best = key.clone();
        }
    }
    best
}

fn place_of(sighting: &Sighting) -> KeyPlace {
    KeyPlace {
        place: sighting.place.clone(),
        spelling: spelling(&sighting.found),
        remarks: sighting.remarks.clone(),
    }
}

/// `base64, gzip`.
fn spelling(found: &Found) -> String {
    let words: Vec<String> = found.layers.iter().map(ToString::to_string).collect();
    words.join(", ")
}

fn finding(key: &Key, sighting: &Sighting) -> Finding {
    let rule = rule(key.kind, sighting);
    let what = format!("{} lies {}.", a(key.kind), r#in(sighting));
    let mut finding = Finding::new(rule, &key.name(), &what, sighting.place.clone());
    finding.also.extend(key.public_key.clone());
    let spelling = spelling(&sighting.found);
    if !spelling.is_empty() {
        finding.evidence.push(format!("spelled in {spelling}"));
    }
    if sighting.found.is_registry_login {
        let pulls = "a login at an image registry: the kubelet pulls as the node, and needs none";
        finding.evidence.push(pulls.to_owned());
    }
    finding.evidence.extend(sighting.remarks.clone());
    if let Some(project) = &key.project {
        finding.evidence.push(format!("of project {project}"));
    }
    finding.fix = fix(key);
    finding
}

fn rule(kind: Kind, sighting: &Sighting) -> &'static Rule {
    match kind {
        Kind::ServiceAccountKey | Kind::DistributedCloudKey => {
            if sighting.found.is_registry_login {
                return &rules::KEY_IN_REGISTRY_LOGIN;
            }
            match sighting.lies {
                Lies::File => &rules::KEY_IN_FILES,
                Lies::History => &rules::KEY_IN_HISTORY,
                Lies::Secret => &rules::KEY_IN_SECRET,
                Lies::PlainObject => &rules::KEY_IN_PLAIN_OBJECT,
            }
        }
        Kind::PrivateKey | Kind::Pkcs12 => &rules::KEY_UNIDENTIFIED,
        Kind::UserCredentials => &rules::KEY_OF_A_PERSON,
        Kind::HmacKey => &rules::HMAC_KEY,
        Kind::ApiKey => &rules::API_KEY,
        Kind::ClientSecret => &rules::CLIENT_SECRET,
    }
}

fn a(kind: Kind) -> &'static str {
    match kind {
        Kind::ServiceAccountKey => "A service account key",
        Kind::DistributedCloudKey => "A key of Google Distributed Cloud",
        Kind::PrivateKey => "A private key that nothing says whose it is",
        Kind::Pkcs12 => "A PKCS#12 file, which is not opened,",
        Kind::UserCredentials => "The login of a person",
        Kind::HmacKey => "An HMAC key of Cloud Storage",
        Kind::ApiKey => "An API key",
        Kind::ClientSecret => "The secret of an OAuth client",
    }
}

fn r#in(sighting: &Sighting) -> &'static str {
    match sighting.lies {
        Lies::File => "in a file",
        Lies::History => "in Git's history",
        Lies::Secret => "in a Secret",
        Lies::PlainObject => "in an object that is not meant for secrets",
    }
}

/// What to do about a key, with the command where its names are known.
fn fix(key: &Key) -> Option<String> {
    match key.kind {
        Kind::ServiceAccountKey => match (&key.email, &key.id) {
            (Some(email), Some(id)) => Some(format!(
                "Once nothing uses it: gcloud iam service-accounts keys disable {} --iam-account={}",
                shell_word(id),
                shell_word(email)
            )),
            (Some(email), None) => Some(format!(
                "Find its id by the digest of its public half: gcloud iam service-accounts keys list --iam-account={}",
                shell_word(email)
            )),
            _ => None,
        },
        Kind::UserCredentials => {
            Some("Its owner revokes it: gcloud auth application-default revoke".to_owned())
        }
        _ => None,
    }
}

/// The same private key, said to be another key.
fn mismatch(key: &Key, sighting: &Sighting) -> Option<Finding> {
    let said = &sighting.found.key;
    let differs = |a: &Option<String>, b: &Option<String>| match (a, b) {
        (Some(a), Some(b)) => a != b,
        _ => false,
    };
    if !differs(&said.id, &key.id) && !differs(&said.email, &key.email) {
        return None;
    }
    let what = format!(
        "It says that it is {}, and its private key is that of {}.",
        said.name(),
        key.name()
    );
    let place = sighting.place.clone();
    Some(Finding::new(
        &rules::KEY_MISMATCH,
        &key.name(),
        &what,
        place,
    ))
}

/// What is told of files and history, and of what was found in clusters.
pub fn of(walked: &Walked, history: Option<&History>, in_clusters: Vec<Sighting>) -> Report {
    let mut seen = sightings(walked, history);
    seen.extend(in_clusters);
    let (keys, mut all) = keys(seen);
    of_manifests(walked, &mut all);
    let mut findings = Findings {
        command: "scan",
        rules: wi_core::findings::rules::RULES,
        all,
        not_seen: walked.not_seen.clone(),
        ..Findings::default()
    };
    let mut looked_at = vec![format!(
        "{} files, {}",
        thousands(walked.files),
        size(walked.bytes)
    )];
    if let Some(history) = history {
        findings.not_seen.extend(history.not_seen.clone());
        looked_at.push(format!(
            "{} blobs of Git's history, {}",
            thousands(history.blobs),
            size(history.bytes)
        ));
    } else {
        let told = "Git's history (--history)".to_owned();
        findings.out_of_reach.push(told);
    }
    if walked.links > 0 {
        let told = format!("{} symbolic links", thousands(walked.links));
        findings.out_of_reach.push(told);
    }
    findings.out_of_reach.extend(
        walked
            .manifests
            .producers
            .iter()
            .map(|p| format!("the Secret that {} makes ({}:{})", p.what, p.path, p.line)),
    );
    Report {
        findings,
        keys,
        looked_at,
    }
}

fn of_manifests(walked: &Walked, findings: &mut Vec<Finding>) {
    for reference in &walked.manifests.references {
        let subject = format!("Secret {}", reference.secret);
        let what = format!(
            "{}, container {}, expects a key in Secret {}.",
            reference.object, reference.container, reference.secret
        );
        let place = Place::file(&reference.path, Some(reference.line));
        let mut finding = Finding::new(&rules::KEY_REFERENCE, &subject, &what, place);
        finding
            .evidence
            .push(format!("{} leads to it", reference.by));
        findings.push(finding);
    }
    for maker in &walked.manifests.makers {
        let what = format!("{} makes a service account key.", maker.what);
        let place = Place::file(&maker.path, Some(maker.line));
        findings.push(Finding::new(&rules::KEY_MAKER, &maker.what, &what, place));
    }
}

/// `1.2 GB`.
fn size(bytes: u64) -> String {
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(path: &str, email: Option<&str>, id: Option<&str>, lies: Lies) -> Sighting {
        let key = Key {
            kind: match email {
                Some(_) => Kind::ServiceAccountKey,
                None => Kind::PrivateKey,
            },
            email: email.map(str::to_owned),
            id: id.map(str::to_owned),
            public_key: Some("sha256:aa".to_owned()),
            project: None,
            client_id: None,
            hint: None,
        };
        let found = Found {
            offset: 0,
            key,
            layers: Vec::new(),
            is_registry_login: false,
        };
        Sighting {
            found,
            place: Place::file(path, Some(1)),
            lies,
            remarks: Vec::new(),
        }
    }

    #[test]
    fn one_key_in_many_places_is_one_key_by_its_best_name() {
        let (keys, findings) = keys(vec![
            sighting("a.pem", None, None, Lies::File),
            sighting("b.json", Some("x@p"), Some("11111111"), Lies::File),
            sighting("old.json", Some("x@p"), Some("11111111"), Lies::History),
        ]);
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].places.len(), 3);
        let subjects: Vec<&str> = findings.iter().map(|f| f.subject.as_str()).collect();
        assert_eq!(subjects, ["x@p/11111111"; 3]);
        assert_eq!(
            findings[0].rule.id, "key-in-files",
            "whose it is is known by the others"
        );
    }

    #[test]
    fn key_that_is_said_to_be_two_is_a_mismatch() {
        let (_, findings) = keys(vec![
            sighting("a.json", Some("x@p"), Some("11111111"), Lies::File),
            sighting("b.json", Some("x@p"), Some("22222222"), Lies::File),
        ]);
        let mismatches: Vec<_> = findings
            .iter()
            .filter(|f| f.rule.id == "key-mismatch")
            .collect();
        assert_eq!(mismatches.len(), 1);
        assert_eq!(mismatches[0].place.path, "b.json");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(size(1_250_000), "1.2 MB");
        assert_eq!(size(12), "12 bytes");
    }
}
