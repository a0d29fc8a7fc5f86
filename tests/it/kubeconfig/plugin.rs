//! Plugins: certificates in place of tokens, and answers that are none.

use super::*;

/// A plugin that gives certificate after certificate, and a front that asks for them.
struct Certified {
    served: Served,
    front: Front,
    certificates: Vec<Certificate>,
}

impl Certified {
    /// `status` is more of the answer's; the front refuses the first certificate where it is told to.
    fn new(status: &Value, refuses_first: bool) -> Self {
        let served = with_plugin(plugin());
        let clients = Authority::new();
        let certificates: Vec<Certificate> = (0..9)
            .map(|n| clients.issue(&format!("user-{n}")))
            .collect();
        for (n, certificate) in certificates.iter().enumerate() {
            let mut answer = json!({ "apiVersion": "client.authentication.k8s.io/v1",
                "kind": "ExecCredential", "status": status });
            answer["status"]["clientCertificateData"] = json!(certificate.pem);
            answer["status"]["clientKeyData"] = json!(certificate.key);
            served
                .place
                .write(&format!("answer-{n}"), &answer.to_string());
        }
        script(
            &served,
            "login",
            "#!/bin/sh\nn=$(cat asked 2>/dev/null | wc -l)\necho x >> asked\n[ $n -gt 8 ] && n=8\ncat answer-$n\n",
        );
        let first = certificates[0].der.clone();
        let upstream = upstream(&served);
        let front = Front::new(
            "127.0.0.1",
            Some(&clients),
            Arc::new(move |asked| {
                let (upstream, first) = (upstream.clone(), first.clone());
                Box::pin(async move {
                    match &asked.certificate {
                        Some(shown) if !(refuses_first && *shown == first) => {
                            upstream.pass(&asked).await
                        }
                        _ => Answered::empty(401),
                    }
                })
            }),
        );
        point(&served, &front);
        Self {
            served,
            front,
            certificates,
        }
    }

    /// The numbers of the certificates that calls were made with, each once.
    fn shown(&self) -> Vec<usize> {
        let mut shown = Vec::new();
        for asked in self.front.asked() {
            let der = asked.certificate.expect("a certificate");
            let number = self.certificates.iter().position(|c| c.der == der);
            let number = number.expect("one of the plugin's");
            if !shown.contains(&number) {
                shown.push(number);
            }
        }
        shown
    }

    fn times_run(&self) -> usize {
        let asked = std::fs::read_to_string(self.served.place.path("asked"));
        asked.unwrap_or_default().lines().count()
    }
}

#[test]
fn a_plugin_may_give_a_client_certificate() {
    let certified = Certified::new(&json!({}), false);
    plan(&certified.served, true).ok();
    assert_eq!((certified.shown(), certified.times_run()), (vec![0], 1));
    let asked = certified.front.asked();
    assert!(
        asked
            .iter()
            .all(|a| !a.headers.contains_key("authorization"))
    );
}

#[test]
fn and_a_token_beside_it() {
    let certified = Certified::new(&json!({ "token": "tok" }), false);
    plan(&certified.served, true).ok();
    let asked = certified.front.asked();
    assert!(!asked.is_empty());
    assert!(
        asked
            .iter()
            .all(|a| a.headers["authorization"] == "Bearer tok")
    );
    assert_eq!(certified.shown(), [0]);
}

#[test]
fn a_certificate_that_is_refused_is_renewed() {
    let certified = Certified::new(&json!({}), true);
    plan(&certified.served, true).ok();
    assert_eq!((certified.shown(), certified.times_run()), (vec![0, 1], 2));
}

#[test]
fn a_certificate_that_has_ended_is_renewed() {
    let ended = json!({ "expirationTimestamp": "2020-01-01T00:00:00Z" });
    let certified = Certified::new(&ended, false);
    plan(&certified.served, true).ok();
    assert!(certified.shown().len() > 1, "{:?}", certified.shown());
    let lasting = json!({ "expirationTimestamp": "2099-01-01T00:00:00Z" });
    let certified = Certified::new(&lasting, false);
    plan(&certified.served, true).ok();
    assert_eq!(certified.times_run(), 1);
}

#[test]
fn answers_that_are_none() {
    let served = with_plugin(plugin());
    let v1 = "client.authentication.k8s.io/v1";
    for (answer, said) in [
        (
            json!({ "kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1beta1",
                "status": { "token": "hunter2" } }),
            "is asked for client.authentication.k8s.io/v1 and answers in \"client.authentication.k8s.io/v1beta1\"",
        ),
        (
            json!({ "kind": "ExecCredential", "apiVersion": v1, "status": { "clientKeyData": "hunter2" } }),
            "gave a client certificate or its key, and not both",
        ),
        (
            json!({ "kind": "ExecCredential", "apiVersion": v1, "status": {} }),
            "gave neither a token nor a client certificate",
        ),
        (
            json!({ "kind": "ExecCredential", "apiVersion": v1, "spec": {} }),
            "answers without a `status`",
        ),
        (
            json!({ "kind": "Secret", "apiVersion": v1, "status": { "token": "hunter2" } }),
            "answers with no ExecCredential",
        ),
        (
            json!({ "kind": "ExecCredential", "apiVersion": v1,
                "status": { "token": "hunter2", "expirationTimestamp": "tomorrow" } }),
            "gave an expirationTimestamp that is no time",
        ),
        (
            json!({ "kind": "ExecCredential", "apiVersion": v1,
                "status": { "clientCertificateData": "hunter2", "clientKeyData": "hunter2" } }),
            "the client certificate or its key cannot be read",
        ),
    ] {
        script(&served, "login", &format!("#!/bin/sh\necho '{answer}'\n"));
        let ran = plan(&served, true).fails();
        let text = flat(&format!("{} {}", ran.out, ran.err));
        assert!(text.contains(said), "{answer}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    // kubectl takes YAML as well.
    let token = std::fs::read_to_string(&served.token_file).expect("a token");
    let yaml = format!(
        "apiVersion: {v1}\nkind: ExecCredential\nstatus:\n  token: {}\n  expirationTimestamp: null\n",
        token.trim()
    );
    served.place.write("answer", &yaml);
    script(&served, "login", "#!/bin/sh\ncat answer\n");
    plan(&served, true).ok();
}

#[test]
fn plugins_that_cannot_be_run_are_not() {
    let served = with_plugin(plugin());
    script(&served, "login", "#!/bin/sh\ntouch was-run\n");
    for (field, value, said) in [
        (
            "interactiveMode",
            "Always",
            "needs a terminal to ask on (interactiveMode: Always), and wi lends it none",
        ),
        (
            "apiVersion",
            "client.authentication.k8s.io/v1alpha1",
            "is to be spoken to in \"client.authentication.k8s.io/v1alpha1\", and wi speaks",
        ),
        ("command", "", "has an `exec` without a `command`"),
    ] {
        edit(&served, |config| {
            let mut plugin = plugin();
            plugin[field] = json!(value);
            config["users"][0]["user"] = json!({ "exec": plugin });
        });
        let text = flat(&plan(&served, true).fails().out);
        assert!(text.contains(said), "{text}");
    }
    assert!(!served.place.path("was-run").exists());

    edit(&served, |config| {
        config["users"][0]["user"] = json!({ "exec": plugin() })
    });
    script(&served, "login", "#!/bin/sh\nexec cat /dev/zero\n");
    let text = flat(&plan(&served, true).fails().out);
    assert!(text.contains("printed more than 1048576 bytes"), "{text}");
}
