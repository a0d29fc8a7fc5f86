//! What a spec asks for, and what was seen of what is there.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::OnceLock;

use jiff::Timestamp;
use wi_core::access::Facts;
use wi_core::address::Address;
use wi_core::desired::{Desired, GSA_ANNOTATION};
use wi_core::findings::{Finding, Place};
use wi_core::live::{ConfigMaps, Seen};
use wi_core::names::{ClusterPath, Email, KsaIdentity, Member, ProjectId};
use wi_core::resource::Resource;
use wi_core::spec::model::SourceLine;
use wi_core::wire::container::{Cluster as Gke, NodePool};
use wi_core::wire::iam::{ServiceAccount, ServiceAccountKey};
use wi_core::wire::kubernetes::ObjectMeta;
use wi_core::wire::pods::Pod;
use wi_core::wire::policy::{Binding, Policy};

use crate::out::{Out, Read};

/// Why something is not known that nothing was asked for.
pub const NOT_READ: &str = "it was not read";

/// A spec, and what is there.
#[derive(Debug, Default)]
pub struct World {
    /// What the spec asks for.
    pub desired: Desired,
    /// Projects beside the spec's whose members are expected.
    pub trusted: BTreeSet<ProjectId>,
    /// Roles that the guard wants a condition on, with `*` for anything.
    pub conditional: Vec<String>,
    /// The time; `None`: nothing is decided by it.
    pub now: Option<Timestamp>,
    /// What is there; `None`: the spec alone is looked at.
    pub live: Option<Live>,
    /// Entries of the file of accepted findings that do nothing any more.
    pub stale: Vec<Stale>,
    /// Made when first asked for.
    known: OnceLock<Known>,
}

/// What was read. Not asked for is not seen.
#[derive(Debug, Default)]
pub struct Live {
    /// Clusters of the spec by its names, and others of the same workload pools by their paths.
    pub clusters: BTreeMap<String, Cluster>,
    /// Why there may be more clusters of a workload pool, by its project.
    pub more_clusters: BTreeMap<ProjectId, String>,
    /// Policies, roles, numbers, what is above what.
    pub iam: Facts,
    /// The accounts of projects.
    pub accounts: BTreeMap<ProjectId, Seen<BTreeMap<Email, ServiceAccount>>>,
    /// User-managed keys.
    pub keys: BTreeMap<Email, Seen<Vec<ServiceAccountKey>>>,
    /// What a plan would change, or why there is none.
    pub drift: Option<Seen<Vec<Drift>>>,
    /// What the plan could not read, and why: there may be more.
    pub unplanned: Vec<(String, String)>,
    /// What more there may be of policies: accounts that could not be listed, and why.
    pub unlisted: Vec<(String, String)>,
    /// Where policies were searched for what the spec does not name.
    pub searched: BTreeSet<Resource>,
    /// Where they could not be searched, and why.
    pub unsearched: BTreeMap<Resource, String>,
}

/// What is asked of a spec many times.
#[derive(Debug, Default)]
struct Known {
    ksas: HashSet<KsaIdentity>,
    members: HashSet<(Resource, Member)>,
}

/// A cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Where GKE has it.
    pub path: ClusterPath,
    /// Whether the spec has it.
    pub declared: bool,
    /// What GKE says.
    pub gke: Seen<Gke>,
    /// Kubernetes service accounts by namespace and name.
    pub ksas: Seen<BTreeMap<(String, String), ObjectMeta>>,
    /// Whether those are of all namespaces.
    pub all_namespaces: bool,
    /// Pods of all namespaces; not asked for: unknown.
    pub pods: Seen<Vec<Pod>>,
    /// Nodes.
    pub nodes: Seen<Vec<ObjectMeta>>,
    /// ConfigMaps that say whether a container has a credential of its own.
    pub config_maps: ConfigMaps,
}

/// A change of a plan.
#[derive(Debug, Clone)]
pub struct Drift {
    /// Of what.
    pub address: Address,
    /// What would be done: `update`.
    pub action: &'static str,
    /// Why it is not done now; empty: it would be.
    pub held_back: String,
    /// Where the spec asks for it.
    pub place: Option<SourceLine>,
}

/// An entry of the file of accepted findings that does nothing any more.
#[derive(Debug, Clone)]
pub struct Stale {
    /// The file.
    pub file: String,
    /// The line.
    pub line: u32,
    /// What it accepts: rule, subject, place.
    pub names: [String; 3],
    /// Whether it has ended; otherwise it fits nothing.
    pub ended: bool,
    /// In words.
    pub told: String,
}

