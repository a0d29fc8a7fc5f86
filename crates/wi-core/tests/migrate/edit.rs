//! What goes, what stays, and what stands against it, case by case.

use wi_core::migrate::Accept;
use wi_core::migrate::edit::METADATA_NODES;

use crate::support::{Around, template, traps};

/// The usual way: variable, mount, volume.
const USUAL: &str = r#"
    serviceAccountName: checkout
    volumes:
      - { name: key, secret: { secretName: checkout-key } }
      - { name: tmp, emptyDir: {} }
    containers:
      - name: app
        image: shop/app
        env:
          - { name: MODE, value: fast }
          - { name: GOOGLE_APPLICATION_CREDENTIALS, value: /k/key.json }
        volumeMounts:
          - { name: tmp, mountPath: /tmp }
          - { name: key, mountPath: /k, readOnly: true }
"#;

fn with(what: &str, by: &str) -> serde_json::Value {
    assert!(USUAL.contains(what), "{what}");
    template(&USUAL.replace(what, by))
}

#[test]
fn variable_mount_and_volume_go_together_and_all_else_stays() {
    let edited = Around::new().edit(&template(USUAL));
    assert_eq!(traps(&edited), [""; 0]);
    let expected = template(
        r#"
        serviceAccountName: checkout
        volumes: [{ name: tmp, emptyDir: {} }]
        containers:
          - name: app
            image: shop/app
            env: [{ name: MODE, value: fast }]
            volumeMounts: [{ name: tmp, mountPath: /tmp }]
        "#,
    );
    assert_eq!(edited.template, expected);
}

#[test]
fn lists_that_are_empty_then_are_left_out_and_a_template_without_the_key_is_as_it_was() {
    let bare = template(
        r#"
        volumes: [{ name: key, secret: { secretName: checkout-key } }]
        initContainers:
          - name: migrate
            env: [{ name: GOOGLE_APPLICATION_CREDENTIALS, value: /k/key.json }]
            volumeMounts: [{ name: key, mountPath: /k }]
        containers: [{ name: app }]
        "#,
    );
    let edited = Around::new().edit(&bare);
    assert_eq!(traps(&edited), [""; 0]);
    let expected = template("{ initContainers: [{ name: migrate }], containers: [{ name: app }] }");
    assert_eq!(edited.template, expected);
    let again = Around::new().edit(&edited.template);
    assert_eq!((again.template, again.steps.len()), (expected, 0));
}

#[test]
fn whole_secret_with_something_else_in_it_is_not_taken_away() {
    let edited = Around::new().edit(&with("secretName: checkout-key", "secretName: mixed"));
    assert_eq!(
        traps(&edited),
        [
            "volume key has all of Secret mixed, and password in it is no key: name those that are needed (items)"
        ]
    );
    // Not opened: nobody knows what else is in it.
    let mut around = Around::new();
    around.secrets.clear();
    assert!(traps(&around.edit(&template(USUAL)))[0].contains("was not opened"));
}

#[test]
fn only_the_key_goes_where_other_data_are_chosen_beside_it() {
    let items = "secretName: mixed, items: [{ key: password, path: pw }, { key: key.json, path: key.json }]";
    let edited = Around::new().edit(&with("secretName: checkout-key", items));
    assert_eq!(traps(&edited), [""; 0]);
    let spec = &edited.template["spec"];
    assert_eq!(
        spec["volumes"][0]["secret"]["items"],
        serde_json::json!([{"key": "password", "path": "pw"}])
    );
    assert_eq!(spec["containers"][0]["volumeMounts"][1]["mountPath"], "/k");
}

