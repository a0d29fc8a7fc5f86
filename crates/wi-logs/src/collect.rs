//! From entries to rows. Names are numbers while entries come, so that an entry costs a few look-ups.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use crate::entry::Entry;
use crate::facts::{Counts, Facts, Kind, Name, Row, Stat};
use crate::read::Take;
use crate::when::{DAY, MINUTE, Micros};
use crate::{name, services};

/// So many bytes of names and so many rows are kept by one collector; what comes then is counted.
const MOST_NAME_BYTES: usize = 24 << 20;
const MOST_ROWS: usize = 1 << 20;

/// A hash for keys that are made of numbers which nobody else chooses.
#[derive(Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn write_isize(&mut self, n: isize) {
        self.write_u64(n as u64);
    }
    fn write_i64(&mut self, n: i64) {
        self.write_u64(n as u64);
    }
}

type ByNumber<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    kind: Kind,
    names: [u32; 4],
    n: i64,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [who, a, b, c] = self.names.map(u64::from);
        state.write_u64((self.kind as u64) << 32 | who);
        state.write_u64(a << 32 | b);
        state.write_u64(c << 32 ^ self.n as u64);
    }
}

/// What reduces a raw name to one that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum As {
    Principal,
    Service,
    Place,
    Vpc,
    Agent,
    KeyId,
    Plain,
}

/// Entries that were read already, by their name; shared by all who read.
#[derive(Debug)]
pub struct Seen(Vec<Mutex<[Names; 2]>>);

/// Digests of names of entries, which Cloud Logging gives and nobody else.
type Names = HashSet<u64, BuildHasherDefault<NumberHasher>>;

/// So many are remembered by each of the parts at least, and twice as many at most.
const REMEMBERED: usize = 40_000;
const PARTS: u64 = 64;

impl Default for Seen {
    /// None yet.
    fn default() -> Self {
        Self((0..PARTS).map(|_| Mutex::default()).collect())
    }
}

impl Seen {
    /// Whether it is new; it no longer is then.
    pub(crate) fn is_new(&self, name: u64) -> bool {
        let part = &self.0[(name % PARTS) as usize];
        // A thread that panicked has left the sets whole.
        let mut sets = part
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if sets[1].contains(&name) || !sets[0].insert(name) {
            return false;
        }
        if sets[0].len() >= REMEMBERED {
            sets.swap(0, 1);
            sets[0].clear();
        }
        true
    }
}

/// Gathers rows.
#[derive(Debug)]
pub struct Collector {
    /// Raw names, by what is made of them.
    raw: [HashMap<Box<str>, u32>; 7],
    kept: HashMap<Name, u32>,
    names: Vec<Name>,
    bytes: usize,
    rows: ByNumber<Key, Stat>,
    counts: Counts,
    span: Option<(Micros, Micros)>,
    seen: Arc<Seen>,
}

/// An entry's own part of rows.
struct One {
    stat: Stat,
    who: u32,
}

impl Collector {
    /// An empty one.
    pub fn new(seen: Arc<Seen>) -> Self {
        let none: Name = Arc::from("");
        Self {
            raw: Default::default(),
            kept: HashMap::from([(none.clone(), 0)]),
            names: vec![none],
            bytes: 0,
            rows: ByNumber::default(),
            counts: Counts::default(),
            span: None,
            seen,
        }
    }

    /// Adds an entry.
    pub fn add(&mut self, entry: &Entry<'_>) {
        if !entry.is_audit() {
            self.counts.others += 1;
            return;
        }
        let Some(at) = entry.at() else {
            self.counts.undated += 1;
            return;
        };
        let calls = entry.wi_calls.as_str().parse().unwrap_or(1_u64).max(1);
        let last = crate::when::parse(entry.wi_last.as_str())
            .unwrap_or(at)
            .max(at);
        // A row of a query's result stands for entries of which the query has taken each once.
        let is_row = !entry.wi_calls.as_str().is_empty();
        if !is_row && !entry.insert_id.as_str().is_empty() && !self.seen.is_new(digest(entry, at)) {
            self.counts.duplicates += 1;
            return;
        }
        self.counts.entries += calls;
        let (from, to) = self.span.unwrap_or((at, last));
        self.span = Some((from.min(at), to.max(last)));
        let stat = Stat {
            calls,
            denied: if entry.is_denied() { calls } else { 0 },
            first: at,
            last,
        };
        if self.bytes > MOST_NAME_BYTES {
            self.counts.overflowed += 1;
            return;
        }
        self.rows_of(entry, at, stat);
    }

