//! By what way: proxies, the name on the certificate, files beside the kubeconfig.

use super::*;

fn cluster(served: &Served, change: impl FnOnce(&mut Value)) {
    edit(served, |config| {
        change(&mut config["clusters"][0]["cluster"])
    });
}

#[test]
fn the_proxy_of_a_cluster_is_gone_through() {
    let tunnel = Tunnel::connect(false);
    let served = served(|config| {
        let url = format!("http://me:hunter2@{}", tunnel.address);
        config["clusters"][0]["cluster"]["proxy-url"] = json!(url);
    });
    // Whatever the environment says: as with kubectl.
    let mut command = served.command(&["plan", "wi.yaml"]);
    command
        .env("NO_PROXY", "127.0.0.1")
        .env("HTTPS_PROXY", "http://127.0.0.1:1");
    Ran::of(&mut command).ok();
    let asked = tunnel.asked();
    let server = server_of(&served);
    let authority = server.trim_start_matches("https://");
    assert!(!asked.is_empty());
    for one in asked {
        assert!(
            one.starts_with(&format!("CONNECT {authority} HTTP/1.1")),
            "{one}"
        );
        assert!(
            one.to_lowercase()
                .contains("proxy-authorization: basic bwu6ahvudgvymg=="),
            "{one}"
        );
    }

    let refusing = Tunnel::connect(true);
    cluster(&served, |cluster| {
        cluster["proxy-url"] = json!(format!("http://me:hunter2@{}", refusing.address));
    });
    let ran = plan(&served, false).fails();
    let text = format!("{} {}", ran.out, ran.err);
    assert!(
        !refusing.asked().is_empty() && !text.contains("hunter2"),
        "{text}"
    );

    cluster(&served, |cluster| {
        cluster["server"] = json!("https://me:hunter2@127.0.0.1:1")
    });
    let text = flat(&plan(&served, false).fails().out);
    assert!(
        text.contains("has a user or a password in its server's address")
            && !text.contains("hunter2"),
        "{text}"
    );
    cluster(&served, |cluster| cluster["server"] = json!(server));
    for odd in ["ftp://me:hunter2@proxy", "hunter2", "http://"] {
        cluster(&served, |cluster| cluster["proxy-url"] = json!(odd));
        let text = flat(&plan(&served, false).fails().out);
        assert!(text.contains("`proxy-url` that is none"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_socks_proxy_looks_up_the_name() {
    let tunnel = Tunnel::socks();
    let served = served(|_| {});
    let front = in_front(&served, "only-the-proxy-knows.test", None);
    cluster(&served, |cluster| {
        let port = front.address.port();
        cluster["server"] = json!(format!("https://only-the-proxy-knows.test:{port}"));
        cluster["proxy-url"] = json!(format!("socks5://{}", tunnel.address));
    });
    plan(&served, false).ok();
    let port = front.address.port();
    assert!(
        tunnel
            .asked()
            .contains(&format!("only-the-proxy-knows.test:{port}"))
    );
}

#[test]
fn googles_token_goes_through_no_proxy_of_a_kubeconfig() {
    let tunnel = Tunnel::connect(false);
    let served = with_plugin(json!({
        "apiVersion": "client.authentication.k8s.io/v1beta1", "command": "gke-gcloud-auth-plugin",
        "provideClusterInfo": true,
    }));
    plan(&served, false).ok();
    cluster(&served, |cluster| {
        cluster["proxy-url"] = json!(format!("http://{}", tunnel.address));
    });
    let text = flat(&plan(&served, false).fails().out);
    assert!(text.contains("WI_ALLOW_EXEC_PLUGINS"), "{text}");
    assert!(tunnel.asked().is_empty());
}

#[test]
fn the_name_on_the_certificate_may_be_another() {
    let served = served(|_| {});
    let front = in_front(&served, "kubernetes.test", None);
    plan(&served, false).fails(); // 127.0.0.1 is not on it
    assert!(front.asked().is_empty());

    cluster(&served, |cluster| {
        cluster["tls-server-name"] = json!("kubernetes.test")
    });
    plan(&served, false).ok();
    let asked = front.asked();
    assert!(!asked.is_empty());
    for one in asked {
        assert_eq!(one.server_name.as_deref(), Some("kubernetes.test"));
        assert_eq!(one.headers["host"], front.address.to_string());
    }

    // What cannot be done is said, not left out.
    let proxied = |proxies: &[(&str, &str)]| {
        let mut command = served.command(&["plan", "wi.yaml"]);
        command.envs(proxies.iter().copied());
        Ran::of(&mut command)
    };
    let proxy = ("HTTPS_PROXY", "http://127.0.0.1:1");
    proxied(&[proxy]).ok(); // it is this machine
    cluster(&served, |cluster| {
        cluster["server"] = json!("https://10.0.0.1:1")
    });
    let said = "`tls-server-name` kubernetes.test, which wi cannot check through a proxy";
    let text = flat(&proxied(&[proxy]).fails().out);
    assert!(text.contains(said), "{text}");
    cluster(&served, |cluster| {
        cluster["server"] = json!(front.url());
        cluster["proxy-url"] = json!("http://127.0.0.1:1");
    });
    let text = flat(&plan(&served, false).fails().out);
    assert!(text.contains(said), "{text}");
    cluster(&served, |cluster| cluster["proxy-url"] = Value::Null);
    for odd in ["10.0.0.1", "a/b", "x@y"] {
        cluster(&served, |cluster| cluster["tls-server-name"] = json!(odd));
        let text = flat(&plan(&served, false).fails().out);
        assert!(
            text.contains("checks certificates by DNS names only"),
            "{text}"
        );
    }
    cluster(&served, |cluster| {
        cluster["tls-server-name"] = json!("other.test")
    });
    plan(&served, false).fails();
}

#[test]
fn files_are_relative_to_the_kubeconfig() {
    let served = served(|config| {
        let cluster = &mut config["clusters"][0]["cluster"];
        cluster["certificate-authority-data"] = Value::Null;
        cluster["certificate-authority"] = json!("pki/ca.pem");
        config["users"][0]["user"] = json!({ "exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": "bin/login",
            "interactiveMode": "Never", "provideClusterInfo": true } });
    });
    for directory in ["conf", "conf/pki", "conf/bin"] {
        std::fs::create_dir(served.place.path(directory)).expect(directory);
    }
    let original = read(&served, "kubeconfig");
    let ca = original["clusters"][0]["cluster"]["certificate-authority-data"].clone();
    let pem = STANDARD.decode(ca.as_str().expect("text")).expect("base64");
    std::fs::write(served.place.path("conf/pki/ca.pem"), pem).expect("written");
    let answer = credential(&served);
    script(
        &served,
        "conf/bin/login",
        &format!("#!/bin/sh\necho \"$KUBERNETES_EXEC_INFO\" > asked\necho '{answer}'\n"),
    );
    edit(&served, |config| {
        config["clusters"][0]["cluster"]["extensions"] = json!([
            { "name": "client.authentication.k8s.io/exec", "extension": { "audience": "x" } },
        ]);
    });
    std::fs::rename(served.place.path("mine"), served.place.path("conf/mine")).expect("moved");
    let spec = std::fs::read_to_string(served.place.path("wi.yaml")).expect("a spec");
    served.place.write(
        "wi.yaml",
        &spec.replace("kubeconfig: mine", "kubeconfig: conf/mine"),
    );
    plan(&served, true).ok();
    // A plugin that asks for the cluster gets the CA itself, and what is meant for it.
    let info = read(&served, "asked");
    assert_eq!(info["spec"]["cluster"]["certificate-authority-data"], ca);
    assert_eq!(info["spec"]["cluster"]["config"]["audience"], "x");
}