#[test]
fn file_that_is_mounted_by_itself_goes_and_its_sibling_of_the_same_volume_stays() {
    let template = template(
        r#"
        volumes:
          - name: key
            secret: { secretName: mixed, items: [{ key: password, path: pw }, { key: key.json, path: sa.json }] }
        containers:
          - name: app
            env: [{ name: GOOGLE_APPLICATION_CREDENTIALS, value: /etc/sa.json }]
            volumeMounts:
              - { name: key, mountPath: /etc/sa.json, subPath: sa.json }
              - { name: key, mountPath: /etc/pw, subPath: pw }
        "#,
    );
    let edited = Around::new().edit(&template);
    assert_eq!(traps(&edited), [""; 0]);
    let spec = &edited.template["spec"];
    let paths = |list: &serde_json::Value, field: &str| -> Vec<String> {
        let items = list.as_array().expect("a list").iter();
        items
            .map(|i| i[field].as_str().expect("a text").to_owned())
            .collect()
    };
    assert_eq!(
        paths(&spec["volumes"][0]["secret"]["items"], "path"),
        ["pw"]
    );
    assert_eq!(
        paths(&spec["containers"][0]["volumeMounts"], "mountPath"),
        ["/etc/pw"]
    );
}

#[test]
fn source_of_a_projected_volume_goes_and_its_siblings_stay() {
    let projected = "projected: { sources: [{ secret: { name: checkout-key } }, { configMap: { name: conf } }] }";
    let edited = Around::new().edit(&with("secret: { secretName: checkout-key }", projected));
    assert_eq!(traps(&edited), [""; 0]);
    assert_eq!(
        edited.template["spec"]["volumes"][0]["projected"]["sources"],
        serde_json::json!([{"configMap": {"name": "conf"}}])
    );
}

#[test]
fn second_container_that_has_the_file_and_is_not_known_to_read_it_holds_it() {
    let second = "      - { name: side, volumeMounts: [{ name: key, mountPath: /side }] }\n";
    let both = template(&format!("{USUAL}{second}"));
    assert_eq!(
        traps(&Around::new().edit(&both)),
        ["container side has the key (mounted at /side), and nothing tells what reads it"]
    );
    let edited = Around::accepting(Accept::UnknownReader).edit(&both);
    assert_eq!(traps(&edited), [""; 0]);
    assert!(
        edited.template["spec"]["containers"][1]
            .get("volumeMounts")
            .is_none()
    );
}

#[test]
fn whatever_speaks_of_the_file_would_find_nothing() {
    for (mention, field) in [
        ("args: [\"--sa=/k/key.json\"]", "args[0]"),
        (
            "command: [sh, -c, \"jq .client_email /k/key.json\"]",
            "command[2]",
        ),
        ("workingDir: /k", "workingDir"),
        (
            "livenessProbe: { exec: { command: [cat, /k/key.json] } }",
            "livenessProbe.exec.command[1]",
        ),
        (
            "args: [\"--sa=$(GOOGLE_APPLICATION_CREDENTIALS)\"]",
            "args[0]",
        ),
        (
            "command: [sh, -c, 'cat \"$GOOGLE_APPLICATION_CREDENTIALS\"']",
            "command[2]",
        ),
        (
            "command: [sh, -c, 'cat ${GOOGLE_APPLICATION_CREDENTIALS}']",
            "command[2]",
        ),
    ] {
        let template = with(
            "image: shop/app",
            &format!("image: shop/app\n        {mention}"),
        );
        let edited = Around::new().edit(&template);
        let found = traps(&edited);
        assert!(
            found.iter().any(|t| t.ends_with(&format!("in {field}"))),
            "{mention}: {found:?}"
        );
        assert_eq!(
            traps(&Around::accepting(Accept::Mentions).edit(&template)),
            [""; 0],
            "{mention}"
        );
    }
    // A variable of the program's own with the path.
    let own = with("value: fast", "value: /k/key.json");
    assert!(traps(&Around::new().edit(&own))[0].ends_with("in env[0].value"));
}

#[test]
fn what_only_looks_like_the_path_or_is_mounted_below_it_holds_nothing() {
    for harmless in [
        "args: [\"/kernel\", \"/opt/k/key.json\", \"/k2/key.json\", \"/k-old\"]",
        "args: [\"$GOOGLE_APPLICATION_CREDENTIALS_HELP\"]",
    ] {
        let template = with(
            "image: shop/app",
            &format!("image: shop/app\n        {harmless}"),
        );
        assert_eq!(traps(&Around::new().edit(&template)), [""; 0], "{harmless}");
    }
    let below = with("mountPath: /tmp", "mountPath: /k/tmp");
    let below = below.to_string().replace("\"fast\"", "\"/k/tmp/cache\"");
    let below = serde_json::from_str(&below).expect("JSON");
    assert_eq!(traps(&Around::new().edit(&below)), [""; 0]);
}

