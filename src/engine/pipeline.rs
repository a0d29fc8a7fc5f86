//! From a spec to a plan: finds the clusters, reads the live state, and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures::future::join_all;
use wi_client::google::{iam, projects};
use wi_client::http::Http;
use wi_client::kubernetes::pod;
use wi_core::address::Address;
use wi_core::desired::Desired;
use wi_core::live::{Live, Unlisted};
use wi_core::plan::{self, Caller, Options, Plan};
use wi_core::read_set::ReadSet;
use wi_core::reason::Reason;
use wi_core::spec::fleet::Discovered;
use wi_core::spec::model::{Audit, Spec};
use wi_core::spec::{SpecErrors, nearest};

use super::git_base::FormerError;
use super::read;
use super::read::Lists;
use super::read::discover::discover;

/// Why there is no plan.
#[derive(Debug)]
pub enum Error {
    /// The spec has mistakes.
    Spec(SpecErrors),
    /// There is no former version of it.
    Former(FormerError),
    /// Anything else, for the user.
    Message(String),
}

impl From<SpecErrors> for Error {
    fn from(errors: SpecErrors) -> Self {
        Self::Spec(errors)
    }
}

impl From<FormerError> for Error {
    fn from(error: FormerError) -> Self {
        Self::Former(error)
    }
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

/// Which part of the changes is wanted; all of them by default.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// `--target`: addresses, with what is below them and what they need.
    pub targets: Vec<String>,
    /// `--cluster`: clusters, with what their workloads are given.
    pub clusters: BTreeSet<String>,
    /// `--wave`: the name of the only wave.
    pub wave: Option<String>,
    /// `--until-wave`: the name of the last wave.
    pub until_wave: Option<String>,
}

/// A spec, and a former version of it.
#[derive(Debug)]
pub struct Input {
    spec: Spec,
    former: Option<Spec>,
}

/// What a spec asks for on all its clusters, and how they were found.
#[derive(Debug, Clone)]
pub struct Found {
    /// On all clusters.
    pub desired: Desired,
    /// Lists of clusters that need not be read again.
    pub lists: Lists,
    /// Where could not be looked, and why.
    pub unlisted: BTreeMap<Unlisted, Reason>,
}

impl Input {
    /// Of a spec that has been read, without a former version.
    pub fn of(spec: Spec) -> Self {
        Self { spec, former: None }
    }

    /// Reads both; `base` is what git calls the former one.
    pub fn load(paths: &[PathBuf], base: Option<&str>) -> Result<Self, Error> {
        let spec = super::load(paths)?;
        let former = match base {
            Some(reference) => Some(super::load_former(reference, paths)?),
            None => None,
        };
        Ok(Self { spec, former })
    }

    /// All that the spec owns is to go.
    #[must_use]
    pub fn destroyed(self) -> Self {
        Self {
            spec: self.spec.emptied(),
            former: Some(self.spec),
        }
    }

    /// Whether it has clusters that are to be found.
    pub fn discovers(&self) -> bool {
        !self.spec.discover.is_empty()
    }

    /// What it expects of identities beyond their roles.
    pub fn audit(&self) -> &Audit {
        &self.spec.audit
    }

    /// What it asks for on the clusters that it declares.
    pub fn declared(&self) -> Desired {
        desired(&self.spec, self.former.as_ref())
    }

    /// What it asks for on all clusters, those that are found included.
    pub async fn on_all_clusters(self, http: &Http) -> Result<Found, Error> {
        let mut found = self.find_clusters(http).await?;
        by_project_ids(http, &mut found.desired).await?;
        Ok(found)
    }

