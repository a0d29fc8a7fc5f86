//! Mistakes in the spec: all at once, each in the user's own YAML, with a way out.

use std::path::Path;

use wi::engine::load;
use wi_core::spec::{Source, load_sources};

use crate::support::cpu::CpuTime;

const HEAD: &str = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\n";

/// The errors of these files, as on a terminal of 80 columns without colours.
fn errors(files: &[(&str, &str)]) -> String {
    let sources = files
        .iter()
        .map(|(name, text)| Source::new((*name).to_owned(), (*text).to_owned()))
        .collect();
    load_sources(sources)
        .expect_err("mistakes")
        .render(80, false)
}

fn of(body: &str) -> String {
    errors(&[("wi.yaml", &format!("{HEAD}{body}"))])
}

macro_rules! mistake {
    ($name:ident, $body:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(of($body.as_ref()));
        }
    };
}

mistake!(
    unknown_fields_and_a_wrong_type_are_told_at_once,
    "clusters:\n  main: { location: europe-west1, lables: { a: b } }\ngoogleServiceAccount:\n  x: {}\nnamespaces:\n  shop: { create: perhaps }\n"
);
const TWO: &str = "clusters:\n  dev: { location: europe-west1, labels: { env: dev } }\n  prod: { location: europe-west1, labels: { env: prod } }\n";

mistake!(
    a_cluster_in_two_waves_and_names_that_are_there_twice,
    format!(
        "{TWO}rollout:\n  waves:\n    - {{ name: a, clusters: {{ env: dev }} }}\n    - {{ name: a, clusters: env }}\n    - {{ name: b, clusters: remaining }}\n    - {{ name: c, clusters: remaining }}\n"
    )
);
mistake!(
    a_cluster_in_no_wave_and_a_wave_without_clusters,
    format!(
        "{TWO}rollout:\n  waves:\n    - {{ name: a, clusters: {{ env: dev }} }}\n    - {{ name: b, clusters: {{ env: staging }} }}\n"
    )
);
mistake!(
    settings_of_waves_that_mean_nothing,
    format!(
        "{TWO}rollout:\n  deadline: soon\n  waves:\n    - {{ name: a, clusters: \"env in (dev\", maxParallel: 0 }}\n    - {{ name: b, select: [prd], maxParallel: 200%, soak: 1 hour ago }}\n    - {{ name: c }}\n"
    )
);
mistake!(
    places_to_discover_clusters_in_that_are_none,
    "discover:\n  - { project: acme-edge, folder: \"12\" }\n  - { folder: sales }\noverrides:\n  - { nodePools: [a] }\nclusters:\n  main: { location: europe-west1 }\n".to_owned()
);
mistake!(
    a_key_twice_in_one_file,
    "clusters:\n  main: { location: europe-west1 }\n  main: { location: europe-west2 }\n"
);
mistake!(
    unknown_references,
    "clusters:\n  prod-eu: { location: europe-west1 }\ngoogleServiceAccounts:\n  checkout: {}\nnamespaces:\n  shop:\n    clusters: [prod-us]\n    serviceAccounts:\n      checkout: { impersonates: chekout }\n"
);
mistake!(
    names_that_google_and_kubernetes_refuse,
    "clusters:\n  main: { project: \"12345678\", location: Europe }\ngoogleServiceAccounts:\n  db: {}\n  checkout: { grants: [storage.objectViewer, { role: roles/viewer, resource: bucket/A }] }\n  other: { email: nobody }\nnamespaces:\n  My_Shop:\n    serviceAccounts:\n      Checkout:\n"
);
mistake!(
    two_identities_for_one_account,
    "clusters:\n  main: { location: europe-west1 }\ngoogleServiceAccounts:\n  checkout: {}\nnamespaces:\n  shop:\n    serviceAccounts:\n      checkout:\n        impersonates: checkout\n        grants: [roles/viewer]\n"
);
mistake!(
    node_pools_losses_and_access_that_mean_nothing,
    "clusters:\n  a: { location: europe-west1, nodePools: web, acceptLoss: [web, Legacy/x, legacy//x] }\n  b: { location: europe-west1, nodePools: [], access: { endpoint: tunnel } }\n  c: { location: europe-west1, access: { endpoint: dns, kubeconfig: k } }\n  d: { location: europe-west1, access: { context: k } }\nacceptLoss: [all]\n"
);
mistake!(
    what_the_guard_forbids,
    "guard:\n  forbidRoles: [roles/owner, \"roles/*.admin\"]\n  requireConditionFor: [roles/editor, roles/iam.securityReviewer]\n  maxRemovals: some\nclusters:\n  main: { location: europe-west1 }\ngoogleServiceAccounts:\n  checkout:\n    grants:\n      - roles/owner\n      - { role: roles/storage.admin, resource: bucket/acme-receipts }\n      - roles/iam.securityReviewer\n      - { role: roles/iam.securityReviewer, expires: 2027-01-01 }\n"
);
mistake!(
    conditions_that_iam_would_refuse,
    "clusters:\n  main: { location: europe-west1 }\ngoogleServiceAccounts:\n  checkout:\n    grants:\n      - { role: roles/viewer, expires: 2027-01-01 }\n      - { role: roles/browser, expires: tomorrow }\n      - { role: roles/browser, expires: 2027-01-01, condition: { title: t, expression: \"true\" } }\n      - { role: roles/browser, condition: { title: t, expression: \"a && b && c && d && e && f && g && h && i && j && k && l && m && n\" } }\n"
);
mistake!(
    resources_that_are_none,
    "clusters:\n  main: { location: europe-west1 }\nremoved: [bucket/b-1, vault/x]\ngoogleServiceAccounts:\n  checkout:\n    grants:\n      - { role: roles/viewer, resource: key/ring/k }\n      - { role: roles/viewer, resource: folder/shop }\n      - { role: roles/viewer, resource: //vault.example.com/x }\n"
);
mistake!(
    a_selector_that_matches_nothing,
    "clusters:\n  main: { location: europe-west1, labels: { env: prod } }\nnamespaces:\n  shop: { clusters: { env: prd } }\n"
);
mistake!(
    a_number_where_a_text_belongs,
    "clusters:\n  main: { location: europe-west1, labels: { ring: 1 } }\n"
);
mistake!(
    conditions_and_grants,
    "clusters:\n  main: { location: europe-west1 }\ngoogleServiceAccounts:\n  checkout:\n    grants:\n      - { role: roles/editor, condition: { title: t, expression: 'true' } }\n      - roles/viewer\n      - roles/viewer\n"
);
mistake!(
    a_direct_role_without_a_resource_in_several_projects,
    "clusters:\n  eu: { location: europe-west1 }\n  us: { project: acme-us, location: us-east1 }\nnamespaces:\n  shop:\n    serviceAccounts:\n      reporter: { grants: [roles/viewer] }\n"
);

