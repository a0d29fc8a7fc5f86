//! Google service accounts.

use super::super::accounts::{ChosenAccount, User};
use super::super::refused::Subject;
use super::super::yaml::{map, scalar};
use super::Writer;
use super::grants::condition_field;
use super::text::Text;
use crate::names::Email;
use crate::spec::model::OnRemove;

impl Writer<'_> {
    pub fn accounts<'e>(&self, emails: impl Iterator<Item = &'e Email>, text: &mut Text) {
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
        for (User { name, condition }, why) in users {
            let why = self.remark(why.as_deref());
            let user = match condition {
                None => scalar(name),
                Some(condition) => map(&[
                    format!("user: {}", scalar(name)),
                    condition_field(condition),
                ]),
            };
            text.line(3, &format!("- {user}{why}"));
        }
        self.grants("grants", grants, Some(project), text, 2);
    }
}