/// A member of a binding that was seen.
#[derive(Debug, Clone, Copy)]
pub struct Held<'w> {
    /// Whose policy has it.
    pub on: &'w Resource,
    /// The binding.
    pub binding: &'w Binding,
    /// The member, as it is written.
    pub member: &'w str,
}

impl Held<'_> {
    /// `roles/owner on project/acme-prod for MEMBER`: what the finding is about.
    pub fn subject(&self) -> String {
        let condition = self.binding.condition.as_ref();
        let condition = condition.map(|c| format!(" if {}", c.name()));
        format!(
            "{} on {} for {}{}",
            self.binding.role,
            self.on,
            self.member,
            condition.unwrap_or_default()
        )
    }

    /// The command that takes it away, where it is not the spec's.
    pub fn removal(&self) -> String {
        let (role, member) = (&self.binding.role, self.member);
        let rest = format!("--role='{role}' --member='{member}'");
        let condition = match &self.binding.condition {
            Some(_) => " --condition=… (that of the binding)",
            None => "",
        };
        match self.on {
            Resource::Project(p) => {
                format!("gcloud projects remove-iam-policy-binding {p} {rest}{condition}")
            }
            Resource::ServiceAccount(e) => {
                format!(
                    "gcloud iam service-accounts remove-iam-policy-binding {e} {rest}{condition}"
                )
            }
            other => format!("take {member} out of {role} in the policy of {other}"),
        }
    }
}

impl World {
    /// What is there; a rule that reads it is not asked without.
    pub fn live(&self) -> Option<&Live> {
        self.live.as_ref()
    }

    /// Clusters that GKE was heard from about.
    pub fn gke(&self, out: &mut Out) -> Vec<(&str, &Cluster, &Gke)> {
        let all = self.live.iter().flat_map(|l| &l.clusters);
        all.filter_map(|(name, cluster)| {
            let what = format!("cluster {name}");
            let gke = out.seen(&what, &cluster.gke, Read::Clusters)?;
            Some((name.as_str(), cluster, gke))
        })
        .collect()
    }

    /// Node pools, with the names of their clusters. Those of Autopilot are Google's.
    pub fn node_pools(&self, out: &mut Out) -> Vec<(&str, &Cluster, &NodePool)> {
        let clusters = self.gke(out).into_iter();
        let of_users = clusters.filter(|(_, _, gke)| !gke.autopilot.enabled);
        of_users
            .flat_map(|(name, cluster, gke)| {
                let pools = gke.node_pools.iter();
                pools.map(move |pool| (name, cluster, pool))
            })
            .filter(|(_, _, pool)| !pool.autopilot_config.enabled)
            .collect()
    }

    /// Policies that were seen. What may hide more of them is told.
    pub fn policies(&self, out: &mut Out) -> Vec<(&Resource, &Policy)> {
        if let Some(live) = &self.live {
            for (what, why) in &live.unlisted {
                out.unchecked(what.clone(), why.clone(), Read::Accounts);
            }
            for (project, above) in &live.iam.ancestors {
                out.seen(
                    &format!("what is above project/{project}"),
                    above,
                    Read::Policies,
                );
            }
        }
        let all = self.live.iter().flat_map(|l| &l.iam.policies);
        all.filter_map(|(resource, policy)| {
            let what = format!("the policy of {resource}");
            Some((resource, out.seen(&what, policy, Read::Policies)?))
        })
        .collect()
    }