#[test]
fn a_key_in_two_files_shows_both_places() {
    let other = "apiVersion: wi/v1\nname: shop\nclusters:\n  main: { location: europe-west4 }\n";
    let one = format!("{HEAD}clusters:\n  main: {{ location: europe-west1 }}\n");
    insta::assert_snapshot!(errors(&[("one.yaml", &one), ("two.yaml", other)]));
}

#[test]
fn missing_name_and_project() {
    insta::assert_snapshot!(errors(&[(
        "wi.yaml",
        "apiVersion: wi/v1\nclusters:\n  main: { location: europe-west1 }\n"
    )]));
}

#[test]
fn a_syntax_error_does_not_hide_the_mistakes_of_other_files() {
    let broken = "apiVersion: wi/v1\nclusters: { main: [\n";
    let other = format!("{HEAD}clusterz: {{}}\n");
    insta::assert_snapshot!(errors(&[("a.yaml", broken), ("b.yaml", &other)]));
}

#[test]
fn what_a_file_that_cannot_be_read_may_declare_is_not_missed() {
    let broken = format!("{HEAD}clusters: {{ main: {{ location: europe-west1 }}\n");
    let other = "apiVersion: wi/v1\nnamespaces:\n  shop:\n    clusters: [main]\n    serviceAccounts:\n      checkout: { impersonates: checkout }\n      reporter: { grants: [{ role: roles/viewer, resource: secret/a/b/c }] }\n";
    for broken in [broken, HEAD.replace("wi/v1", "wi/v2")] {
        let rendered = errors(&[("a.yaml", &broken), ("b.yaml", other)]);
        // What is wrong for itself is told.
        assert!(rendered.contains("`secret/a/b/c`"), "{rendered}");
        assert!(rendered.contains("2 mistakes"), "{rendered}");
    }
}

