//! Contexts of a kubeconfig: whose programs are run, and to whom tokens go.

mod endpoint;
mod plugin;
mod which;
mod who;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use crate::support::front::{Answered, Authority, Certificate, Front, Upstream};
use crate::support::served::Served;
use crate::support::tunnel::Tunnel;
use crate::support::{Place, Ran, flat};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const SPEC: &str = "apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: { location: europe-west1-b, access: { kubeconfig: mine, context: CONTEXT } }
namespaces:
  shop: { serviceAccounts: { checkout: {} } }
";

const WORLD: &str = "apiVersion: wi.sandbox/v1
projects: { acme-prod: {} }
clusters:
  - { project: acme-prod, location: europe-west1-b, name: main, workloadPool: acme-prod.svc.id.goog,
      nodePools: [{ name: default-pool, nodes: 1, workloadMetadata: GKE_METADATA }] }
  - { project: acme-prod, location: europe-west1-b, name: other }
";

/// The sandbox, and its kubeconfig as `mine` after an edit.
fn served(edit: impl FnOnce(&mut Value)) -> Served {
    let context = "gke_acme-prod_europe-west1-b_main";
    let served = Served::of(Place::new(&SPEC.replace("CONTEXT", context), WORLD));
    let text = std::fs::read_to_string(served.place.path("kubeconfig")).expect("a kubeconfig");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    edit(&mut config);
    served.place.write("mine", &config.to_string());
    served
}

fn read(served: &Served, file: &str) -> Value {
    let text = std::fs::read_to_string(served.place.path(file)).expect(file);
    serde_json::from_str(&text).expect("JSON")
}

/// Changes `mine`.
fn edit(served: &Served, edit: impl FnOnce(&mut Value)) {
    let mut config = read(served, "mine");
    edit(&mut config);
    served.place.write("mine", &config.to_string());
}

fn server_of(served: &Served) -> String {
    let config = read(served, "mine");
    let server = &config["clusters"][0]["cluster"]["server"];
    server.as_str().expect("a server").to_owned()
}

/// The sandbox's API server, with the sandbox's token.
fn upstream(served: &Served) -> Upstream {
    let config = read(served, "kubeconfig");
    let cluster = &config["clusters"][0]["cluster"];
    let ca = cluster["certificate-authority-data"]
        .as_str()
        .expect("a CA");
    let ca = STANDARD.decode(ca).expect("base64");
    let ca = reqwest::Certificate::from_pem(&ca).expect("PEM");
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .gzip(false)
        .build();
    let token = std::fs::read_to_string(&served.token_file).expect("a token");
    Upstream {
        client: client.expect("a client"),
        server: cluster["server"].as_str().expect("a server").to_owned(),
        token: token.trim().to_owned(),
    }
}

/// Lets `mine` point to a front.
fn point(served: &Served, front: &Front) {
    edit(served, |config| {
        let cluster = &mut config["clusters"][0]["cluster"];
        cluster["server"] = json!(front.url());
        cluster["certificate-authority-data"] = json!(STANDARD.encode(&front.authority.pem));
    });
}

/// A front of this name before the sandbox, to which `mine` points.
fn in_front(served: &Served, name: &str, clients: Option<&Authority>) -> Front {
    let upstream = upstream(served);
    let front = Front::new(
        name,
        clients,
        Arc::new(move |asked| {
            let upstream = upstream.clone();
            Box::pin(async move { upstream.pass(&asked).await })
        }),
    );
    point(served, &front);
    front
}

fn with_plugin(plugin: Value) -> Served {
    served(|config| config["users"][0]["user"] = json!({ "exec": plugin }))
}

fn script(served: &Served, name: &str, text: &str) {
    served.place.write(name, text);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(served.place.path(name), mode).expect("permissions");
}

fn plugin() -> Value {
    json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "./login", "args": ["--for", "wi"],
        "env": [{"name": "REGION", "value": "eu"}], "installHint": "Get it from the platform team.",
        "interactiveMode": "Never", "provideClusterInfo": true})
}

fn plan(served: &Served, allowed: bool) -> Ran {
    let mut command = served.command(&["plan", "wi.yaml"]);
    if allowed {
        command
            .env("WI_ALLOW_EXEC_PLUGINS", "1")
            .env("PATH", "/usr/bin:/bin");
    }
    Ran::of(&mut command)
}

fn credential(served: &Served) -> String {
    let token = std::fs::read_to_string(&served.token_file).expect("a token");
    json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": token.trim(), "expirationTimestamp": "2099-01-01T00:00:00Z"}})
    .to_string()
}

#[test]
fn a_plugin_is_run_only_where_it_is_allowed() {
    let served = with_plugin(plugin());
    let answer = credential(&served);
    script(
        &served,
        "login",
        &format!(
            "#!/bin/sh\necho \"$REGION $* $KUBERNETES_EXEC_INFO\" >> asked\necho '{answer}'\n"
        ),
    );
    let refused = plan(&served, false).fails();
    assert!(
        flat(&refused.out).contains("has the program `./login` run. If it is one of yours, allow it: export WI_ALLOW_EXEC_PLUGINS=1"),
        "{}",
        refused.out
    );
    assert!(!served.place.path("asked").exists(), "it was run");

    plan(&served, true).ok();
    let asked = std::fs::read_to_string(served.place.path("asked")).expect("it was run");
    assert_eq!(asked.lines().count(), 1, "once for all calls: {asked}");
    let (start, info) = asked.split_once('{').expect("JSON");
    assert_eq!(start, "eu --for wi ");
    let info: Value = serde_json::from_str(&format!("{{{info}")).expect("JSON");
    assert_eq!(info["kind"], "ExecCredential");
    assert_eq!(info["apiVersion"], "client.authentication.k8s.io/v1");
    assert_eq!(info["spec"]["interactive"], false);
    assert!(
        info["spec"]["cluster"]["server"]
            .as_str()
            .is_some_and(|s| s.starts_with("https://127.0.0.1:"))
    );
}

