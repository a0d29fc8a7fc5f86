//! Google service accounts that GKE workloads act as, or may.

use std::collections::{BTreeMap, BTreeSet};

use super::asked::Asked;
use super::facts::{Facts, KsaName};
use super::ksas::{Acts, ChosenKsa, unwritable};
use super::members::{Acting, Given, Members};
use super::told::{LeftOut, LeftOutKind};
use crate::live::Seen;
use crate::names::{Condition, Email, KubeName, Member, ProjectId, check_service_account_id};
use crate::plan::ownership::{AccountMark, marked_description, split_description};
use crate::resource::Resource;
use crate::spec::model::OnRemove;
use crate::wire::iam::ServiceAccount;

/// A Google service account of the spec.
pub(super) enum ChosenAccount {
    /// The spec looks after it.
    Managed {
        project: ProjectId,
        display_name: String,
        on_remove: Option<OnRemove>,
        grants: Vec<Given>,
        /// Who else may act as it, and what is to be said of that.
        users: BTreeMap<User, Option<String>>,
    },
    /// The spec only refers to it; why.
    Referred(String),
}

/// Somebody who may act as an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct User {
    /// As a spec names it.
    pub name: String,
    pub condition: Option<Condition>,
}

impl ChosenAccount {
    pub fn is_managed(&self) -> bool {
        matches!(self, Self::Managed { .. })
    }

    pub fn grants(&self) -> &[Given] {
        match self {
            Self::Managed { grants, .. } => grants,
            Self::Referred(_) => &[],
        }
    }

    /// Its project, where it is managed.
    pub fn project(&self) -> Option<&ProjectId> {
        match self {
            Self::Managed { project, .. } => Some(project),
            Self::Referred(_) => None,
        }
    }
}

pub(super) fn choose(
    asked: &Asked<'_>,
    ksas: &BTreeMap<KsaName, ChosenKsa>,
    left_out: &mut BTreeSet<LeftOut>,
) -> BTreeMap<Email, ChosenAccount> {
    let Asked {
        facts,
        members,
        owner,
        refused,
        ..
    } = *asked;
    let acted_as: BTreeSet<&Email> = ksas
        .values()
        .flat_map(|k| k.on.values())
        .filter_map(|acts| match acts {
            Acts::As(by) => Some(&by.account),
            Acts::Itself(_) => None,
        })
        .collect();
    let listed = facts.accounts.values().filter_map(Seen::found).flatten();
    let listed: BTreeSet<&Email> = listed.map(|(email, _)| email).collect();
    let mut chosen = BTreeMap::new();
    for email in listed.union(&acted_as).copied() {
        let account = account(facts, email);
        let mark = account.and_then(|(_, a)| split_description(&a.description).1);
        let is_ours = mark.is_some_and(|m| m.owner == owner && !m.released);
        let is_used = acted_as.contains(email) || members.acting.contains_key(email);
        if !is_used && !is_ours {
            left_out.insert(LeftOut {
                kind: LeftOutKind::Account,
                what: email.to_string(),
                why: match facts.policies.get(&Resource::ServiceAccount(email.clone())) {
                    Some(Seen::Unknown(why)) => {
                        format!("who may act as it could not be read: {}", why.cause())
                    }
                    _ => why_not_used(members, email),
                },
            });
            continue;
        }
        let managed = match refused.account(email) {
            Some(why) => Err(format!("the spec refuses what it has: {why}")),
            None => manage(asked, ksas, email),
        };
        match managed {
            Ok(managed) => _ = chosen.insert(email.clone(), managed),
            Err(why) if acted_as.contains(email) => {
                chosen.insert(email.clone(), ChosenAccount::Referred(why));
            }
            Err(why) => {
                left_out.insert(LeftOut {
                    kind: LeftOutKind::Account,
                    what: email.to_string(),
                    why,
                });
            }
        }
    }
    chosen
}

fn account<'a>(facts: &'a Facts, email: &Email) -> Option<(&'a ProjectId, &'a ServiceAccount)> {
    facts.accounts.iter().find_map(|(project, listed)| {
        let account = listed.found()?.get(email)?;
        Some((project, account))
    })
}

