//! A Kubernetes service account: made, adopted, annotated, released, deleted.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::object::{self, Was};
use super::{Edit, Kind, Phase};
use crate::address::{Address, KsaKey};
use crate::desired::{Desired, GSA_ANNOTATION};
use crate::names::{Email, Member};
use crate::plan::integrity::{Checked, Forged, holds};
use crate::plan::observe::Reader;
use crate::plan::ownership::{ADOPTED, FORMER, MANAGED_BY, OWNER};
use crate::plan::permissions::Permission;
use crate::plan::right::Right;
use crate::plan::terraform::Terraform;
use crate::plan::touches::Scope;
use crate::plan::{Action, Attribute};

/// A Kubernetes service account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ksa {
    /// In which cluster and namespace, and its name.
    pub key: KsaKey,
    /// As it is; `None` if it is not there.
    pub before: Option<Was>,
    /// As it is to be.
    pub after: KsaAfter,
    /// Whether fields are taken from other managers: only where the object carries our mark, or the user
    /// says so.
    pub force: bool,
    /// Whether the annotation must go although another manager owns it.
    pub drop_annotation: bool,
}

/// What becomes of a Kubernetes service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KsaAfter {
    /// It is there, and carries our mark.
    Kept {
        /// The Google service account in its annotation; `None`: it acts as itself.
        account: Option<Email>,
        /// Whether it was there before: then it is released one day, not deleted.
        adopted: bool,
        /// The Google service account that it acted as before, to be put back then.
        former: Option<String>,
        /// Whether it has the label that says who manages it; that of another tool stays.
        labelled: bool,
    },
    /// Our marks go, since it left the spec and was there before. The annotation is put back as it was, where
    /// that is known, and otherwise goes unless somebody else owns it, too.
    Released,
    /// Our marks go, since others look after it from now on (`existing: true`); the annotation stays as it is.
    LetGo,
    /// It is deleted, since it left the spec, which had made it.
    Deleted,
}

impl Ksa {
    /// The Google service account that its annotation names now.
    pub fn account_before(&self) -> Option<Email> {
        Email::parse(self.before.as_ref()?.account()?).ok()
    }

    /// Whether it left the spec.
    pub fn leaves(&self) -> bool {
        matches!(self.after, KsaAfter::Released | KsaAfter::Deleted)
    }

    /// Whether its pods get another identity.
    pub fn changes_identity(&self, owner: &str) -> bool {
        let attributes = self.attributes(owner);
        attributes.iter().any(|a| a.name == GSA_ANNOTATION)
    }

    /// What the annotation is to be.
    pub fn account_after(&self) -> Option<&str> {
        match &self.after {
            KsaAfter::Kept { account, .. } => account.as_ref().map(Email::as_str),
            KsaAfter::Released => {
                let was = self.before.as_ref()?;
                match was.annotation_managers.is_empty() {
                    true => was.former_account(),
                    false => was.account(),
                }
            }
            KsaAfter::LetGo => self.before.as_ref()?.account(),
            KsaAfter::Deleted => None,
        }
    }

    /// What a release makes of the annotation: the one that it had before this spec, or none. `None`: it stays as
    /// it is. It is written before anything goes of what its pods have until then.
    pub fn gives_back(&self) -> Option<Option<&str>> {
        let now = self.before.as_ref()?.account();
        let after = self.account_after();
        (self.after == KsaAfter::Released && now != after).then_some(after)
    }

    /// The whole applied configuration; `None` to delete it.
    pub fn configuration(&self, owner: &str) -> Option<Value> {
        let (name, namespace) = (&self.key.name, Some(&self.key.namespace));
        let kind = "ServiceAccount";
        match &self.after {
            KsaAfter::Kept {
                adopted,
                labelled,
                former,
                ..
            } => {
                let account = self.account_after();
                let mut object =
                    object::configuration(kind, name, namespace, owner, account, *adopted);
                if let Some(former) = former {
                    object["metadata"]["annotations"][FORMER] = former.clone().into();
                }
                if !labelled && let Some(metadata) = object["metadata"].as_object_mut() {
                    metadata.remove("labels");
                }
                Some(object)
            }
            KsaAfter::Released => Some(object::released(kind, name, namespace)),
            KsaAfter::LetGo => {
                let mut object = object::released(kind, name, namespace);
                // Left out of what we apply it would go, where nobody else owns it.
                let ours = self.before.as_ref().filter(|was| was.annotation_is_ours());
                if let Some(account) = ours.and_then(Was::account) {
                    object["metadata"]["annotations"][GSA_ANNOTATION] = account.into();
                }
                Some(object)
            }
            KsaAfter::Deleted => None,
        }
    }
}

impl Kind for Ksa {
    fn address(&self) -> Address {
        self.key.address()
    }

