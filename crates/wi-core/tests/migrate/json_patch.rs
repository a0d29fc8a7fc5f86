//! JSON patches from one state of an object to another.

use serde_json::{Value, json};
use wi_core::migrate::json_patch::between;

use crate::applied::json_patch;

fn holds(before: &Value, after: &Value) -> Vec<Value> {
    let operations = between("/x", before, after);
    let mut patched = json!({ "x": before });
    json_patch(&mut patched, &operations);
    assert_eq!(patched["x"], *after, "{operations:?}");
    operations
}

#[test]
fn patch_makes_one_of_the_other_and_tests_what_goes() {
    let before = json!({
        "containers": [{
            "name": "app",
            "env": [{"name": "A", "value": "s3cret"}, {"name": "B", "value": "other"}, {"name": "C"}],
            "args": ["run", "--key=/k/key.json", "-v"],
            "volumeMounts": [{"name": "k", "mountPath": "/k"}, {"name": "k", "mountPath": "/l"}],
        }],
        "a/b~c": 1,
        "volumes": [{"name": "k"}],
    });
    let after = json!({
        "containers": [{
            "name": "app",
            "env": [{"name": "A", "value": "s3cret"}, {"name": "C"}, {"name": "P", "value": "acme"}],
            "args": ["run", "-v"],
            "volumeMounts": [{"name": "k", "mountPath": "/l"}],
        }],
        "a/b~c": 2,
        "nodeSelector": {"a/b": "true"},
    });
    let operations = holds(&before, &after);
    let text = Value::from(operations.clone()).to_string();
    assert!(
        !text.contains("s3cret") && !text.contains("other"),
        "{text}"
    );
    let test = json!({"op": "test", "path": "/x/containers/0/env/1/name", "value": "B"});
    assert!(operations.contains(&test), "{text}");
    let test =
        json!({"op": "test", "path": "/x/containers/0/args/1", "value": "--key=/k/key.json"});
    assert!(operations.contains(&test), "{text}");
    holds(&after, &before);
    holds(&json!([1, 2, 3]), &json!([3, 1]));
    holds(&json!(["a", "a", "b"]), &json!(["a", "b"]));
    assert!(between("/x", &after, &after).is_empty());
}
