//! Namespaces and their Kubernetes service accounts.

use super::super::ksas::{Acts, ActsAs, ChosenKsa, ChosenNamespace};
use super::super::refused::Subject;
use super::super::yaml::{map, scalar};
use super::Writer;
use super::grants::{WIDE, condition_field};
use super::text::Text;
use crate::names::KubeName;

impl Writer<'_> {
    pub fn namespaces(&self, names: &[&KubeName], text: &mut Text) {
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
        let (account, grants) = match first {
            Acts::As(by) => (Some(by), ("ownGrants", &by.own)),
            Acts::Itself(grants) => (None, ("grants", grants)),
        };
        fields.extend(account.map(|by| self.impersonates(by)));
        let why = account.and_then(|by| by.through.as_ref()).map(|_| WIDE);
        let whose = self.remark(ksa.existing.as_deref().or(why));
        if grants.1.is_empty() && others.is_empty() {
            return text.line(3, &format!("{name}: {}{whose}", map(&fields)));
        }
        text.line(3, &format!("{name}:{whose}"));
        for field in fields {
            text.line(4, &field);
        }
        self.grants(grants.0, grants.1, None, text, 4);
        if !others.is_empty() {
            text.line(4, "overrides:");
        }
        for (acts, on) in others {
            // All of its clusters are not another part of them.
            let Some(clusters) = self.which.of_ksa(ksa, on).yaml() else {
                continue;
            };
            let clusters = format!("clusters: {clusters}");
            match acts {
                Acts::As(by) if by.own.is_empty() => {
                    let fields = [clusters, self.impersonates(by)];
                    text.line(5, &format!("- {}", map(&fields)));
                }
                Acts::As(by) => {
                    text.line(5, &format!("- {clusters}"));
                    text.line(6, &self.impersonates(by));
                    self.grants("ownGrants", &by.own, None, text, 6);
                }
                Acts::Itself(grants) => {
                    text.line(5, &format!("- {clusters}"));
                    self.grants("grants", grants, None, text, 6);
                }
            }
        }
    }

    fn impersonates(&self, by: &ActsAs) -> String {
        let account = scalar(&self.names[&by.account]);
        if by.condition.is_none() && by.through.is_none() {
            return format!("impersonates: {account}");
        }
        let through = by.through.as_ref();
        let fields: Vec<String> = [format!("account: {account}")]
            .into_iter()
            .chain(through.map(|on| format!("through: {}", scalar(&on.to_string()))))
            .chain(by.condition.as_ref().map(condition_field))
            .collect();
        format!("impersonates: {}", map(&fields))
    }
}