    fn action(&self) -> Action {
        match (&self.before, &self.after) {
            (_, KsaAfter::Deleted) => Action::Delete,
            (None, _) => Action::Create,
            (Some(_), _) => Action::Update,
        }
    }

    fn cluster(&self) -> Option<&str> {
        Some(&self.key.cluster)
    }

    fn attributes(&self, owner: &str) -> Vec<Attribute> {
        let was = self.before.as_ref();
        let stays = matches!(self.after, KsaAfter::Kept { .. });
        let mark = stays.then_some(owner);
        let former = match &self.after {
            KsaAfter::Kept { former, .. } => former.as_deref(),
            KsaAfter::Released | KsaAfter::LetGo | KsaAfter::Deleted => None,
        };
        let rows = [
            (GSA_ANNOTATION, self.account_after()),
            (OWNER, mark),
            (FORMER, former),
        ];
        let mut attributes: Vec<Attribute> = rows
            .into_iter()
            .filter_map(|(name, after)| object::annotation(name, was, after))
            .filter(|a| stays || a.before.is_some())
            .collect();
        // An object of somebody else's: whoever reads the plan sees all that is written on it.
        if let (
            Some(was),
            KsaAfter::Kept {
                adopted, labelled, ..
            },
        ) = (was, &self.after)
            && was.owner().is_none()
        {
            let adopted = adopted.then_some("true");
            attributes.extend(object::annotation(ADOPTED, Some(was), adopted));
            let label = was.labels.get(MANAGED_BY).map(String::as_str);
            if *labelled && label != Some("wi") {
                attributes.push(Attribute::new(MANAGED_BY, label, Some("wi")));
            }
        }
        attributes
    }

    fn rank(&self) -> u8 {
        5
    }

    fn phase(&self) -> Phase {
        Phase::Kubernetes
    }

    fn access(&self) -> Option<(bool, Member, Right)> {
        None
    }

    fn permissions(&self, _desired: &Desired) -> Vec<Permission> {
        let namespace = self.key.namespace.as_str();
        Permission::to_write(
            &self.key.cluster,
            namespace,
            self.action(),
            "serviceaccounts",
        )
    }

    fn terraform(&self, owner: &str, _desired: &Desired) -> Terraform {
        let namespace = Some(&self.key.namespace);
        let before = object::terraform_before(self.before.as_ref(), &self.key.name, namespace);
        let after = object::terraform_after(self.configuration(owner));
        Terraform::new(
            "kubernetes_service_account_v1",
            self.action(),
            before,
            after,
        )
    }

    fn scope(&self, scope: &mut Scope) {
        match self.after {
            KsaAfter::Kept { .. } | KsaAfter::LetGo => {
                scope.namespace(&self.key.namespace_key());
            }
            KsaAfter::Released | KsaAfter::Deleted => scope.leaving(&self.key.namespace_key()),
        }
    }

    fn observe(&self, reader: &mut Reader<'_>) {
        reader.service_account(&self.key, |meta| Was::from(meta).state());
        reader.namespace_of(&self.key);
    }

    fn seen(&self) -> Option<Value> {
        let state = self.before.as_ref().map(Was::state);
        Some(state.unwrap_or(Value::Null))
    }

    fn timeless(&self) -> Edit {
        Edit::Ksa(Self {
            before: self.before.as_ref().map(Was::timeless),
            ..self.clone()
        })
    }

    fn check(&self, plan: &Checked<'_>) -> Result<(), Forged> {
        plan.cluster(&self.key.cluster)?;
        let was = self.before.as_ref();
        holds(was.is_none_or(|was| !was.uid.is_empty()), Forged::Unknown)?;
        let ours = was.is_some_and(|was| was.owner() == Some(plan.owner));
        match &self.after {
            KsaAfter::Kept { former, .. } => {
                plan.may_take(was.and_then(Was::owner))?;
                let theirs = [
                    was.and_then(Was::former_account),
                    was.and_then(Was::account),
                ];
                holds(
                    former.is_none() || theirs.contains(&former.as_deref()),
                    Forged::Unknown,
                )?;
            }
            KsaAfter::Released | KsaAfter::LetGo | KsaAfter::Deleted => {
                holds(ours, Forged::Unknown)?
            }
        }
        let loses =
            was.is_some_and(|was| was.account().is_some()) && self.account_after().is_none();
        holds(!self.drop_annotation || loses, Forged::Unshown)?;
        // Beside what is ours, marks are written over: those of a spec that is taken over from, and copies.
        let marked = was.is_some_and(|was| was.annotations.contains_key(OWNER));
        let may_force = marked || was.is_some_and(Was::annotation_is_ours);
        holds(
            may_force || !self.force || plan.options.force_conflicts,
            Forged::Unknown,
        )
    }
}
