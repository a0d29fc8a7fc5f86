//! Over all combinations of how a container has the key, how the volume has it, and what stands beside it.

use serde_json::{Value, json};
use wi_core::migrate::edit::uses;
use wi_core::migrate::patch::patches;
use wi_core::migrate::{Accept, DataKey};

use crate::applied::{json_patch, merge, without_empty};
use crate::support::Around;

const WAYS: [&str; 6] = ["variable", "flag", "two words", "value", "mount", "none"];
const VOLUMES: [&str; 6] = [
    "whole",
    "items",
    "some items",
    "projected",
    "projected beside",
    "sub path",
];
const BESIDE: [&str; 5] = ["nothing", "variables", "second", "init", "mounts below"];

fn volume(form: &str) -> Value {
    let key = json!({"key": "key.json", "path": "sa.json"});
    let source = match form {
        "whole" => json!({"secret": {"secretName": "checkout-key"}}),
        "items" | "sub path" => json!({"secret": {"secretName": "mixed", "items": [key]}}),
        "some items" => {
            json!({"secret": {"secretName": "mixed", "items": [{"key": "password", "path": "pw"}, key]}})
        }
        "projected" => {
            json!({"projected": {"sources": [{"secret": {"name": "checkout-key", "items": [key]}}]}})
        }
        _ => json!({"projected": {"sources": [
            {"serviceAccountToken": {"path": "token"}},
            {"secret": {"name": "mixed", "items": [key, {"key": "password", "path": "pw"}]}},
        ]}}),
    };
    let mut volume = json!({"name": "key", "defaultMode": 420});
    let fields = source.as_object().expect("a map").clone();
    volume.as_object_mut().expect("a map").extend(fields);
    volume
}