#[test]
fn flags_go_with_their_values_from_arguments_and_not_from_scripts() {
    let proxy = |args: &str| {
        template(&format!(
            r#"
            volumes: [{{ name: key, secret: {{ secretName: checkout-key }} }}]
            containers:
              - name: proxy
                image: gcr.io/cloud-sql-connectors/cloud-sql-proxy:2
                {args}
                volumeMounts: [{{ name: key, mountPath: /k }}]
            "#
        ))
    };
    for args in [
        "args: [\"--credentials-file=/k/key.json\", \"acme:db\"]",
        "args: [--credentials-file, /k/key.json, \"acme:db\"]",
    ] {
        let edited = Around::new().edit(&proxy(args));
        assert_eq!(traps(&edited), [""; 0], "{args}");
        let container = &edited.template["spec"]["containers"][0];
        assert_eq!(container["args"], serde_json::json!(["acme:db"]));
    }
    let script = proxy(
        "command: [sh, -c, \"exec /cloud-sql-proxy --credentials-file=/k/key.json acme:db\"]",
    );
    assert!(
        traps(&Around::new().edit(&script))
            .iter()
            .any(|t| t.contains("in a script"))
    );
    // Without its only argument the image's own would be taken.
    let only = proxy("args: [\"--credentials-file=/k/key.json\"]");
    assert!(
        traps(&Around::new().edit(&only))
            .iter()
            .any(|t| t.contains("the image's own would be run"))
    );
    let with_command = proxy(
        "command: [/cloud-sql-proxy]\n                args: [\"--credentials-file=/k/key.json\"]",
    );
    let edited = Around::new().edit(&with_command);
    assert_eq!(traps(&edited), [""; 0]);
    assert!(
        edited.template["spec"]["containers"][0]
            .get("args")
            .is_none()
    );
}

#[test]
fn command_that_logs_in_is_not_edited() {
    let gcloud = template(
        r#"
        volumes: [{ name: key, secret: { secretName: checkout-key } }]
        containers:
          - name: job
            image: google/cloud-sdk
            command: [gcloud, auth, activate-service-account, --key-file, /k/key.json]
            volumeMounts: [{ name: key, mountPath: /k }]
        "#,
    );
    assert!(
        traps(&Around::new().edit(&gcloud))
            .iter()
            .any(|t| t.contains("logs in with the key"))
    );
}

#[test]
fn variables_from_elsewhere_are_told_with_where_they_are_from() {
    let from_map = template(
        r#"
        volumes: [{ name: key, secret: { secretName: checkout-key } }]
        containers:
          - name: app
            envFrom: [{ configMapRef: { name: conf } }]
            volumeMounts: [{ name: key, mountPath: /k }]
        "#,
    );
    let around =
        Around::new().with_map("conf", &[("GOOGLE_APPLICATION_CREDENTIALS", "/k/key.json")]);
    assert!(traps(&around.edit(&from_map))[0].contains("from a ConfigMap (envFrom)"));
    // The template's own hides another, which would count then.
    let hidden = with(
        "image: shop/app",
        "envFrom: [{ configMapRef: { name: conf } }]",
    );
    let around = Around::new().with_map(
        "conf",
        &[("GOOGLE_APPLICATION_CREDENTIALS", "/old/key.json")],
    );
    let found = traps(&around.edit(&hidden));
    assert_eq!(
        found,
        [
            "container app: without its own GOOGLE_APPLICATION_CREDENTIALS, the one of ConfigMap conf (envFrom) may count"
        ]
    );
    // One without it hides nothing, one that was not read may.
    let around = Around::new().with_map("conf", &[("OTHER", "x")]);
    assert_eq!(traps(&around.edit(&hidden)), [""; 0]);
    assert_eq!(traps(&Around::new().edit(&hidden)).len(), 1);
    // All of a Secret as variables: the key is one of them, whatever its name is.
    let all =
        template("{ containers: [{ name: app, envFrom: [{ secretRef: { name: mixed } }] }] }");
    assert!(traps(&Around::new().edit(&all))[0].contains("has all of Secret mixed as variables"));
}

