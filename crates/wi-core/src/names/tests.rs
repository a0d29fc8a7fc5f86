//! Names that are refused, and what is said of them.

use super::*;

#[test]
fn names_that_google_would_refuse_are_refused() {
    assert!(ProjectId::parse("acme").is_err());
    assert!(ProjectId::parse("123456").is_err());
    assert!(ProjectId::parse("example.com:acme-prod").is_ok());
    let other = ProjectId::parse("eu0:acme-prod").expect("of another universe");
    assert_eq!(other.workload_pool(), "acme-prod.eu0.svc.id.goog");
    let account = other.service_account("checkout");
    assert_eq!(
        account.as_str(),
        "checkout@acme-prod.eu0.iam.gserviceaccount.com"
    );
    assert_eq!(account.project(), Some(other));
    assert!(Role::parse("roles/storage.objectViewer").is_ok());
    assert!(Role::parse("storage.objectViewer").is_err());
    assert!(KubeName::label("a.b").is_err());
    assert!(KubeName::parse("a.b").is_ok());
    assert!(KubeName::parse("Abc").is_err());
    assert!(check_service_account_id("short").is_err());
}

#[test]
fn no_file_brings_in_a_name_that_parse_would_refuse() {
    fn read<T: serde::de::DeserializeOwned>(json: &str) -> bool {
        serde_json::from_str::<T>(json).is_ok()
    }
    assert!(read::<ProjectId>("\"acme-prod\"") && !read::<ProjectId>("\"../acme-prod\""));
    assert!(read::<Email>("\"a@b.c\"") && !read::<Email>("\"a/../b@c.d\""));
    assert!(read::<Role>("\"roles/viewer\"") && !read::<Role>("\"roles/../viewer\""));
    assert!(read::<KubeName>("\"a.b\"") && !read::<KubeName>("\"..\""));
    let path = |location: &str, name: &str| {
        let json = serde_json::json!({
            "project": "acme-prod", "location": location, "name": name,
        });
        read::<ClusterPath>(&json.to_string())
    };
    assert!(path("europe-west1-b", "main"));
    assert!(!path("-", "main") && !path("europe-west1", "a/b") && !path("europe-west1", ".."));
    assert!(!path("europe-west1/x", "main") && !path("x?y", "main"));
}

#[test]
fn what_was_meant_is_said_where_it_is_clear() {
    let help = |e: NameError| e.1.unwrap_or_default();
    for (written, meant) in [
        ("projects/acme-prod", "Write acme-prod."),
        ("Acme_Prod", "Write acme-prod."),
        ("acme-prod.svc.id.goog", "Write acme-prod."),
        ("acme", ""),
    ] {
        assert_eq!(help(ProjectId::parse(written).expect_err(written)), meant);
    }
    for (written, meant) in [
        ("roles/viewer ", "Write roles/viewer."),
        ("roles/viewer/", "Write roles/viewer."),
        ("Role/viewer", "Write roles/viewer."),
        ("viewer", "Write roles/viewer."),
        ("projects/acme/roles/viewer", ""),
    ] {
        assert_eq!(help(Role::parse(written).expect_err(written)), meant);
    }
    assert_eq!(
        help(
            Email::parse("serviceAccount:a@p-12345.iam.gserviceaccount.com").expect_err("a member")
        ),
        "Without `serviceAccount:`, write a@p-12345.iam.gserviceaccount.com."
    );
    assert_eq!(
        help(KubeName::label("My_Shop").expect_err("no label")),
        "Write my-shop."
    );
    assert!(!NameError::not("", "a role").0.contains('`'));
}

#[test]
fn domain_scoped_projects_turn_around() {
    let p = ProjectId::parse("example.com:acme-prod").expect("valid");
    assert_eq!(p.workload_pool(), "acme-prod.example.com.svc.id.goog");
    assert_eq!(p.service_account("worker").project(), Some(p));
}