fn template(way: &str, form: &str, beside: &str) -> Value {
    let file = if form == "whole" {
        "key.json"
    } else {
        "sa.json"
    };
    let (mut mount, path) = match form {
        "sub path" => (
            json!({"name": "key", "mountPath": "/etc/sa.json", "subPath": "sa.json"}),
            "/etc/sa.json".to_owned(),
        ),
        _ => (
            json!({"name": "key", "mountPath": "/k/"}),
            format!("/k/{file}"),
        ),
    };
    mount["readOnly"] = json!(true);
    let mut app = json!({
        "name": "app", "image": "shop/app", "command": ["/app"], "args": ["--port", "80"],
        "env": [], "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    });
    let push = |of: &mut Value, item: Value| of.as_array_mut().expect("a list").push(item);
    match way {
        "variable" => push(
            &mut app["env"],
            json!({"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": path}),
        ),
        "flag" => push(
            &mut app["args"],
            json!(format!("--credentials-file={path}")),
        ),
        "two words" => {
            push(&mut app["args"], json!("--credentials-file"));
            push(&mut app["args"], json!(path));
        }
        "value" => push(
            &mut app["env"],
            json!({"name": "GOOGLE_CREDENTIALS", "valueFrom": {"secretKeyRef": {"name": "mixed", "key": "key.json"}}}),
        ),
        _ => {}
    }
    let mut volumes = vec![json!({"name": "tmp", "emptyDir": {}})];
    if !matches!(way, "value" | "none") {
        push(&mut app["volumeMounts"], mount.clone());
        volumes.push(volume(form));
    }
    let mut spec = json!({"serviceAccountName": "checkout", "volumes": volumes});
    let mut containers = vec![];
    match beside {
        "variables" => {
            push(&mut app["env"], json!({"name": "MODE", "value": "$(HOME)/fast"}));
            push(&mut app["env"], json!({"name": "PW", "valueFrom": {"secretKeyRef": {"name": "mixed", "key": "password"}}}));
        }
        "second" => containers.push(json!({
            "name": "side", "env": [{"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/own/key.json"}],
            "volumeMounts": [{"name": "tmp", "mountPath": "/own"}],
        })),
        "init" => spec["initContainers"] = json!([{"name": "first", "args": ["wait"]}]),
        "mounts below" => push(&mut app["volumeMounts"], json!({"name": "tmp", "mountPath": "/k/tmp"})),
        _ => {}
    }
    containers.push(app);
    spec["containers"] = Value::Array(containers);
    json!({"metadata": {"labels": {"app": "web"}, "annotations": {"a": "/k/sa.json"}}, "spec": spec})
}

/// The texts of a value that are not of the key, in order.
fn others(value: &Value, keys: &std::collections::BTreeSet<DataKey>) -> Vec<String> {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => found.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|i| walk(i, found)),
            Value::Object(map) => map.values().for_each(|v| walk(v, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, &mut found);
    let of_key = [
        "key",
        "/k/",
        "--credentials-file",
        "GOOGLE_CREDENTIALS",
        "sa.json",
        "/etc/sa.json",
        "key.json",
        "/k/sa.json",
        "/k/key.json",
    ];
    let secrets: Vec<&str> = keys.iter().map(|(s, _)| s.as_str()).collect();
    found.retain(|t| {
        !of_key.contains(&t.as_str())
            && !secrets.contains(&t.as_str())
            && !t.starts_with("--credentials-file=")
            && t != "GOOGLE_APPLICATION_CREDENTIALS"
    });
    found
}

#[test]
fn key_is_gone_all_else_stays_and_patches_do_the_same() {
    let mut around = Around::accepting(Accept::UnknownReader);
    let mut edited_count = 0;
    for way in WAYS {
        for form in VOLUMES {
            for beside in BESIDE {
                for mixed_nodes in [false, true] {
                    around.mixed_nodes = mixed_nodes;
                    let case = format!("{way}, {form}, {beside}, {mixed_nodes}");
                    let template = template(way, form, beside);
                    let edited = around.edit(&template);
                    assert!(edited.traps.is_empty(), "{case}: {:?}", edited.traps);
                    let pod =
                        serde_json::from_value(edited.template["spec"].clone()).expect("a pod");
                    assert_eq!(uses(&pod, &around.wanted()), [], "{case}");
                    let mut expected = others(&template["spec"], &around.keys);
                    let mut left = others(&edited.template["spec"], &around.keys);
                    left.retain(|t| !mixed_nodes || t != "true");
                    expected.sort();
                    left.sort();
                    assert_eq!(left, expected, "{case}");
                    assert_eq!(edited.template["metadata"], template["metadata"], "{case}");
                    edited_count += usize::from(!edited.steps.is_empty());
                    for kind in ["Deployment", "CronJob"] {
                        let of = |template: &Value| match kind {
                            "CronJob" => {
                                json!({"spec": {"jobTemplate": {"spec": {"template": template}}}})
                            }
                            _ => json!({"spec": {"template": template}}),
                        };
                        let patches = patches("v1", kind, "shop", "web", &edited.steps);
                        let mut patched = of(&template);
                        // Of lists it takes something out, and does nothing else.
                        for operation in &patches.json {
                            let kind = operation["op"].as_str();
                            assert!(matches!(kind, Some("test" | "remove")), "{operation}");
                            let path = operation["path"].as_str().expect("a path");
                            let (list, _) = path.rsplit_once('/').expect("a parent");
                            let is_list = patched.pointer(list).is_some_and(Value::is_array);
                            assert!(kind == Some("test") || is_list, "{operation}");
                        }
                        json_patch(&mut patched, &patches.json);
                        if let Some(patch) = &patches.merge {
                            let spec = json!({"spec": patch["spec"]});
                            merge(&mut patched, &spec);
                        }
                        let mut wanted = of(&edited.template);
                        without_empty(&mut patched);
                        without_empty(&mut wanted);
                        assert_eq!(patched, wanted, "{case}, {kind}");
                    }
                }
            }
        }
    }
    // Not all for nothing.
    assert!(edited_count >= 290, "{edited_count}");
}