    /// All members of all bindings of policies that were seen.
    pub fn held(&self, out: &mut Out) -> Vec<Held<'_>> {
        let policies = self.policies(out).into_iter();
        policies
            .flat_map(|(on, policy)| {
                policy.bindings.iter().flat_map(move |binding| {
                    let members = binding.members.iter();
                    members.map(move |member| Held {
                        on,
                        binding,
                        member,
                    })
                })
            })
            .collect()
    }

    /// What searches that were refused hide, with why.
    pub fn unsearched(live: &Live) -> impl Iterator<Item = (String, &String)> {
        let what = |place| format!("roles on resources of {place} that the spec does not name");
        live.unsearched
            .iter()
            .map(move |(place, why)| (what(place), why))
    }

    /// Tells whether roles on what the spec does not name could not be searched: for rules that follow roles wherever
    /// they are, not those about policies of accounts and containers, which are read one by one.
    pub fn wherever(&self, out: &mut Out) {
        for (what, why) in self.live.iter().flat_map(Self::unsearched) {
            out.unchecked(what, why.clone(), Read::Search);
        }
    }

    /// All members of all bindings, on resources that the spec does not name, too.
    pub fn held_wherever(&self, out: &mut Out) -> Vec<Held<'_>> {
        self.wherever(out);
        self.held(out)
    }

    /// Whether a role gives one of these permissions; a role that was not read is told.
    pub fn gives(&self, out: &mut Out, role: &str, permissions: &[&str]) -> bool {
        let roles = self.live.as_ref().map(|l| &l.iam.roles);
        match roles.and_then(|r| r.get(role)) {
            Some(Seen::Found(found)) => permissions.iter().any(|p| found.gives(p)),
            Some(Seen::Absent) => false,
            Some(Seen::Unknown(why)) => {
                out.unchecked(format!("what {role} permits"), why.to_string(), Read::Roles);
                false
            }
            None => {
                out.unchecked(format!("what {role} permits"), NOT_READ, Read::Roles);
                false
            }
        }
    }

    /// Kubernetes service accounts that are there, with the names of their clusters.
    pub fn ksas(&self, out: &mut Out) -> Vec<(&str, &Cluster, &ObjectMeta)> {
        let all = self.live.iter().flat_map(|l| &l.clusters);
        all.filter_map(|(name, cluster)| {
            let what = format!("the Kubernetes service accounts of cluster {name}");
            let ksas = out.seen(&what, &cluster.ksas, Read::ServiceAccounts)?;
            Some(
                ksas.values()
                    .map(move |meta| (name.as_str(), cluster, meta)),
            )
        })
        .flatten()
        .collect()
    }

    /// Pods that have not ended, of clusters that the spec has, but for those that GKE runs.
    pub fn pods(&self, out: &mut Out) -> Vec<(&str, &Cluster, &Pod)> {
        let all = self.live.iter().flat_map(|l| &l.clusters);
        all.filter(|(_, c)| c.declared)
            .filter_map(|(name, cluster)| {
                let what = format!("the pods of cluster {name}");
                let pods = out.seen(&what, &cluster.pods, Read::Pods)?;
                Some(pods.iter().map(move |pod| (name.as_str(), cluster, pod)))
            })
            .flatten()
            .filter(|(_, _, pod)| {
                let own = wi_core::access::is_gke_own(&pod.metadata.namespace, [&pod.metadata]);
                !own && !pod.has_ended()
            })
            .collect()
    }

    /// Where a declared thing is declared, or a live one as it stands for a file.
    pub fn place(&self, declared: Option<&SourceLine>, live: &[&str]) -> Place {
        match declared {
            Some(line) => Place::file(&line.file, u32::try_from(line.line).ok()),
            None => Place::live(live),
        }
    }

    /// A cluster's address and place.
    pub fn cluster(&self, name: &str) -> (String, Place) {
        let declared = self.desired.clusters.get(name).map(|c| &c.place);
        let address = Address::cluster_pool(name).to_string();
        (address, self.place(declared, &["cluster", name]))
    }

    /// A node pool's address, and the place of its cluster.
    pub fn node_pool(&self, cluster: &str, pool: &str) -> (String, Place) {
        let declared = self.desired.clusters.get(cluster).map(|c| &c.place);
        let address = Address::node_pool(cluster, pool).to_string();
        let live = ["cluster", cluster, "nodepool", pool];
        (address, self.place(declared, &live))
    }

    /// An account's address, where the spec has it, or its email; and its place.
    pub fn account(&self, email: &Email) -> (String, Place) {
        match self.desired.account_name(email) {
            Some(name) => {
                let place = self.desired.accounts.get(name).map(|a| &a.place);
                let address = self.desired.account_address(email).to_string();
                (address, self.place(place, &["account", email.as_str()]))
            }
            None => (
                email.to_string(),
                self.place(None, &["account", email.as_str()]),
            ),
        }
    }

    /// A Kubernetes service account's address and place.
    pub fn ksa(&self, cluster: &str, namespace: &str, name: &str) -> (String, Place) {
        let declared = self.desired.ksa(cluster, namespace, name);
        let subject = format!("ksa.{cluster}/{namespace}/{name}");
        let place = declared.map(|k| &k.place);
        let live = ["cluster", cluster, "ServiceAccount", namespace, name];
        (subject, self.place(place, &live))
    }

    /// Tells what is wrong with a binding; the way out is to take it away.
    pub fn tell<'o>(&self, out: &'o mut Out, held: &Held<'_>, what: String) -> &'o mut Finding {
        let found = out.found(&held.subject(), what, self.binding_place(held));
        found.fix = Some(held.removal());
        found
    }

    /// Where a binding is: where the spec asks for it, or else the resource.
    pub fn binding_place(&self, held: &Held<'_>) -> Place {
        let member = Member::parse(held.member);
        let declared = self.desired.bindings.iter().find(|(key, _)| {
            key.resource == *held.on
                && key.role.as_str() == held.binding.role
                && key.member == member
                && key.condition.as_ref().map(|c| &c.expression)
                    == held.binding.condition.as_ref().map(|c| &c.expression)
        });
        let on = held.on.to_string();
        self.place(declared.map(|(_, place)| place), &["policy", &on])
    }

    /// Whether the spec asks for this member, on this resource, in some role.
    pub fn declares(&self, on: &Resource, member: &Member) -> bool {
        let key = (on.clone(), member.clone());
        self.known().members.contains(&key)
    }

    /// Whether the spec has this Kubernetes service account, on whatever cluster.
    pub fn has_ksa(&self, ksa: &KsaIdentity) -> bool {
        self.known().ksas.contains(ksa)
    }

    fn known(&self) -> &Known {
        self.known.get_or_init(|| {
            let ksas = self.desired.ksas.values().map(|k| k.identity.clone());
            let members = self.desired.bindings.keys();
            Known {
                ksas: ksas.collect(),
                members: members
                    .map(|key| (key.resource.clone(), key.member.clone()))
                    .collect(),
            }
        })
    }

    /// A spec, and what else is known of what it expects; nothing that is there.
    pub fn of_spec(
        desired: Desired,
        trusted: BTreeSet<ProjectId>,
        conditional: Vec<String>,
        now: Option<Timestamp>,
    ) -> Self {
        Self {
            desired,
            trusted,
            conditional,
            now,
            ..Self::default()
        }
    }

    /// Whom the spec looks after: its accounts, and its Kubernetes service accounts in their own right.
    pub fn is_of_spec(&self, member: &Member) -> bool {
        match member {
            Member::ServiceAccount(email) => self.desired.account_name(email).is_some(),
            Member::Ksa(ksa) => self.has_ksa(ksa),
            _ => false,
        }
    }

    /// Projects that are the spec's own, or trusted.
    pub fn own_projects(&self) -> BTreeSet<ProjectId> {
        let accounts = self.desired.accounts.values().map(|a| a.project.clone());
        let clusters = self.desired.clusters.values();
        let clusters = clusters.map(|c| c.path.project.clone());
        let trusted = self.trusted.iter().cloned();
        accounts.chain(clusters).chain(trusted).collect()
    }

    /// The account that a node pool's nodes run as; `Err`: Compute Engine's default one.
    pub fn node_account(
        &self,
        project: &ProjectId,
        pool: &NodePool,
    ) -> Result<Email, Option<Email>> {
        let of_default = || {
            let numbers = self.live.as_ref().map(|l| &l.iam.numbers);
            let number = numbers.and_then(|n| n.get(project)?.found().copied())?;
            Email::parse(&format!("{number}-compute@developer.gserviceaccount.com")).ok()
        };
        match pool.config.service_account.as_str() {
            "" | "default" => Err(of_default()),
            text => match Email::parse(text) {
                Ok(email) if is_compute_default(&email) => Err(Some(email)),
                Ok(email) => Ok(email),
                Err(_) => Err(None),
            },
        }
    }

    /// As whom IAM takes a Kubernetes service account of a cluster.
    pub fn identity(cluster: &Cluster, namespace: &str, name: &str) -> KsaIdentity {
        KsaIdentity {
            pool: cluster.path.project.workload_pool(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// Whether it is Compute Engine's default account of some project.
pub fn is_compute_default(email: &Email) -> bool {
    email
        .as_str()
        .ends_with("-compute@developer.gserviceaccount.com")
}

/// The account that a Kubernetes service account is annotated with.
pub fn annotation(meta: &ObjectMeta) -> Option<&str> {
    let text = meta.annotations.get(GSA_ANNOTATION)?;
    Some(text.as_str()).filter(|t| !t.is_empty())
}