    fn rows_of(&mut self, entry: &Entry<'_>, at: Micros, stat: Stat) {
        let payload = &entry.payload;
        let method = payload.method.as_str();
        let one = One {
            stat,
            who: self.name(As::Principal, entry.who()),
        };
        let account = self.name(As::Principal, entry.account());
        let labels = &entry.resource.labels;
        if !labels.unique_id.as_str().is_empty() && !labels.email.as_str().is_empty() {
            let id = self.name(As::Plain, labels.unique_id.as_str());
            self.row(Kind::Id, [id, account, 0, 0], 0, stat);
        }
        if payload.service.as_str() == "k8s.io" {
            self.in_cluster(entry, &one);
            return;
        }
        if stat.denied > 0 {
            let minute = at.div_euclid(MINUTE);
            if one.who != 0 {
                self.row(Kind::Denial, [one.who, 0, 0, 0], minute, stat);
            } else {
                let unknown = self.name(As::Plain, "unknown");
                self.row(Kind::Denial, [account, unknown, 0, 0], minute, stat);
            }
        }
        if entry.is_activity() {
            self.change(entry, &one, account);
        }
        let place = self.name(As::Place, payload.request.caller_ip.as_str());
        let agent = self.name(As::Agent, payload.request.agent.as_str());
        if services::is_minting(method) {
            self.row(Kind::Mint, [one.who, account, agent, place], 0, stat);
        }
        if one.who == 0 {
            return;
        }
        let service = self.name(As::Service, payload.service.as_str());
        let host = payload.request.attributes.host.as_str();
        for named in [host, payload.service.as_str()] {
            if let Some((_, region)) = services::regional(named) {
                let region = self.name(As::Plain, region);
                let by_host = self.name(As::Plain, "host");
                self.row(Kind::Region, [one.who, region, by_host, 0], 0, stat);
                break;
            }
        }
        for region in entry.regions() {
            let region = self.name(As::Plain, &region);
            self.row(Kind::Region, [one.who, region, 0, 0], 0, stat);
        }
        let method = self.name(As::Plain, method);
        let project = self.name(As::Plain, entry.project());
        self.row(Kind::Day, [one.who, 0, 0, 0], at.div_euclid(DAY), stat);
        self.row(Kind::Use, [one.who, service, method, project], 0, stat);
        if place != 0 {
            self.row(Kind::Place, [one.who, place, 0, 0], 0, stat);
        }
        let vpc = self.name(As::Vpc, payload.request.network.as_str());
        if vpc != 0 {
            self.row(Kind::Place, [one.who, vpc, 0, 0], 0, stat);
        }
        if agent != 0 {
            self.row(Kind::Agent, [one.who, agent, 0, 0], 0, stat);
        }
        let key = payload.authentication.key.as_str();
        if !key.is_empty() {
            let id = key.rsplit('/').next().unwrap_or(key);
            let key = self.name(As::KeyId, id);
            self.row(Kind::Key, [one.who, key, 0, 0], at.div_euclid(DAY), stat);
        }
        let is_minting = services::is_minting(payload.method.as_str());
        for delegator in entry.delegators() {
            let via = self.name(As::Principal, &delegator);
            // An entry of a token names the account itself without any delegation.
            if via != one.who && via != account {
                let acted = if is_minting { account } else { one.who };
                self.row(Kind::Via, [acted, via, 0, 0], 0, stat);
            }
        }
    }

    /// A change of something, if it is one that matters.
    fn change(&mut self, entry: &Entry<'_>, one: &One, account: u32) {
        let payload = &entry.payload;
        let method = payload.method.as_str();
        let Some(what) = changed(method) else { return };
        let is_own = payload.request.agent.as_str().starts_with("wi/");
        let kind = if is_own {
            Kind::OwnChange
        } else {
            Kind::Change
        };
        let last = method.rsplit('.').next().unwrap_or(method);
        let method_name = self.name(As::Plain, last);
        let target = match what {
            Changed::Account(..) => account,
            Changed::Policy if account != 0 => account,
            _ => {
                let named = payload.resource_name.as_str();
                let project = entry.project();
                self.name(As::Plain, if named.is_empty() { project } else { named })
            }
        };
        if let Changed::Account(Some(state)) = what {
            let state = self.name(As::Plain, state);
            self.row(
                Kind::State,
                [account, state, 0, 0],
                one.stat.first,
                one.stat,
            );
        }
        let mut details = entry.changes();
        if details.is_empty() {
            details.push(match what {
                Changed::Other => entry.project().to_owned(),
                _ => String::new(),
            });
        }
        for detail in details {
            let detail = self.name(As::Plain, &detail);
            self.row(kind, [one.who, method_name, target, detail], 0, one.stat);
        }
    }

    /// What somebody did to pods and tokens of a namespace.
    fn in_cluster(&mut self, entry: &Entry<'_>, one: &One) {
        let payload = &entry.payload;
        let method = payload.method.as_str();
        let what = if method.contains("pods.exec") || method.contains("pods.attach") {
            "exec"
        } else if method.contains("ephemeralcontainers") {
            "ephemeral container"
        } else if method.contains("serviceaccounts.token.create") {
            "token"
        } else {
            return;
        };
        let named = payload.resource_name.as_str();
        let Some((_, rest)) = named.split_once("namespaces/") else {
            return;
        };
        let mut parts = rest.split('/');
        let (namespace, _, object) = (parts.next(), parts.next(), parts.next());
        let object = format!(
            "{}/{}",
            namespace.unwrap_or_default(),
            object.unwrap_or_default()
        );
        let what = self.name(As::Plain, what);
        let object = self.name(As::Plain, &object);
        let project = self.name(As::Plain, entry.project());
        self.row(Kind::Cluster, [one.who, what, object, project], 0, one.stat);
    }

