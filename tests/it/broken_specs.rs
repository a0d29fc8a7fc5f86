//! A corpus of broken specs: one small mistake each, as people make them, and all that `wi validate`
//! says about it. Read the snapshot as a user would: does it say what is wrong, where, and the way out?

use std::fmt::Write;

use wi_core::spec::{Source, load_sources};

const SPEC: &str = "apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  prod-eu: { location: europe-west1, labels: { env: prod } }
  prod-us: { project: acme-us, location: us-central1-a, name: us-main, labels: { env: prod } }
  dev: { location: europe-west1, nodePools: { exclude: [gpu] } }
googleServiceAccounts:
  checkout:
    displayName: Checkout
    grants:
      - roles/cloudsql.client
      - { role: roles/storage.objectViewer, resource: bucket/acme-receipts }
      - { role: roles/storage.objectUser, resource: bucket/acme-inbox, expires: 2027-01-01 }
  legacy-app: { email: legacy@old-project.iam.gserviceaccount.com }
namespaces:
  shop:
    clusters: { env: prod }
    serviceAccounts:
      checkout: { impersonates: checkout }
      billing: { impersonates: legacy-app }
      reporter: { grants: [{ role: roles/viewer, resource: project/acme-prod }] }
rollout:
  waves:
    - { name: canary, clusters: [dev] }
    - { name: rest, clusters: remaining, maxParallel: 50%, soak: 10m }
guard:
  forbidRoles: [roles/owner]
";