#[test]
fn line_ends_and_marks_of_windows_are_no_mistakes() {
    let text = format!("{HEAD}clusters:\n  main: {{ location: europe-west1 }}\n");
    let source = |text: String| vec![Source::new("wi.yaml".into(), text)];
    assert!(load_sources(source(text.replace('\n', "\r\n"))).is_ok());
    let marked = format!("\u{feff}{text}");
    let spec = load_sources(source(marked.clone())).expect("valid");
    // A saved plan compares with the file as it is.
    let digest = Source::new("wi.yaml".into(), marked.clone()).digest;
    assert_ne!(digest, Source::new("wi.yaml".into(), text.clone()).digest);
    assert_eq!(spec.files["wi.yaml"], digest);
    // Nor do they move the places of mistakes.
    let wrong = text.replace("location", "locaton");
    let crlf = errors(&[("wi.yaml", &wrong.replace('\n', "\r\n"))]);
    assert_eq!(crlf, errors(&[("wi.yaml", &wrong)]));
    for wrong in [
        wrong.as_str(),
        "apiVersion: wi/v2\n",
        "apiVersion: wi/v1\nname: [shop\n",
    ] {
        let marked = format!("\u{feff}{wrong}");
        assert_eq!(
            errors(&[("wi.yaml", &marked)]),
            errors(&[("wi.yaml", wrong)])
        );
    }
}

#[test]
fn what_only_time_makes_useless_is_no_mistake() {
    let text = format!(
        "{HEAD}clusters: {{ main: {{ location: europe-west1 }} }}\ngoogleServiceAccounts:\n  checkout: {{ grants: [{{ role: roles/browser, expires: 2020-01-01 }}] }}\n"
    );
    assert!(load_sources(vec![Source::new("wi.yaml".into(), text)]).is_ok());
}

#[test]
fn documents_of_others_are_left_alone_and_none_of_ours_is_an_error() {
    let text = "apiVersion: v1\nkind: ConfigMap\n---\napiVersion: apps/v1\nkind: Deployment\n";
    let rendered = errors(&[("k8s.yaml", text)]);
    assert!(
        rendered.contains("no document with `apiVersion: wi/v1`"),
        "{rendered}"
    );
    let both = format!("{HEAD}clusters:\n  main: {{ location: europe-west1 }}\n---\n{text}");
    assert!(load_sources(vec![Source::new("x.yaml".into(), both)]).is_ok());
}

#[test]
fn hostile_yaml_is_refused_quickly_and_clearly() {
    let mut laughs = String::from("apiVersion: wi/v1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let refs = vec![format!("*a{}", i - 1); 10].join(", ");
        laughs.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
    }
    let deep = format!("apiVersion: wi/v1\nname: {}\n", "[".repeat(100_000));
    let cases = [
        ("laughs", laughs),
        ("deep", deep),
        ("recursive", "apiVersion: wi/v1\nname: &a [*a]\n".to_owned()),
        (
            "tag",
            format!("{HEAD}clusters: !!python/object:os.system {{}}\n"),
        ),
    ];
    for (name, text) in cases {
        let started = CpuTime::now();
        let rendered = errors(&[("wi.yaml", &text)]);
        started.is_less_than(2);
        assert!(rendered.len() < 20_000, "{name}: {} bytes", rendered.len());
        assert!(rendered.contains("wi::spec::"), "{name}: {rendered}");
    }
}

#[test]
fn hostile_files_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        load(&[path]).expect_err("refused").render(80, false)
    };
    assert!(
        file("latin1.yaml", b"apiVersion: wi/v1\nname: caf\xe9\n").contains("line 2 is not UTF-8")
    );
    assert!(file("nul.yaml", b"apiVersion: wi/v1\nname: a\0b\n").contains("NUL"));
    let large = dir.path().join("large.yaml");
    std::fs::File::create(&large)
        .and_then(|f| f.set_len(100 << 20))
        .expect("a sparse file");
    let started = CpuTime::now();
    assert!(
        load(&[large])
            .expect_err("refused")
            .render(80, false)
            .contains("larger than 16 MiB")
    );
    started.is_less_than(1);
    assert!(
        load(&[dir.path().join("none.yaml")])
            .expect_err("refused")
            .render(80, false)
            .contains("none.yaml")
    );
}