    async fn find_clusters(mut self, http: &Http) -> Result<Found, Error> {
        let mut entries = self.spec.discover.clone();
        let own = entries.len();
        entries.extend(self.former.iter().flat_map(|f| f.discover.clone()));
        if entries.is_empty() {
            return Ok(Found {
                desired: self.declared(),
                lists: Lists::new(),
                unlisted: BTreeMap::new(),
            });
        }
        let found = discover(http, &entries).await;
        let (ours, formers): (Vec<_>, Vec<_>) =
            found.clusters.into_iter().partition(|c| c.by < own);
        let misfits = self.spec.take_in(ours);
        if found.unlisted.is_empty() && !misfits.is_empty() {
            let lines: Vec<String> = misfits
                .iter()
                .map(|m| format!("- {}: {}", m.place, m.message))
                .collect();
            return Err(Error::Message(format!(
                "the spec does not fit the clusters that were found:\n\n{}",
                lines.join("\n")
            )));
        }
        if let Some(former) = &mut self.former {
            former.take_in(
                formers
                    .into_iter()
                    .map(|c| Discovered {
                        by: c.by - own,
                        ..c
                    })
                    .collect(),
            );
        }
        Ok(Found {
            desired: self.declared(),
            lists: found.lists,
            unlisted: found.unlisted,
        })
    }
}

/// Resources are compared by their names, so that each project has one.
async fn by_project_ids(http: &Http, desired: &mut Desired) -> Result<(), Error> {
    let numbers = desired.project_numbers();
    let read = numbers.into_iter().map(async |number| {
        let id = projects::project_id(http, number).await;
        let id = id.map_err(|e| {
            format!(
                "the id of the project with the number {number}, by which the spec names a resource, cannot be read: {}. Write its id",
                e.reason()
            )
        });
        Ok::<_, Error>((number, id?))
    });
    let ids: Result<BTreeMap<_, _>, _> = join_all(read).await.into_iter().collect();
    desired.name_projects(&ids?);
    Ok(())
}

fn desired(spec: &Spec, former: Option<&Spec>) -> Desired {
    let mut desired = Desired::of(spec);
    if let Some(former) = former {
        desired.succeed(&Desired::of(former));
    }
    desired
}

/// A plan, and what it was made of.
#[derive(Debug)]
pub struct Made {
    /// What the spec asks for.
    pub desired: Desired,
    /// What is there.
    pub live: Live,
    /// The difference.
    pub plan: Plan,
}

/// Finds the clusters, reads the live state, and plans. `look` adds to the live state what only some ask for.
pub async fn make<E: From<Error>>(
    http: &Http,
    input: Input,
    options: &Options,
    part: &Part,
    look: impl AsyncFnOnce(&Desired, &mut Live) -> Result<(), E>,
) -> Result<Made, E> {
    let found = input.on_all_clusters(http).await?;
    let desired = found.desired;
    let is_unknown = |name: &&String| !desired.clusters.contains_key(*name);
    if let Some(name) = part.clusters.iter().find(is_unknown) {
        return Err(Error::Message(unknown_cluster(&desired, name)).into());
    }
    let reads = ReadSet::of(&desired);
    let (mut live, searched) = tokio::join!(
        read::read_with(http, &reads, found.lists),
        read::leftovers::search(http, &desired)
    );
    read::leftovers::read(http, &desired, searched, &mut live).await;
    live.unlisted = found.unlisted;
    look(&desired, &mut live).await?;
    // The servers' clock: this machine's may be wrong.
    let ahead = http.clock_ahead().unwrap_or_default();
    let options = Options {
        now: options.now.map(|now| now - ahead),
        ..options.clone()
    };
    let mut plan = plan::plan(&desired, &live, &options);
    // Who lives on nothing else is asked only where an identity ends: most plans end none.
    let ends = plan.namespaces_of_ends(&desired, &live, options.now);
    if !ends.is_empty() {
        live.alone = read::alone::read(http, &desired, &live, ends).await;
        plan = plan::plan(&desired, &live, &options);
    }
    if !part.targets.is_empty() {
        let unmatched = plan::restrict_to(&mut plan, &live, &part.targets);
        let addresses = plan::addresses(&desired, &live);
        for target in unmatched {
            // Nothing to do there is an answer; an address that nothing has is a typing error.
            if addresses.iter().any(|a| a.is_in(&target)) || is_there(&live, &target) {
                plan.warnings
                    .push(format!("--target {target} matches no change of this plan"));
            } else {
                return Err(Error::Message(unknown_target(&addresses, &target)).into());
            }
        }
    }
    if !part.clusters.is_empty() {
        plan::restrict_to_clusters(&mut plan, &desired, &live, &part.clusters);
    }
    only_waves(&mut plan, &live, part)?;
    let caller = caller(http, &plan).await;
    plan::protect(&mut plan, &caller);
    plan::check_removals(&desired, &options, &mut plan);
    Ok(Made {
        desired,
        live,
        plan,
    })
}