/// The whole of it; the error says why the spec cannot look after it.
fn manage(
    asked: &Asked<'_>,
    ksas: &BTreeMap<KsaName, ChosenKsa>,
    email: &Email,
) -> Result<ChosenAccount, String> {
    let Asked {
        facts,
        members,
        choices,
        owner,
        ..
    } = *asked;
    let (project, account) = account(facts, email).ok_or("it is of another project")?;
    let id = email.account_id();
    if project.service_account(id) != *email || check_service_account_id(id).is_err() {
        return Err("Google made it".to_owned());
    }
    if account.disabled {
        return Err("it is disabled, and a plan would enable it".to_owned());
    }
    let (text, mark) = split_description(&account.description);
    let mut wanted = AccountMark::of(owner, None);
    match mark.filter(|m| !m.released) {
        Some(mark) if mark.owner != owner => {
            return Err(format!("it is of the spec named {}", mark.owner));
        }
        Some(mark) => wanted = mark,
        None => wanted.adopted = true,
    }
    if let Some(of) = choices
        .owners
        .accounts
        .get(email)
        .filter(|_| !choices.take_over)
    {
        return Err(of.in_words());
    }
    if mark.is_none()
        && !choices.take_over
        && let Some(tool) = owner_in_words(account)
    {
        return Err(tool);
    }
    if marked_description(text, wanted).len() > 256 {
        return Err("its description leaves no room for a mark".to_owned());
    }
    match facts.policies.get(&Resource::ServiceAccount(email.clone())) {
        Some(Seen::Found(_)) => {}
        Some(Seen::Unknown(why)) => {
            return Err(format!(
                "who may act as it could not be read: {}",
                why.cause()
            ));
        }
        Some(Seen::Absent) | None => return Err("who may act as it was not read".to_owned()),
    }
    if members.dead.contains(email) {
        return Err(
            "policies name one of this email that was deleted, which a plan would take out of them"
                .to_owned(),
        );
    }
    let of = || members.of_account.get(email).into_iter().flatten();
    if let Some(why) = of().find_map(|key| unwritable(facts, key)) {
        return Err(why);
    }
    let mut users = BTreeMap::new();
    for acting in members.acting.get(email).into_iter().flatten() {
        if let Some((user, remark)) = user(facts, project, ksas, acting)? {
            users.insert(user, remark);
        }
    }
    Ok(ChosenAccount::Managed {
        project: project.clone(),
        display_name: account.display_name.clone(),
        on_remove: wanted.on_remove,
        grants: of().map(Given::from).collect(),
        users,
    })
}

/// Who may act as an account of `home` and is no service account of the spec that does.
fn user(
    facts: &Facts,
    home: &ProjectId,
    ksas: &BTreeMap<KsaName, ChosenKsa>,
    acting: &Acting,
) -> Result<Option<(User, Option<String>)>, String> {
    let key = &acting.key;
    if let Some(why) = unwritable(facts, key) {
        return Err(why);
    }
    let user = |name: String| User {
        name,
        condition: key.condition.clone(),
    };
    let Member::Ksa(one) = &key.member else {
        let set = match &key.member {
            Member::Set(set) => set.as_user(),
            _ => None,
        };
        let name = set.unwrap_or_else(|| acting.spelling.clone());
        return Ok(Some((user(name), None)));
    };
    let named = KubeName::parse(&one.namespace)
        .ok()
        .zip(KubeName::parse(&one.name).ok());
    let of_spec = named.and_then(|name| ksas.get(&name));
    if of_spec.is_some_and(|ksa| ksa.acts_as(&one.pool, key)) {
        return Ok(None);
    }
    let (namespace, name) = (&one.namespace, &one.name);
    let name = match one.pool == home.workload_pool() {
        true => format!("{namespace}/{name}"),
        false => match one.pool.strip_suffix(".svc.id.goog") {
            Some(project) if ProjectId::parse(project).is_ok() => {
                format!("{project}/{namespace}/{name}")
            }
            _ => acting.spelling.clone(),
        },
    };
    Ok(Some((
        user(name),
        Some("no service account of this spec acts as it by this".to_owned()),
    )))
}

/// Why an account is none of workloads, as a spec has it.
fn why_not_used(members: &Members, email: &Email) -> String {
    let Some(key) = members.otherwise(email).next() else {
        return "no workload of GKE may act as it".to_owned();
    };
    format!(
        "{} may act as it by {} on {} alone",
        key.member, key.role, key.resource
    )
}

/// Another tool that says of an account that it is its own.
fn owner_in_words(account: &ServiceAccount) -> Option<String> {
    let says = format!("{} {}", account.display_name, account.description).to_lowercase();
    let tools = [
        ("terraform", "Terraform"),
        ("opentofu", "OpenTofu"),
        ("pulumi", "Pulumi"),
        ("config connector", "Config Connector"),
        ("crossplane", "Crossplane"),
    ];
    let tool = tools.iter().find(|(word, _)| says.contains(word))?.1;
    Some(format!("its description says that it is {tool}'s"))
}
