//! The command that lets somebody grant on a resource.

use wi_core::resource::Resource;
use wi_core::words::shell_word;

/// The command that grants `role` on `resource` to `member`; `None` where it is in no project and gcloud
/// has no command for it.
pub(super) fn command(resource: &Resource, role: &str, member: &str) -> Option<String> {
    let kind = resource.kind();
    let names = resource.names();
    let (group, form) = match kind.gcloud {
        Some(own) => own,
        None if kind.in_project() => ("projects", "{0}"),
        None => return None,
    };
    // Each word by itself: names come from the spec, and go into a shell.
    let named = form.split(' ').map(|word| {
        let filled = names
            .iter()
            .enumerate()
            .fold(word.to_owned(), |word, (i, name)| {
                word.replace(&format!("{{{i}}}"), name)
            });
        shell_word(&filled)
    });
    Some(format!(
        "gcloud {group} add-iam-policy-binding {} --member={} --role={role}",
        named.collect::<Vec<_>>().join(" "),
        shell_word(member)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wi_core::resource::KINDS;

    #[test]
    fn every_kind_has_a_command() {
        for kind in KINDS {
            let name = match kind.short {
                "project" => "project/acme-prod".to_owned(),
                "folder" | "organization" => format!("{}/123", kind.short),
                "serviceaccount" => "serviceaccount/a@acme-prod.iam.gserviceaccount.com".to_owned(),
                "managedfolder" => "managedfolder/acme-bucket/folder".to_owned(),
                short => {
                    let parts = kind.form.replace("[PROJECT/]", "acme-prod/");
                    let parts: Vec<String> = parts.split('/').map(str::to_lowercase).collect();
                    format!("{short}/{}", parts.join("/"))
                }
            };
            let resource = Resource::parse(&name, None).expect(&name);
            let command = command(&resource, "roles/x", "user:a@b").expect(&name);
            assert!(!command.contains('{'), "{command}");
            assert!(
                command.ends_with(" --member=user:a@b --role=roles/x"),
                "{command}"
            );
        }
    }

    #[test]
    fn names_are_where_gcloud_wants_them() {
        let resource =
            Resource::parse("key/acme-prod/europe-west1/ring/main", None).expect("a key");
        assert_eq!(
            command(&resource, "roles/cloudkms.admin", "user:ana@example.com").as_deref(),
            Some(
                "gcloud kms keys add-iam-policy-binding main --keyring=ring --location=europe-west1 --project=acme-prod --member=user:ana@example.com --role=roles/cloudkms.admin"
            )
        );
    }

    #[test]
    fn names_run_nothing() {
        let resource = Resource::parse("topic/acme-prod/x$(id)", None).expect("a topic");
        let command = command(&resource, "roles/pubsub.admin", "user:a b").expect("a command");
        assert!(command.contains(" 'x$(id)' "), "{command}");
        assert!(command.contains(" --member='user:a b' "), "{command}");
    }
}
