//! `wi doctor`: who one is, and what stands in the way, each with what fixes it.

use crate::support::fake::{Answer, Fake};
use crate::support::{Place, Ran};
use serde_json::json;

fn doctor(place: &Place) -> Ran {
    place.wi(&["doctor", "wi.yaml", "--sandbox"])
}

fn shop(extra: &str) -> Place {
    let place = Place::example("shop");
    let world = std::fs::read_to_string(place.path("world.yaml")).expect("a world");
    place.write("world.yaml", &format!("{world}{extra}"));
    place
}

#[test]
fn nothing_stands_in_the_way() {
    let ran = doctor(&shop("")).ok();
    insta::assert_snapshot!(ports(&ran.out));
}

/// The sandbox's clusters are on ports that differ from run to run.
fn ports(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("127.0.0.1:") {
        out.push_str(before);
        out.push_str("127.0.0.1:PORT");
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out + rest
}

#[test]
fn what_is_missing_comes_with_the_command_that_grants_it() {
    let place = shop(
        "callerLacks: [iam.serviceAccounts.list, iam.serviceAccounts.create, secretmanager.secrets.setIamPolicy, resourcemanager.projects.setIamPolicy]\n",
    );
    let ran = doctor(&place).fails();
    insta::assert_snapshot!(ports(&ran.out));
}

#[test]
fn clusters_that_are_not_there_or_not_reached() {
    let place = shop("");
    let world = std::fs::read_to_string(place.path("world.yaml")).expect("a world");
    let world = world
        .replace(
            "    name: prod-eu\n",
            "    name: prod-eu\n    unreachable: true\n",
        )
        .replace("    name: us-main\n", "    name: us-other\n");
    place.write("world.yaml", &world);
    let ran = doctor(&place).fails();
    for part in [
        "not reached by its public endpoint",
        "gcloud container clusters update prod-eu --location=europe-west1 --project=acme-prod --enable-dns-access",
        "there is no projects/acme-us/locations/us-central1-a/clusters/us-main",
        "gcloud container clusters list --project=acme-us",
        "2 things stand in the way",
    ] {
        assert!(ran.out.contains(part), "{part}\n{}", ran.out);
    }
}

#[test]
fn an_api_that_is_off() {
    let place = Place::example("quickstart");
    let api = Fake::new(|seen| {
        if seen.uri == "/tokeninfo" {
            return Answer::json(
                200,
                json!({"email": "ci@acme-prod.iam.gserviceaccount.com"}),
            );
        }
        if seen.uri.ends_with(":testIamPermissions") {
            let body: serde_json::Value = serde_json::from_str(&seen.body).expect("JSON");
            return Answer::json(200, json!({"permissions": body["permissions"]}));
        }
        if !seen.uri.contains("/serviceAccounts") {
            return Answer::json(200, json!({}));
        }
        let message = "Identity and Access Management (IAM) API has not been used in project acme-prod before or it is disabled.";
        Answer::json(
            403,
            json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": message,
                "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "domain": "googleapis.com",
                    "metadata": {"service": "iam.googleapis.com", "consumer": "projects/acme-prod"}}]}}),
        )
    });
    let mut command = place.command(&["doctor", "wi.yaml"]);
    command
        .env("COLUMNS", "200")
        .env("WI_ENDPOINT", &api.url)
        .env("GOOGLE_OAUTH_ACCESS_TOKEN", "a-token");
    let ran = Ran::of(&mut command).fails();
    for part in [
        "an access token (GOOGLE_OAUTH_ACCESS_TOKEN), as ci@acme-prod.iam.gserviceaccount.com",
        "has not been used in project acme-prod before or it is disabled",
        "      gcloud services enable iam.googleapis.com --project acme-prod\n",
    ] {
        assert!(ran.out.contains(part), "{part}\n{}", ran.out);
    }
    assert!(!ran.out.contains("a-token") && !ran.err.contains("a-token"));
}

#[test]
fn what_pods_need_and_what_zones_hide() {
    let place = shop("faults: [{ missingZones: [us-central1-a] }]\n");
    let world = std::fs::read_to_string(place.path("world.yaml")).expect("a world");
    let world = world
        .replace(
            "acme-prod: { number",
            "acme-prod: { disabledServices: [iamcredentials.googleapis.com], number",
        )
        .replace(
            "    name: prod-eu\n",
            "    name: prod-eu\n    denied: [list poddisruptionbudgets]\n",
        );
    place.write("world.yaml", &world);
    let ran = doctor(&place).fails();
    for part in [
        "✗ iamcredentials.googleapis.com is off: pods get the tokens",
        "gcloud services enable iamcredentials.googleapis.com --project acme-prod",
        "✗ wi plan: may not list poddisruptionbudgets",
        "✗ not looked at: GKE did not hear from us-central1-a",
    ] {
        assert!(ran.out.contains(part), "{part}\n{}", ran.out);
    }
    assert!(!ran.out.contains("there is no projects/"), "{}", ran.out);
}