/// What is replaced, and by what; each in a spec of its own.
const EDITS: &[(&str, &str)] = &[
    ("apiVersion: wi/v1", "apiVersion: wi/v2"),
    ("apiVersion: wi/v1\n", ""),
    ("name: shop\n", ""),
    ("name: shop\n", "name: Shop\n"),
    ("name: shop\n", "name: 12\n"),
    ("name: shop\n", "name:\n"),
    ("name: shop\n", "name: [shop]\n"),
    ("name: shop\nproject", "name: shop\nname: shop\nproject"),
    ("project: acme-prod\n", ""),
    ("project: acme-prod\n", "project: Acme\n"),
    ("project: acme-prod\n", "project: 123456\n"),
    ("project: acme-prod\n", "projects: acme-prod\n"),
    ("project: acme-prod\n", "project: projects/acme-prod\n"),
    ("clusters:\n  prod-eu", "cluster:\n  prod-eu"),
    ("clusters:\n  prod-eu", "clusters: []\nx:\n  prod-eu"),
    (
        "location: europe-west1, labels",
        "locaton: europe-west1, labels",
    ),
    (
        "{ location: europe-west1, labels: { env: prod } }",
        "{ labels: { env: prod } }",
    ),
    (
        "{ location: europe-west1, labels: { env: prod } }",
        "europe-west1",
    ),
    ("{ location: europe-west1, labels: { env: prod } }", ""),
    ("location: europe-west1, labels", "location: Europe, labels"),
    ("location: europe-west1, labels", "location: 1, labels"),
    (
        "labels: { env: prod } }\n  prod-us",
        "labels: [env] }\n  prod-us",
    ),
    (
        "labels: { env: prod } }\n  prod-us",
        "labels: { env: true } }\n  prod-us",
    ),
    ("  prod-us:", "  prod-eu:"),
    ("  dev: {", "  Dev_1: {"),
    ("name: us-main", "name: US"),
    ("exclude: [gpu]", "exlude: [gpu]"),
    ("{ exclude: [gpu] }", "{ exclude: [gpu], include: [web] }"),
    (
        "nodePools: { exclude: [gpu] }",
        "manage: false, nodePools: [web]",
    ),
    ("nodePools: {", "nodepools: {"),
    ("googleServiceAccounts:", "googleServiceAccount:"),
    ("googleServiceAccounts:", "serviceAccounts:"),
    ("  checkout:\n    displayName", "  co:\n    displayName"),
    (
        "  checkout:\n    displayName",
        "  Checkout:\n    displayName",
    ),
    ("displayName: Checkout", "displayname: Checkout"),
    ("displayName: Checkout", "displayName: [Checkout]"),
    ("      - roles/cloudsql.client", "      - cloudsql.client"),
    (
        "      - roles/cloudsql.client",
        "      - Roles/cloudsql.client",
    ),
    (
        "      - roles/cloudsql.client",
        "      - role/cloudsql.client",
    ),
    ("      - roles/cloudsql.client", "      - roles/owner"),
    (
        "      - roles/cloudsql.client",
        "      - { resource: bucket/acme-logs }",
    ),
    (
        "      - roles/cloudsql.client",
        "      - { role: roles/cloudsql.client, on: bucket/acme-logs }",
    ),
    (
        "      - roles/cloudsql.client",
        "      - roles/cloudsql.client\n      - roles/cloudsql.client",
    ),
    (
        "      - roles/cloudsql.client",
        "      roles/cloudsql.client: {}",
    ),
    ("      - roles/cloudsql.client", "      - "),
    (
        "      - roles/cloudsql.client",
        "      -roles/cloudsql.client",
    ),
    ("bucket/acme-receipts", "buckets/acme-receipts"),
    ("bucket/acme-receipts", "gs://acme-receipts"),
    ("bucket/acme-receipts", "acme-receipts"),
    ("bucket/acme-receipts", "bucket/Acme Receipts"),
    ("bucket/acme-receipts", "bucket/"),
    ("bucket/acme-receipts", "secret/acme-prod/a/b"),
    (
        "bucket/acme-receipts",
        "//storage.googleapis.com/acme-receipts",
    ),
    ("bucket/acme-receipts", "serviceaccount/x"),
    ("expires: 2027-01-01", "expires: tomorrow"),
    ("expires: 2027-01-01", "expires: 2027-13-01"),
    ("expires: 2027-01-01", "expire: 2027-01-01"),
    ("expires: 2027-01-01", "condition: { title: x }"),
    ("expires: 2027-01-01", "condition: { expression: 'true' }"),
    (
        "expires: 2027-01-01",
        "condition: { title: x, expression: 'request.time < ' }",
    ),
    (
        "expires: 2027-01-01",
        "expires: 2027-01-01, condition: { title: x, expression: 'true' }",
    ),
    (
        "email: legacy@old-project.iam.gserviceaccount.com",
        "email: legacy",
    ),
    (
        "email: legacy@old-project.iam.gserviceaccount.com",
        "email: serviceAccount:legacy@old-project.iam.gserviceaccount.com",
    ),
    (
        "email: legacy@old-project.iam.gserviceaccount.com",
        "mail: legacy@old-project.iam.gserviceaccount.com",
    ),
    (
        "email: legacy@old-project.iam.gserviceaccount.com",
        "email: legacy@old-project.iam.gserviceaccount.com, displayName: Legacy",
    ),
    (
        "email: legacy@old-project.iam.gserviceaccount.com",
        "email: checkout@acme-prod.iam.gserviceaccount.com",
    ),
    (
        "email: legacy@old-project.iam.gserviceaccount.com",
        "email: legacy@old-project.iam.gserviceaccount.com, onRemove: destroy",
    ),
    ("displayName: Checkout", "onRemove: remove"),
    ("displayName: Checkout", "onRemove: true"),
    ("namespaces:\n  shop:", "namespace:\n  shop:"),
    ("namespaces:\n  shop:", "namespaces:\n  Shop:"),
    ("namespaces:\n  shop:", "namespaces:\n  my.shop:"),
    (
        "clusters: { env: prod }\n    service",
        "clusters: { env: production }\n    service",
    ),
    (
        "clusters: { env: prod }\n    service",
        "clusters: [prod-eu, prod-asia]\n    service",
    ),
    (
        "clusters: { env: prod }\n    service",
        "clusters: prod-eu\n    service",
    ),
    (
        "clusters: { env: prod }\n    service",
        "clusters: 'env in (prod'\n    service",
    ),
    (
        "clusters: { env: prod }\n    service",
        "clusters: []\n    service",
    ),
    (
        "clusters: { env: prod }\n    service",
        "cluster: { env: prod }\n    service",
    ),
    ("    serviceAccounts:\n", "    serviceaccounts:\n"),
    ("    serviceAccounts:\n", "    ksas:\n"),
    ("{ impersonates: checkout }", "{ impersonate: checkout }"),
    ("{ impersonates: checkout }", "{ impersonates: chekout }"),
    (
        "{ impersonates: checkout }",
        "{ impersonates: checkout@acme-prod.iam.gserviceaccount.com }",
    ),
    ("{ impersonates: checkout }", "{ impersonates: [checkout] }"),
    (
        "{ impersonates: checkout }",
        "{ impersonates: checkout, grants: [roles/viewer] }",
    ),
    ("{ impersonates: checkout }", "checkout"),
    ("      checkout: { imp", "      Checkout: { imp"),
    ("      checkout: { imp", "      check_out: { imp"),
    ("      billing: {", "      checkout: {"),
    (
        "grants: [{ role: roles/viewer, resource: project/acme-prod }]",
        "grants: roles/viewer",
    ),
    (
        "grants: [{ role: roles/viewer, resource: project/acme-prod }]",
        "grants: [roles/viewer]",
    ),
    ("resource: project/acme-prod", "resource: project/Acme"),
    ("clusters: [dev] }", "clusters: [devel] }"),
    ("clusters: remaining", "clusters: [prod-eu]"),
    ("clusters: remaining", "clusters: [dev, prod-eu, prod-us]"),
    ("maxParallel: 50%", "maxParallel: 0"),
    ("maxParallel: 50%", "maxParallel: half"),
    ("maxParallel: 50%", "maxParallel: 150%"),
    ("maxParallel: 50%", "maxparallel: 2"),
    ("soak: 10m", "soak: 10"),
    ("soak: 10m", "soak: ten minutes"),
    ("soak: 10m", "soak: -1m"),
    ("name: rest", "name: canary"),
    ("  waves:\n", "  wave:\n"),
    ("forbidRoles: [roles/owner]", "forbidRoles: roles/owner"),
    (
        "forbidRoles: [roles/owner]",
        "forbidRoles: [roles/storage.*]",
    ),
    (
        "forbidRoles: [roles/owner]",
        "forbiddenRoles: [roles/owner]",
    ),
    ("forbidRoles: [roles/owner]", "maxRemovals: many"),
    ("guard:\n", "guards:\n"),
    ("    displayName: Checkout\n", "\tdisplayName: Checkout\n"),
    ("    displayName: Checkout\n", "   displayName: Checkout\n"),
    (
        "    displayName: Checkout\n",
        "    displayName: \"Checkout\n",
    ),
    (
        "    displayName: Checkout\n",
        "    displayName: Check: out\n",
    ),
    ("    displayName: Checkout\n", "    <<: *base\n"),
    (
        "labels: { env: prod } }\n  prod-us",
        "labels: { env: prod }\n  prod-us",
    ),
    (
        "roles/storage.objectUser, resource",
        "roles/storage.objectUser resource",
    ),
    ("expires: 2027-01-01 }", "expires: 2027-01-01"),
    // Fields by another word, at another place, or in the singular.
    ("    grants:\n", "    grant:\n"),
    (
        "location: europe-west1, labels",
        "region: europe-west1, labels",
    ),
    (
        "labels: { env: prod } }\n  prod-us",
        "tags: { env: prod } }\n  prod-us",
    ),
    ("{ exclude: [gpu] }", "{ include: [web] }"),
    ("    serviceAccounts:\n", "    serviceAccount:\n"),
    (
        "    serviceAccounts:\n",
        "    annotations: { team: shop }\n    serviceAccounts:\n",
    ),
    ("guard:\n  forbidRoles", "forbidRoles"),
    ("    grants:\n", "  grants:\n"),
    ("maxParallel: 50%", "verify: false"),
    (
        "{ impersonates: checkout }",
        "{ googleServiceAccount: checkout }",
    ),
    ("apiVersion: wi/v1", "apiVersion: v1"),
    ("apiVersion: wi/v1", "apiversion: wi/v1"),
    ("    serviceAccounts:\n", "  serviceAccounts:\n"),
    // Values of another kind.
    ("soak: 10m", "gate: manual"),
    (
        "namespaces:\n  shop:\n    clusters",
        "namespaces:\n  - name: shop\n    clusters",
    ),
    ("  dev: { location", "  dev: [{ location"),
    (
        "{ env: prod }\n    service",
        "{ env: [prod, staging] }\n    service",
    ),
    (
        "labels: { env: prod } }\n  prod-us",
        "labels: { env: yes } }\n  prod-us",
    ),
    (
        "labels: { env: prod } }\n  prod-us",
        "labels: env=prod }\n  prod-us",
    ),
    (
        "labels: { env: prod } }\n  prod-us",
        "labels: { env=prod } }\n  prod-us",
    ),
    (
        "labels: { env: prod } }\n  prod-us",
        "access: dns, labels: { env: prod } }\n  prod-us",
    ),
    (
        "labels: { env: prod } }\n  prod-us",
        "access: { endpoint: DNS }, labels: { env: prod } }\n  prod-us",
    ),
    (
        "labels: { env: prod } }\n  prod-us",
        "access: { endpoint: dns, kubeconfig: ~/.kube/config }, labels: { env: prod } }\n  prod-us",
    ),
    (
        "    clusters: { env: prod }\n",
        "    clusters: { env: prod }\n    create: \"no\"\n",
    ),
    ("  waves:\n", ""),
    (
        "    - { name: canary, clusters: [dev] }\n",
        "    - canary\n",
    ),
    (
        "{ name: canary, clusters: [dev] }",
        "{ name: canary, clusters: dev }",
    ),
    ("{ name: canary, clusters: [dev] }", "{ name: canary }"),
    ("clusters: remaining", "clusters: all"),
    ("maxParallel: 50%", "maxParallel: 2.5"),
    ("forbidRoles: [roles/owner]", "maxRemovals: -1"),
    ("forbidRoles: [roles/owner]", "maxRemovals: \"5\""),
    (
        "expires: 2027-01-01",
        "condition: 'request.time < timestamp(\"2027-01-01T00:00:00Z\")'",
    ),
    ("expires: 2027-01-01", "condition: {}"),
    ("{ impersonates: checkout }", "{ impersonates: \"\" }"),
    (
        "{ impersonates: checkout }",
        "{ impersonates: { name: checkout } }",
    ),
    (
        "      - roles/cloudsql.client",
        "      - roles/cloudsql.client:",
    ),
    // Names that are not right, or not there.
    ("project: acme-us, location", "project: US, location"),
    (
        "    - { name: rest, clusters: remaining",
        "    - { name: rest, clusters: { env: production }",
    ),
    (
        "    - { name: rest, clusters: remaining",
        "    - { name: rest, clusters: [prod-eu, prod-uss]",
    ),
    (
        "      - roles/cloudsql.client",
        "      - \"roles/cloudsql.client \"",
    ),
    (
        "      - roles/cloudsql.client",
        "      - roles/cloudsql.client/",
    ),
    ("      - roles/cloudsql.client", "      - Cloud SQL Client"),
    ("      - roles/cloudsql.client", "      - \"\""),
    (
        "bucket/acme-receipts",
        "projects/acme-prod/secrets/stripe-key",
    ),
    ("bucket/acme-receipts", "bucket/acme-receipts/"),
    ("bucket/acme-receipts", "//storage.google.com/acme-receipts"),
    ("bucket/acme-receipts", "dataset/acme-prod.sales"),
    (
        "  checkout:\n    displayName",
        "  checkout@acme-prod.iam.gserviceaccount.com:\n    displayName",
    ),
    (
        "{ impersonates: legacy-app }",
        "{ impersonates: billing@acme-billing.iam.gserviceaccount.com }",
    ),
    (
        "location: europe-west1, labels",
        "location: Europe_West1, labels",
    ),
    (
        "name: us-main",
        "name: us-main-with-a-name-that-is-longer-than-gke-has-it",
    ),
    ("guard:\n", "removed: [vault/stripe-key]\nguard:\n"),
    (
        "guard:\n",
        "discover: [{ project: acme-edge, folder: \"12345\" }]\nguard:\n",
    ),
    ("guard:\n", "discover: { folder: 12345 }\nguard:\n"),
    (
        "guard:\n",
        "overrides: [{ clusters: { env: staging }, nodePools: [web] }]\nguard:\n",
    ),
    (
        "{ impersonates: legacy-app }",
        "{ impersonates: legacy-app, overrides: [{ clusters: { env: staging }, impersonates: checkout }] }",
    ),
    (
        "  forbidRoles: [roles/owner]\n",
        "  forbidRoles: [roles/owner]\n---\napiVersion: wi/v1\nname: store\n",
    ),
    (
        "  forbidRoles: [roles/owner]\n",
        "  forbidRoles: [roles/owner]\n---\napiVersion: wi/v1\nnamespaces: { shop: {} }\n",
    ),
    // What is not YAML, or not the YAML that was meant.
    ("name: shop\n", "name:shop\n"),
    ("name: shop\n", "name shop\n"),
    ("name: shop\n", "name: {{ .Values.name }}\n"),
    (
        "name: shop\n",
        "<<<<<<< HEAD\nname: shop\n=======\nname: store\n>>>>>>> main\n",
    ),
    ("name: shop\n", "name: @shop\n"),
    ("name: shop\n", "name: shop, the\n  project: x\n"),
    ("displayName: Checkout", "displayName: \"Checkout\" (shop)"),
    ("displayName: Checkout", "displayName: \"C:\\dir\""),
    ("displayName: Checkout", "displayName: - Checkout"),
    ("forbidRoles: [roles/owner]", "forbidRoles: [*.admin]"),
    ("forbidRoles: [roles/owner]", "forbidRoles: [roles/owner"),
    ("forbidRoles: [roles/owner]", "forbidRoles: roles/owner]"),
    ("clusters: [dev] }", "clusters: [dev }"),
    (
        "    clusters: { env: prod }\n",
        "   clusters: { env: prod }\n",
    ),
    ("      billing: {", "     billing: {"),
    ("      billing: {", "      billing {"),
    ("    - { name: rest", "   - { name: rest"),
    ("project: acme-prod\n", "project: !env PROJECT\n"),
];