    fn row(&mut self, kind: Kind, names: [u32; 4], n: i64, stat: Stat) {
        let key = Key { kind, names, n };
        if let Some(known) = self.rows.get_mut(&key) {
            known.add(stat);
        } else if self.rows.len() < MOST_ROWS {
            self.rows.insert(key, stat);
        } else {
            self.counts.overflowed += 1;
        }
    }

    /// The number of what is kept of a raw name.
    fn name(&mut self, kind: As, raw: &str) -> u32 {
        if raw.is_empty() {
            return 0;
        }
        let known = &mut self.raw[kind as usize];
        if let Some(number) = known.get(raw) {
            return *number;
        }
        let name = match kind {
            As::Principal => name::principal(raw),
            As::Service => services::service(raw),
            As::Place => name::place(raw),
            As::Vpc => name::vpc(raw),
            As::Agent => name::agent(raw),
            As::KeyId => key_id(raw),
            As::Plain => raw.chars().take(300).collect(),
        };
        // Addresses and programs are many, and what is kept of them few.
        let is_worth_it = known.len() < (1 << 17) && self.bytes < MOST_NAME_BYTES;
        let number = match self.kept.get(name.as_str()) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.names.len()).unwrap_or(0);
                self.bytes += name.len() + 64;
                let name: Name = Arc::from(name);
                self.names.push(name.clone());
                self.kept.insert(name, number);
                number
            }
        };
        if is_worth_it {
            self.bytes += raw.len() + 32;
            known.insert(raw.into(), number);
        }
        number
    }

    /// All rows, with their names.
    pub fn finish(self) -> Facts {
        let name = |number: u32| self.names[number as usize].clone();
        let rows = self.rows.iter().map(|(key, stat)| {
            let [who, a, b, c] = key.names.map(name);
            let row = Row {
                kind: key.kind,
                who,
                a,
                b,
                c,
                n: key.n,
            };
            (row, *stat)
        });
        Facts {
            rows: rows.collect(),
            counts: self.counts,
            span: self.span,
        }
    }
}

impl Take for Collector {
    fn take(&mut self, entry: &Entry<'_>) {
        self.add(entry);
    }

    fn counts(&mut self) -> &mut Counts {
        &mut self.counts
    }
}

/// What a key is called: a digest of its id, so that nothing leads from a baseline to a key.
pub fn key_id(id: &str) -> String {
    let digest = Sha256::digest(id.as_bytes());
    digest[..6].iter().map(|b| format!("{b:02x}")).collect()
}

/// What a method changes.
enum Changed {
    /// An account, and how it is then.
    Account(Option<&'static str>),
    /// A policy.
    Policy,
    /// All else.
    Other,
}

/// What a method of the activity log changes, if it is about identities.
fn changed(method: &str) -> Option<Changed> {
    let last = method.rsplit('.').next().unwrap_or(method);
    Some(match last {
        "CreateServiceAccountKey" | "UploadServiceAccountKey" => Changed::Account(None),
        "DisableServiceAccount" => Changed::Account(Some("disabled")),
        "DeleteServiceAccount" => Changed::Account(Some("deleted")),
        "EnableServiceAccount" | "UndeleteServiceAccount" | "CreateServiceAccount" => {
            Changed::Account(Some("there"))
        }
        "SetIAMPolicy" | "SetIamPolicy" | "setIamPolicy" | "setIamPermissions" => Changed::Policy,
        "UpdateRole" | "DeleteRole" => Changed::Other,
        "CreateWorkloadIdentityPoolProvider"
        | "UpdateWorkloadIdentityPoolProvider"
        | "DeleteWorkloadIdentityPoolProvider"
        | "UpdateWorkloadIdentityPool"
        | "DeleteWorkloadIdentityPool" => Changed::Other,
        "CreatePolicy" | "UpdatePolicy" | "DeletePolicy" if method.contains("iam.v2") => {
            Changed::Other
        }
        _ if method.contains("PrincipalAccessBoundary") => Changed::Other,
        _ if method.ends_with("hmacKeys.create") => Changed::Other,
        _ => return None,
    })
}

/// The name of an entry, as a number.
pub(crate) fn digest(entry: &Entry<'_>, at: Micros) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    // BigQuery and Cloud Storage have the log's name with and without its escape.
    let log = entry.log_name.as_str();
    log.split("cloudaudit.googleapis.com")
        .next()
        .hash(&mut hasher);
    log.rsplit(['/', 'F']).next().hash(&mut hasher);
    (at, entry.insert_id.as_str()).hash(&mut hasher);
    hasher.finish()
}