#[test]
fn names_with_escapes_reach_no_terminal_raw() {
    let rendered = of("clusters:\n  main: { location: europe-west1, \"\\e[31mx\\u202e\": 1 }\n");
    assert!(
        !rendered.contains('\u{1b}') && !rendered.contains('\u{202e}'),
        "{rendered}"
    );
}

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/wi.v1.schema.json");
    let committed = std::fs::read_to_string(path).expect("schema");
    let made = format!("{:#}\n", wi_core::spec::json_schema());
    assert!(
        committed == made,
        "run: cargo run -- schema > schemas/wi.v1.schema.json"
    );
}

#[test]
fn every_example_is_valid_and_fits_the_schema() {
    let validator = jsonschema::validator_for(&wi_core::spec::json_schema()).expect("a schema");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut seen = 0;
    for directory in std::fs::read_dir(examples).expect("examples").flatten() {
        let file = directory.path().join("wi.yaml");
        if directory.file_name() == "ci" {
            continue; // workflows, which tests/it/init.rs reads
        }
        let text = std::fs::read_to_string(&file).expect("a spec");
        let value: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|e| e.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", file.display());
        load(&[directory.path()]).expect("valid");
        seen += 1;
    }
    assert!(seen >= 3);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = load_sources(vec![Source::new("x".into(), format!("apiVersion: wi/v1\n{text}"))]);
    }

    /// What has been fixed to go on reading has been told: what is valid fits the schema as it is.
    #[test]
    fn what_is_valid_fits_the_schema(
        at in 0usize..1200,
        len in 0usize..24,
        with in proptest::sample::select(vec![
            "", " ", ": ", "\n", "x", "location", "roles/viewer", "[]", "{}", "[a]", "{ a: b }", "1", "yes",
            "\"\"", "- ", "include: ", "grant: ", "clusters: ", "serviceAccounts: ", "onRemove: ", "expires: 1",
        ]),
    ) {
        let spec = include_str!("../../examples/shop/wi.yaml");
        let boundary = |at: usize| (at.min(spec.len())..=spec.len()).find(|i| spec.is_char_boundary(*i));
        let (start, end) = (boundary(at).unwrap_or(0), boundary(at + len).unwrap_or(spec.len()));
        let text = format!("{}{with}{}", &spec[..start], &spec[end..]);
        if load_sources(vec![Source::new("x".into(), text.clone())]).is_ok() {
            let values: Vec<serde_json::Value> = serde_saphyr::from_multiple(&text).expect("YAML");
            let validator = jsonschema::validator_for(&wi_core::spec::json_schema()).expect("a schema");
            for value in values.iter().filter(|v| v["apiVersion"] == "wi/v1") {
                let errors: Vec<String> = validator.iter_errors(value).map(|e| e.to_string()).collect();
                proptest::prop_assert!(errors.is_empty(), "{text}\n{errors:?}");
            }
        }
    }

    #[test]
    fn no_broken_spec_makes_it_panic(at in 0usize..600, with in "[ \\[\\]{}:&*!|>\\-\\n\\t\"'#a1]{0,4}") {
        let spec = include_str!("../../examples/shop/wi.yaml");
        let at = (at.min(spec.len())..spec.len()).find(|i| spec.is_char_boundary(*i)).unwrap_or(spec.len());
        let text = format!("{}{with}{}", &spec[..at], &spec[at..]);
        if let Err(errors) = load_sources(vec![Source::new("x".into(), text)]) {
            let _ = errors.render(80, true);
        }
    }
}
mistake!(
    migrations_of_nobody_and_steps_that_are_not_built,
    "clusters: { main: { location: europe-west1 } }\ngoogleServiceAccounts: { checkout: {} }\nmigrate:\n  chekout: { until: cutover }\n  checkout:\n    until: halfway\n    to: direct\n    soak: { quiet: 1h, disabled: soon }\n    strategy: { shop/Deployment/web: twice, web: shadow }\n    exclude: [web]\n    accept: [everything]\n"
);
mistake!(
    rules_of_keys_that_are_none,
    "clusters: { main: { location: europe-west1 } }\ngoogleServiceAccounts:\n  a-checkout: { keys: nothing }\n  b-checkout: { keys: { allow: [KEY], until: soon, reason: r } }\n  c-checkout: { keys: { allow: [1f0c9e00aa] } }\n"
);
