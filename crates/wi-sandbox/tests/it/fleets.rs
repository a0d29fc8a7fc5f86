//! Fleets: memberships, and identities in the pool of a project that has no cluster.

use serde_json::{Value, json};
use wi_sandbox::Sandbox;

use crate::support::{Answer, Client, start};

const WORLD: &str = r"
apiVersion: wi.sandbox/v1
timeScale: 0.001
projects:
  acme-fleet: { number: 111111111111 }
  acme-us: { number: 222222222222 }
clusters:
  - project: acme-us
    location: us-central1
    name: main
    workloadPool: acme-us.svc.id.goog
    namespaces: { shop: { serviceAccounts: { checkout: {} } } }
";
const AGENT: &str = "serviceAccount:service-111111111111@gcp-sa-gkehub.iam.gserviceaccount.com";
const MEMBERS: &str = "/v1/projects/acme-fleet/locations/us-central1/memberships";
const ISSUER: &str =
    "https://container.googleapis.com/v1/projects/acme-us/locations/us-central1/clusters/main";
const LINK: &str =
    "//container.googleapis.com/projects/acme-us/locations/us-central1/clusters/main";
const CHECKOUT: &str = "principal://iam.googleapis.com/projects/111111111111/locations/global/workloadIdentityPools/acme-fleet.svc.id.goog/subject/ns/shop/sa/checkout";

/// The world with the fleet's agent let into the cluster's project, and the cluster a member.
fn registered(membership: &str) -> String {
    let policy = format!(
        "acme-us: {{ number: 222222222222, policy: {{ bindings: [{{ role: roles/gkehub.serviceAgent, members: [\"{AGENT}\"] }}] }} }}"
    );
    let world = WORLD.replace("acme-us: { number: 222222222222 }", &policy);
    match membership {
        "" => world,
        fields => format!(
            "{world}fleets: {{ acme-fleet: {{ memberships: [{{ name: us, cluster: acme-us/us-central1/main, {fields} }}] }} }}\n"
        ),
    }
}

fn body(issuer: &str) -> Value {
    json!({"endpoint": {"gkeCluster": {"resourceLink": LINK}}, "authority": {"issuer": issuer}})
}

/// The operation once it is done.
fn done(client: &mut Client, started: &Answer) -> Value {
    assert_eq!(started.status, 200, "{}", started.body);
    let name = started.json()["name"].as_str().expect("a name").to_owned();
    assert_eq!(started.json()["done"], false, "{}", started.body);
    client.json("POST", "/sandbox/v1/clock", &json!({"passSeconds": 60}));
    let ended = client.get(&format!("/v1/{name}"));
    assert_eq!(ended.json()["done"], true, "{}", ended.body);
    ended.json()
}

fn refused(answer: &Answer, status: u16, says: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(answer.body.contains(says), "{}", answer.body);
}

/// What the pool of a fleet makes of a cluster's token.
fn exchange(client: &mut Client, token: &str, pool: &str, provider: &str) -> Answer {
    let body = json!({
        "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": format!("identitynamespace:{pool}:{provider}"),
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
        "subjectToken": token,
        "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt",
    });
    client.json("POST", "/v1/token", &body)
}

/// A token of shop/checkout, as kubelets ask for it.
fn token_for(client: &mut Client, audience: &str) -> String {
    let asked = "/v1/projects/111111111111/locations/us-central1/gkeMemberships/us/api/v1/namespaces/shop/serviceaccounts/checkout/token";
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": [audience]}});
    let answer = client.json("POST", asked, &body);
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()["status"]["token"]
        .as_str()
        .expect("a token")
        .to_owned()
}

fn grant(client: &mut Client) -> Answer {
    let policy = json!({"policy": {"bindings": [{"role": "roles/pubsub.publisher", "members": [CHECKOUT]}], "version": 3}});
    client.json("POST", "/v1/projects/acme-fleet:setIamPolicy", &policy)
}