/// Whether a Kubernetes service account or a namespace is there, though the spec does not ask for it: what was
/// released has such an address, and whoever targets it again has done so already.
fn is_there(live: &Live, target: &str) -> bool {
    live.kubernetes.iter().any(|(cluster, seen)| {
        let Some(objects) = seen.found() else {
            return false;
        };
        let ksas = objects.service_accounts.keys();
        let mut ksas = ksas.map(|(namespace, name)| format!("ksa.{cluster}/{namespace}/{name}"));
        let namespaces = objects.namespaces.keys();
        let mut namespaces = namespaces.map(|name| format!("namespace.{cluster}/{name}"));
        ksas.any(|a| a == target) || namespaces.any(|a| a == target)
    })
}

fn unknown_target(addresses: &BTreeSet<Address>, target: &str) -> String {
    let mut known: Vec<&str> = addresses.iter().map(|a| &**a).collect();
    // What is above an address is one, too: `ksa.main/shop`.
    let above: Vec<String> = known
        .iter()
        .flat_map(|a| a.match_indices('/').map(|(at, _)| a[..at].to_owned()))
        .collect();
    known.extend(above.iter().map(String::as_str));
    let near = match nearest(target, known.into_iter()) {
        Some(near) => format!("did you mean {near}?"),
        None => "`wi graph` lists those that the spec asks for".to_owned(),
    };
    format!("--target {target}: nothing has this address; {near}")
}

fn unknown_cluster(desired: &Desired, name: &str) -> String {
    let known = || desired.clusters.keys().map(String::as_str);
    let way = match nearest(name, known()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("it has {}", known().collect::<Vec<_>>().join(", ")),
    };
    format!("--cluster {name}: the spec has no such cluster; {way}")
}

/// Whose access a plan must not take away. Google is asked only where it takes something from accounts.
pub async fn caller(http: &Http, plan: &Plan) -> Caller {
    Caller {
        account: match plan::takes_from_accounts(plan) {
            true => iam::caller(http).await,
            false => None,
        },
        ksa: pod::service_account_in(Path::new(pod::SERVICE_ACCOUNT)),
    }
}

/// Takes other waves than those of `--wave` and `--until-wave` out.
fn only_waves(plan: &mut Plan, live: &Live, part: &Part) -> Result<(), Error> {
    let Some(name) = part.wave.as_ref().or(part.until_wave.as_ref()) else {
        return Ok(());
    };
    let index = wave(plan, name)?;
    let (first, flag) = match &part.wave {
        Some(_) => (index, "--wave"),
        None => (0, "--until-wave"),
    };
    let open = plan::waves::restrict_to(plan, live, &(first..=index).collect(), flag);
    if let Some(need) = open.first() {
        return Err(Error::Message(format!(
            "the wave `{name}` needs {need}, which an earlier wave makes: apply that one first (--until-wave {name})"
        )));
    }
    Ok(())
}

/// The index of the wave of this name.
pub fn wave(plan: &Plan, name: &str) -> Result<usize, Error> {
    let names: Vec<&str> = plan
        .waves
        .iter()
        .flat_map(|w| &w.waves)
        .map(|w| w.name.as_str())
        .collect();
    names.iter().position(|n| *n == name).ok_or_else(|| {
        Error::Message(if names.is_empty() {
            format!("there is no wave `{name}`: the spec has no `rollout`")
        } else {
            format!("there is no wave `{name}`: there are {}", names.join(", "))
        })
    })
}