#[test]
fn connect_gateway_wants_a_fleet() {
    let place = shop("");
    let spec = std::fs::read_to_string(place.path("wi.yaml")).expect("a spec");
    let spec = spec.replace(
        "prod-eu: {",
        "prod-eu: { access: { endpoint: connectGateway },",
    );
    assert!(spec.contains("connectGateway"), "{spec}");
    place.write("wi.yaml", &spec);
    let ran = doctor(&place).fails();
    assert!(
        ran.out.contains("the cluster is in no fleet"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("gcloud container clusters update prod-eu --location=europe-west1 --project=acme-prod --enable-fleet"),
        "{}",
        ran.out
    );
}

#[test]
fn a_wrong_clock_and_a_quota_project_of_others() {
    let place = Place::new("kind: Something\n", "kind: Else\n");
    for (date, what) in [
        ("Tue, 24 Nov 2015 10:00:00 GMT", "ahead of"),
        ("Tue, 24 Nov 2065 10:00:00 GMT", "behind"),
    ] {
        let api = Fake::new(move |seen| {
            let body = match seen.uri.as_str() {
                "/tokeninfo" => json!({"email": "ana@example.com"}),
                _ => json!({}),
            };
            Answer::json(200, body).header("date", date)
        });
        let mut command = place.command(&["doctor"]);
        command
            .env("WI_ENDPOINT", &api.url)
            .env("COLUMNS", "200")
            .env("GOOGLE_CLOUD_QUOTA_PROJECT", "acme-billing")
            .env("GOOGLE_OAUTH_ACCESS_TOKEN", "a-token");
        let ran = Ran::of(&mut command).fails();
        let clock = ran.out.lines().find(|l| l.contains("clock is"));
        assert!(
            clock.is_some_and(|l| l.contains(what)),
            "{what}: {}",
            ran.out
        );
        for part in [
            "calls are counted on the project acme-billing: serviceusage.services.use is missing",
            "gcloud projects add-iam-policy-binding acme-billing --member=user:ana@example.com --role=roles/serviceusage.serviceUsageConsumer",
            "One thing stands in the way",
        ] {
            assert!(ran.out.contains(part), "{part}\n{}", ran.out);
        }
    }
}

#[test]
fn without_a_spec_it_says_who_one_is() {
    let place = Place::new("kind: Something\n", "kind: Else\n");
    let api = Fake::new(|_| Answer::json(200, json!({"email": "ana@example.com"})));
    let mut command = place.command(&["doctor"]);
    command
        .env("WI_ENDPOINT", &api.url)
        .env("GOOGLE_OAUTH_ACCESS_TOKEN", "a-token");
    let ran = Ran::of(&mut command).ok();
    assert!(ran.out.contains("as ana@example.com"), "{}", ran.out);

    let mut command = place.command(&["doctor"]);
    let ran = Ran::of(command.env("NO_GCE_CHECK", "true")).fails();
    assert!(ran.err.contains("there are no credentials"), "{}", ran.err);
}

#[test]
fn a_spec_with_mistakes_is_told_as_by_validate() {
    let place = Place::new("apiVersion: wi/v1\nname: x\ncluster: {}\n", "");
    let ran = place.wi(&["doctor"]).fails();
    assert!(ran.err.contains("did you mean `clusters`?"), "{}", ran.err);
}

#[test]
fn an_api_that_is_off_in_the_sandbox() {
    let place = shop(
        r#"faults: [{ match: "GET /v1/projects/acme-us/locations/-/clusters", status: 403, reason: SERVICE_DISABLED }]
"#,
    );
    let ran = doctor(&place).fails();
    let command = "gcloud services enable container.googleapis.com --project acme-us\n";
    assert!(ran.out.contains(command), "{}", ran.out);
    assert!(!ran.out.contains("''"), "{}", ran.out);
}

#[test]
fn what_could_not_be_looked_at_is_no_success() {
    let place = shop(
        r#"faults: [{ match: "GET /v1/projects/acme-prod/services", denied: true }]
"#,
    );
    let ran = doctor(&place).fails();
    for part in [
        "? which APIs are on could not be asked",
        "gcloud projects add-iam-policy-binding acme-prod --member=user:dev@example.com --role=roles/serviceusage.serviceUsageViewer --condition=None\n",
        "\nOne thing could not be looked at; see ? above.\n",
    ] {
        assert!(ran.out.contains(part), "{part}\n{}", ran.out);
    }
    assert!(!ran.out.contains("Nothing stands"), "{}", ran.out);
}

#[test]
fn each_refusal_has_its_own_remedy() {
    let place = shop(
        r#"faults:
  - { match: "GET /storage/v1/b/acme-inbox", status: 401 }
  - { match: "GET /storage/v1/b/acme-receipts", status: 404 }
  - { match: "POST /v1/projects/acme-prod/secrets", denied: true }
"#,
    );
    let ran = doctor(&place).fails();
    for part in [
        "gcloud auth application-default login, or another",
        "Make it, or correct",
        "gcloud secrets add-iam-policy-binding stripe-key",
    ] {
        assert_eq!(ran.out.matches(part).count(), 1, "{part}\n{}", ran.out);
    }
}

#[test]
fn clusters_that_answer_are_reached() {
    for (fault, answered, fix) in [
        (
            "{ match: \"POST *selfsubjectaccessreviews\", status: 403 }",
            true,
            "--role=roles/container.viewer",
        ),
        (
            "{ match: \"POST *selfsubjectaccessreviews\", status: 500 }",
            true,
            "Try again later",
        ),
        (
            "{ match: \"TLS acme-prod\", tls: otherAuthority }",
            false,
            "Look at this machine's clock",
        ),
        (
            "{ match: \"TLS acme-prod\", tls: cutOff }",
            false,
            "Look at this machine's clock",
        ),
    ] {
        let ran = doctor(&shop(&format!("faults: [{fault}]\n"))).fails();
        let what = if answered {
            ", which"
        } else {
            "not reached by its public endpoint"
        };
        assert!(ran.out.contains(what), "{fault}\n{}", ran.out);
        assert_eq!(ran.out.contains("not reached by"), !answered, "{}", ran.out);
        assert!(ran.out.contains(fix), "{fault}\n{}", ran.out);
        assert!(!ran.out.contains("--enable-dns-access"), "{}", ran.out);
    }
}