fn fits(sandbox: &Sandbox) {
    assert_eq!(sandbox.misfits().expect("checked").list(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_another_project_joins_by_its_issuer_and_is_somebody_in_the_fleets_pool() {
    // The agent of the fleet has to be let in first.
    let outside = start(WORLD).await;
    let mut client = Client::of(&outside);
    let path = format!("{MEMBERS}?membershipId=us");
    refused(
        &client.json("POST", &path, &body(ISSUER)),
        403,
        "hub default service account does not have access to the GKE cluster project",
    );

    let sandbox = start(&registered("")).await;
    let mut client = Client::of(&sandbox);
    refused(&grant(&mut client), 400, "Identity Pool does not exist");
    // Registered without an issuer, it is a member whose tokens nobody takes.
    let bare = json!({"endpoint": {"gkeCluster": {"resourceLink": LINK}}});
    let ended = client.json("POST", &path, &bare);
    let ended = done(&mut client, &ended);
    assert_eq!(ended["response"]["authority"], Value::Null, "{ended}");
    refused(&grant(&mut client), 400, "Identity Pool does not exist");
    let cluster = client.get("/v1/projects/acme-us/locations/us-central1/clusters/main");
    assert_eq!(cluster.json()["fleet"]["project"], "acme-fleet");

    let us = format!("{MEMBERS}/us?updateMask=authority");
    let ended = client.json("PATCH", &us, &json!({"authority": {"issuer": ISSUER}}));
    let ended = done(&mut client, &ended);
    let authority = &ended["response"]["authority"];
    let pool = "acme-fleet.svc.id.goog";
    assert_eq!(authority["workloadIdentityPool"], pool);
    let provider = authority["identityProvider"]
        .as_str()
        .expect("a provider")
        .to_owned();
    assert_eq!(grant(&mut client).status, 200);

    let token = token_for(&mut client, pool);
    let exchanged = exchange(&mut client, &token, pool, &provider);
    assert_eq!(exchanged.status, 200, "{}", exchanged.body);
    let mut pod = Client::of(&sandbox);
    pod.token = exchanged.json()["access_token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let question = json!({"permissions": ["pubsub.topics.publish", "storage.objects.get"]});
    let may = pod.json(
        "POST",
        "/v1/projects/acme-fleet:testIamPermissions",
        &question,
    );
    assert_eq!(
        may.json(),
        json!({"permissions": ["pubsub.topics.publish"]}),
        "{}",
        may.body
    );

    // The same service account is another in the pool of its own project.
    let own_pool = "acme-us.svc.id.goog";
    let token = token_for(&mut client, own_pool);
    let exchanged = exchange(&mut client, &token, own_pool, ISSUER);
    pod.token = exchanged.json()["access_token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let may = pod.json(
        "POST",
        "/v1/projects/acme-fleet:testIamPermissions",
        &question,
    );
    assert_eq!(may.json(), json!({}), "{}", may.body);
    // What is for one pool is not for the other, and a cluster is no provider of a pool that it is not of.
    refused(
        &exchange(&mut client, &token, pool, &provider),
        400,
        "invalid_grant",
    );
    refused(
        &exchange(&mut client, &token, pool, ISSUER),
        400,
        "invalid_target",
    );
    fits(&sandbox);
}

/// Google's own client of Python posts a form, with names of OAuth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_is_exchanged_as_well() {
    let sandbox = start(&registered("workloadIdentity: true")).await;
    let mut client = Client::of(&sandbox);
    let token = token_for(&mut client, "acme-fleet.svc.id.goog");
    let form = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience=identitynamespace%3Aacme-fleet.svc.id.goog%3Ahttps%3A%2F%2Fgkehub.googleapis.com%2Fprojects%2Facme-fleet%2Flocations%2Fus-central1%2Fmemberships%2Fus&scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&subject_token={token}&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt"
    );
    let form_of = "application/x-www-form-urlencoded";
    let exchanged = client.send("POST", "/v1/token", form_of, form.as_bytes());
    assert_eq!(exchanged.status, 200, "{}", exchanged.body);
    let wrong = form.replace("grant_type", "grunt_type");
    assert_eq!(
        client
            .send("POST", "/v1/token", form_of, wrong.as_bytes())
            .status,
        400
    );
    fits(&sandbox);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_is_set_and_cleared_but_never_another() {
    let sandbox = start(&registered("workloadIdentity: true")).await;
    let mut client = Client::of(&sandbox);
    let us = format!("{MEMBERS}/us");
    assert_eq!(client.get(&us).json()["authority"]["issuer"], ISSUER);
    let patch = format!("{us}?updateMask=authority");
    let to = |issuer: &str| json!({"authority": {"issuer": issuer}});
    let other = ISSUER.replace("/main", "/rebuilt");
    refused(
        &client.json("PATCH", &patch, &to(&other)),
        400,
        "must be cleared first",
    );
    let zonal = ISSUER.replace("locations/us-central1", "zones/us-central1-a");
    refused(
        &client.json("PATCH", &patch, &to(&zonal)),
        400,
        "should use 'locations'",
    );
    refused(
        &client.json("PATCH", &patch, &to("http://example.com")),
        400,
        "https",
    );
    let same = client.json("PATCH", &patch, &to(ISSUER));
    done(&mut client, &same);

    let cleared = client.json("PATCH", &patch, &json!({"authority": {}}));
    // One change at a time.
    refused(
        &client.json("PATCH", &patch, &to(ISSUER)),
        409,
        "already in progress",
    );
    done(&mut client, &cleared);
    assert_eq!(client.get(&us).json()["authority"], Value::Null);
    let token = token_for(&mut client, "acme-fleet.svc.id.goog");
    let provider =
        "https://gkehub.googleapis.com/projects/acme-fleet/locations/us-central1/memberships/us";
    let ended = exchange(&mut client, &token, "acme-fleet.svc.id.goog", provider);
    refused(&ended, 400, "invalid_target");

    // Tokens of the cluster are not those of the issuer that is now the member's.
    let set = client.json("PATCH", &patch, &to(&other));
    done(&mut client, &set);
    let ended = exchange(&mut client, &token, "acme-fleet.svc.id.goog", provider);
    refused(&ended, 400, "issuer");
    fits(&sandbox);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_in_one_fleet_and_its_membership_outlives_it() {
    let older = "fleets: { acme-fleet: { workloadIdentityPool: acme-fleet.hub.id.goog,";
    let world = registered("workloadIdentity: true").replace("fleets: { acme-fleet: {", older);
    let sandbox = start(&world).await;
    let mut client = Client::of(&sandbox);
    let all = client
        .get("/v1/projects/acme-fleet/locations/-/memberships")
        .json();
    let [us] = all["resources"].as_array().expect("memberships").as_slice() else {
        panic!("{all}");
    };
    assert_eq!(
        us["authority"]["workloadIdentityPool"],
        "acme-fleet.hub.id.goog"
    );
    let elsewhere = "/v1/projects/acme-us/locations/us-central1/memberships?membershipId=us";
    refused(
        &client.json("POST", elsewhere, &body(ISSUER)),
        400,
        "registered already",
    );
    let again = format!("{MEMBERS}?membershipId=us");
    refused(
        &client.json("POST", &again, &body(ISSUER)),
        409,
        "already exists",
    );

    let cluster = "/v1/projects/acme-us/locations/us-central1/clusters/main";
    assert_eq!(client.json("DELETE", cluster, &json!({})).status, 200);
    client.json("POST", "/sandbox/v1/clock", &json!({"passSeconds": 3600}));
    let us = format!("{MEMBERS}/us");
    let left = client.get(&us).json();
    assert_eq!(
        left["endpoint"]["gkeCluster"]["clusterMissing"], true,
        "{left}"
    );
    let gone = client.json("DELETE", &us, &json!({}));
    done(&mut client, &gone);
    assert_eq!(client.get(&us).status, 404);
    fits(&sandbox);
}
