//! As whom: impersonation, token files, and ways to log in that there are no more.

use super::*;

#[test]
fn whoever_acts_as_somebody_else_does_so_with_every_call() {
    let served = served(|config| {
        let user = &mut config["users"][0]["user"];
        user["as"] = json!("jane@example.com");
        user["as-uid"] = json!("42");
        user["as-groups"] = json!(["devs", "ops"]);
        user["as-user-extra"] = json!({ "acme.com/project": ["a", "b"] });
    });
    let front = in_front(&served, "127.0.0.1", None);
    plan(&served, false).ok();
    let asked = front.asked();
    assert!(!asked.is_empty());
    for one in asked {
        let all = |name: &str| -> Vec<&str> {
            let values = one.headers.get_all(name).iter();
            values.map(|v| v.to_str().expect("text")).collect()
        };
        assert_eq!(all("impersonate-user"), ["jane@example.com"]);
        assert_eq!(all("impersonate-uid"), ["42"]);
        assert_eq!(all("impersonate-group"), ["devs", "ops"]);
        assert_eq!(all("impersonate-extra-acme.com%2fproject"), ["a", "b"]);
        assert!(one.headers.contains_key("authorization"));
    }
}

#[test]
fn half_of_somebody_else_is_nobody() {
    let served = served(|config| config["users"][0]["user"]["as-groups"] = json!(["devs"]));
    let front = in_front(&served, "127.0.0.1", None);
    let text = flat(&plan(&served, false).fails().out);
    assert!(
        text.contains("has `as-uid`, `as-groups` or `as-user-extra` without `as`"),
        "{text}"
    );
    assert!(front.asked().is_empty());
}

#[test]
fn a_token_file_wins_over_a_token_where_it_can_be_read() {
    let served = served(|config| config["users"][0]["user"]["tokenFile"] = json!("later"));
    plan(&served, true).ok(); // it is not there, the token is

    served.place.write("later", "a-token-that-is-wrong");
    let text = flat(&plan(&served, true).fails().out);
    assert!(text.contains("401"), "{text}");

    let token = std::fs::read_to_string(&served.token_file).expect("a token");
    served.place.write("later", &format!("{token}\n"));
    edit(&served, |config| {
        config["users"][0]["user"]["token"] = json!("a-token-that-is-wrong");
    });
    plan(&served, true).ok();

    std::fs::remove_file(served.place.path("later")).expect("removed");
    edit(&served, |config| {
        config["users"][0]["user"] = json!({ "tokenFile": "later" });
    });
    let text = flat(&plan(&served, true).fails().out);
    assert!(
        text.contains("cannot read the access token file later"),
        "{text}"
    );
}

#[test]
fn a_token_file_is_sent_only_where_it_is_allowed() {
    let elsewhere = tempfile::tempdir().expect("a directory");
    let secret = elsewhere.path().join("job-token");
    std::fs::write(&secret, "tok-of-the-job").expect("written");
    let served = served(|config| {
        config["users"][0]["user"] = json!({ "tokenFile": secret });
    });
    let front = in_front(&served, "127.0.0.1", None);
    let text = flat(&plan(&served, false).fails().out);
    assert!(text.contains("export WI_ALLOW_EXEC_PLUGINS=1"), "{text}");
    // A link to it is the same.
    std::os::unix::fs::symlink(&secret, served.place.path("link")).expect("a link");
    edit(&served, |config| {
        config["users"][0]["user"] = json!({ "tokenFile": "link" });
    });
    plan(&served, false).fails();
    assert!(front.asked().is_empty(), "it was sent");
    plan(&served, true);
    let sent = front.asked();
    assert_eq!(sent[0].headers["authorization"], "Bearer tok-of-the-job");
}

#[test]
fn ways_that_are_none_are_said_with_a_way_out() {
    let served = served(|_| {});
    for (user, said) in [
        (
            json!({ "username": "admin", "password": "hunter2" }),
            "has a `username` or a `password`, which API servers have not taken since Kubernetes 1.19. Use a token, a client certificate or a plugin",
        ),
        (
            json!({ "auth-provider": { "name": "gcp", "config": { "access-token": "hunter2" } } }),
            "logs in by the `auth-provider` gcp, and wi by none. Use a token, a client certificate or a plugin (`exec`): `gcloud container clusters get-credentials`",
        ),
        (
            json!({ "client-certificate-data": "aHVudGVyMg==" }),
            "has a client certificate without its key",
        ),
        (
            json!({ "client-certificate-data": "aHVudGVyMg==", "client-key-data": "hunter2" }),
            "has data that is not base64",
        ),
        (
            json!({ "client-certificate-data": "aHVudGVyMg==", "client-key-data": "aHVudGVyMg==" }),
            "the client certificate or its key cannot be read",
        ),
        (Value::Null, "has neither token nor client certificate"),
    ] {
        edit(&served, |config| config["users"][0]["user"] = user.clone());
        let ran = plan(&served, true).fails();
        let text = flat(&format!("{} {}", ran.out, ran.err));
        assert!(text.contains(said), "{user}: {text}");
        assert!(
            !text.contains("hunter2") && !text.contains("aHVudGVy"),
            "{text}"
        );
    }
}

#[test]
fn nulls_are_what_is_not_set_and_names_are_there_once() {
    let served = with_plugin(json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": "./login", "args": null,
        "env": null, "installHint": null, "interactiveMode": "IfAvailable", "provideClusterInfo": false,
    }));
    edit(&served, |config| {
        config["preferences"] = json!({});
        config["extensions"] = Value::Null;
        config["clusters"][0]["cluster"]["proxy-url"] = Value::Null;
        config["contexts"][0]["context"]["namespace"] = Value::Null;
        for field in [
            "token",
            "tokenFile",
            "as",
            "as-groups",
            "as-user-extra",
            "username",
        ] {
            config["users"][0]["user"][field] = Value::Null;
        }
        let unused = json!({ "name": "unused", "user": null });
        config["users"].as_array_mut().expect("a list").push(unused);
    });
    let answer = credential(&served);
    script(&served, "login", &format!("#!/bin/sh\necho '{answer}'\n"));
    plan(&served, true).ok();

    edit(&served, |config| {
        let again = config["users"][0].clone();
        config["users"].as_array_mut().expect("a list").push(again);
    });
    let text = flat(&plan(&served, true).fails().out);
    assert!(text.contains("has more than one user `"), "{text}");

    edit(&served, |config| config["users"] = Value::Null);
    let text = flat(&plan(&served, true).fails().out);
    assert!(
        text.contains("has no user `") && text.contains("it has none"),
        "{text}"
    );
}