#[test]
fn key_in_a_variable_goes_where_it_is_known_what_reads_it() {
    let of = |name: &str| {
        template(&format!(
            "{{ containers: [{{ name: app, env: [{{ name: {name}, valueFrom: {{ secretKeyRef: {{ name: mixed, key: key.json }} }} }}, {{ name: PW, valueFrom: {{ secretKeyRef: {{ name: mixed, key: password }} }} }}] }}] }}"
        ))
    };
    let edited = Around::new().edit(&of("GOOGLE_CREDENTIALS"));
    assert_eq!(traps(&edited), [""; 0]);
    let env = edited.template["spec"]["containers"][0]["env"]
        .as_array()
        .expect("a list");
    assert_eq!((env.len(), &env[0]["name"]), (1, &serde_json::json!("PW")));
    assert_eq!(traps(&Around::new().edit(&of("MY_KEY"))).len(), 1);
}

#[test]
fn what_no_edit_of_a_template_mends_is_told() {
    for (template, words) in [
        (
            with("serviceAccountName: checkout", "hostNetwork: true"),
            "host's network",
        ),
        (
            with(
                "serviceAccountName: checkout",
                "nodeSelector: { kubernetes.io/os: windows }",
            ),
            "Windows",
        ),
        (
            with(
                "serviceAccountName: checkout",
                "imagePullSecrets: [{ name: checkout-key }]",
            ),
            "images are pulled",
        ),
        (
            with("serviceAccountName: checkout", "hostNetwork: nonsense"),
            "cannot be read",
        ),
        (
            with(
                "emptyDir: {}",
                "csi: { driver: secrets-store.csi.k8s.io, nodePublishSecretRef: { name: checkout-key } }",
            ),
            "secrets-store.csi.k8s.io",
        ),
    ] {
        let mut all = Around::new();
        all.accept = Accept::ALL.into();
        let found = traps(&all.edit(&template));
        assert!(
            found.iter().any(|t| t.contains(words)),
            "{words}: {found:?}"
        );
    }
}

#[test]
fn project_of_the_key_is_told_where_nothing_else_does() {
    let mut around = Around::new();
    around.project = Some("acme-prod");
    let env = |template: &serde_json::Value| {
        let edited = around.edit(template);
        assert_eq!(traps(&edited), [""; 0]);
        let env = edited.template["spec"]["containers"][0]["env"].to_string();
        env.matches("GOOGLE_CLOUD_PROJECT").count()
    };
    assert_eq!(env(&template(USUAL)), 1);
    assert_eq!(env(&with("name: MODE", "name: GOOGLE_CLOUD_PROJECT")), 1);
    assert_eq!(env(&with("name: MODE", "name: GCLOUD_PROJECT")), 0);
    // What was not read may have it, and would be overruled.
    let unread = with(
        "image: shop/app",
        "envFrom: [{ secretRef: { name: other } }]",
    );
    let found = traps(&around.edit(&unread));
    assert!(
        found.iter().any(|t| t.contains("GOOGLE_CLOUD_PROJECT")),
        "{found:?}"
    );
}

#[test]
fn pods_ask_for_nodes_with_the_metadata_server_where_not_all_have_it() {
    let mut around = Around::new();
    around.mixed_nodes = true;
    let edited = around.edit(&with(
        "serviceAccountName: checkout",
        "nodeSelector: { disk: ssd }",
    ));
    let selector = &edited.template["spec"]["nodeSelector"];
    assert_eq!(selector[METADATA_NODES], "true");
    assert_eq!(selector["disk"], "ssd");
}