/// Edits that make two mistakes; all others make one.
const TWO: &[&str] = &[
    "clusters: []\nx:\n  prod-eu",
    "  co:\n    displayName",
    "email: legacy@old-project.iam.gserviceaccount.com, onRemove: destroy",
    "grants: roles/viewer",
    "forbidRoles: [roles/storage.*]",
    "discover: { folder: 12345 }\nguard:\n",
];

#[test]
fn what_is_said_about_broken_specs() {
    let mut two = Vec::new();
    let mut out = String::new();
    for (before, after) in EDITS {
        assert_eq!(
            SPEC.matches(before).count(),
            1,
            "{before:?} is not there just once"
        );
        let text = SPEC.replacen(before, after, 1);
        let _ = writeln!(out, "==== {:?} -> {:?}", before, after);
        match load_sources(vec![Source::new("wi.yaml".to_owned(), text)]) {
            Ok(_) => panic!("{before:?} -> {after:?} is valid"),
            Err(errors) => {
                if errors.len() != 1 {
                    two.push(*after);
                }
                let _ = writeln!(out, "{}", errors.render(90, false).trim_end());
                out.push('\n');
            }
        }
    }
    insta::assert_snapshot!(out);
    // Nothing is told that only follows from what has been told.
    assert_eq!(two, TWO);
}