#[test]
fn a_plugin_that_fails_is_one_clear_error() {
    let served = with_plugin(plugin());
    let missing = plan(&served, true).fails();
    let text = flat(&missing.out);
    assert!(
        text.contains("cannot be run") && text.contains("Get it from the platform team"),
        "{text}"
    );

    script(
        &served,
        "login",
        "#!/bin/sh\necho 'no session: log in first' >&2\nexit 3\n",
    );
    let text = flat(&plan(&served, true).fails().out);
    assert!(
        text.contains("login` says: no session: log in first"),
        "{text}"
    );

    script(
        &served,
        "login",
        "#!/bin/sh\necho 'token=tok-that-nobody-may-see'\n",
    );
    let failed = plan(&served, true).fails();
    let text = flat(&format!("{}{}", failed.out, failed.err));
    assert!(text.contains("answers with no ExecCredential"), "{text}");
    assert!(!text.contains("tok-that-nobody-may-see"), "{text}");
}

#[test]
fn googles_token_goes_to_the_cluster_and_to_nobody_else() {
    let google = json!({"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "gke-gcloud-auth-plugin",
        "installHint": "Install gke-gcloud-auth-plugin", "provideClusterInfo": true});
    let own = with_plugin(google.clone());
    plan(&own, false).ok();

    // A CA of the file's own does not vouch for it: GKE's does.
    let ca = Authority::new().pem;
    let vouched = with_plugin(google.clone());
    edit(&vouched, |config| {
        let cluster = &mut config["clusters"][0]["cluster"];
        cluster["certificate-authority-data"] = json!(STANDARD.encode(ca));
    });
    plan(&vouched, false).ok();

    // Whoever wrote a kubeconfig with a server of his own would get the token.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("set");
    let port = listener.local_addr().expect("an address").port();
    let foreign = served(|config| {
        config["users"][0]["user"] = json!({ "exec": google });
        config["clusters"][0]["cluster"]["server"] = json!(format!("https://127.0.0.1:{port}"));
    });
    let refused = plan(&foreign, false).fails();
    let text = flat(&refused.out);
    assert!(text.contains("WI_ALLOW_EXEC_PLUGINS"), "{text}");
    assert!(listener.accept().is_err(), "it was called");
}

/// Files that have no end, or that nobody writes to.
#[test]
fn what_is_no_file_is_not_read() {
    let served = served(|config| {
        config["clusters"][0]["cluster"]["certificate-authority"] = json!("/dev/zero");
        let cluster = config["clusters"][0]["cluster"].as_object_mut();
        cluster
            .expect("a cluster")
            .remove("certificate-authority-data");
    });
    let text = flat(&plan(&served, false).fails().out);
    assert!(
        text.contains("names /dev/zero, which cannot be read: not a file"),
        "{text}"
    );
    let spec = std::fs::read_to_string(served.place.path("wi.yaml")).expect("a spec");
    for file in ["/dev/zero", "."] {
        let spec = spec.replace("kubeconfig: mine", &format!("kubeconfig: {file}"));
        served.place.write("wi.yaml", &spec);
        let text = flat(&plan(&served, false).fails().out);
        assert!(text.contains("cannot be read: not a file"), "{text}");
    }
}

#[test]
fn the_home_directory_is_that_of_whoever_connects() {
    let served = served(|_| {});
    let spec = std::fs::read_to_string(served.place.path("wi.yaml")).expect("a spec");
    let spec = spec.replace("kubeconfig: mine", "kubeconfig: ~/mine");
    served.place.write("wi.yaml", &spec);
    let wi = |home: &str, args: &[&str]| {
        let mut command = served.command(args);
        command.env("HOME", served.place.path(home));
        Ran::of(&mut command)
    };
    let (ann, ci) = (served.place.path("ann"), served.place.path("ci"));
    std::fs::create_dir(&ann).expect("a home directory");
    std::fs::rename(served.place.path("mine"), ann.join("mine")).expect("moved");
    wi("ann", &["plan", "--out", "p.plan"]).ok();
    let none = flat(&wi("ci", &["apply", "p.plan"]).fails().err);
    assert!(none.contains("ci/mine cannot be read"), "{none}");

    std::fs::rename(ann, ci).expect("moved");
    wi("ci", &["apply", "p.plan"]).ok();
}

/// Its pods would be taken for those of the cluster whose nodes are recreated.
#[test]
fn a_context_of_another_cluster_is_not_taken_for_this_one() {
    let served = served(|_| {});
    let spec = std::fs::read_to_string(served.place.path("wi.yaml")).expect("a spec");
    let other = spec.replace("europe-west1-b_main", "europe-west1-b_other");
    assert_ne!(other, spec);
    served.place.write("wi.yaml", &other);
    let text = flat(&plan(&served, false).fails().out);
    assert!(
        text.contains("is another cluster's: its nodes have names such as gke-other-default-pool-"),
        "{text}"
    );
    assert!(text.contains("of main begin with gke-main-default-pool-"));
    let moved = plan(&served, false).out;
    assert!(!moved.contains("its nodes recreated"), "{moved}");
}
