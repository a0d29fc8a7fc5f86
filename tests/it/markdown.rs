//! The comment on a pull request: what it says, that it fits, and that no text of a spec is more than
//! text in it. A GFM library renders it; the structure is asserted, not the text alone.

use std::fmt::Write;

use crate::support::Place;
use comrak::nodes::{AstNode, NodeValue};
use comrak::{Arena, Options, parse_document};

fn options() -> Options<'static> {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.autolink = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    options.extension.alerts = true;
    options.extension.footnotes = true;
    options
}

/// What a reader of the rendered comment sees.
#[derive(Debug, Default)]
struct Structure {
    headings: usize,
    alerts: usize,
    /// Rows of each table, its head included, and the cells of each row.
    tables: Vec<Vec<usize>>,
    /// Info string and text of each fenced block.
    fences: Vec<(String, String)>,
    links: Vec<String>,
    images: usize,
    /// Raw HTML, blocks and inline.
    html: Vec<String>,
    /// Text outside of code.
    prose: String,
}

fn structure(markdown: &str) -> Structure {
    let arena = Arena::new();
    let root = parse_document(&arena, markdown, &options());
    let mut found = Structure::default();
    walk(root, &mut found);
    found
}

fn walk<'a>(node: &'a AstNode<'a>, found: &mut Structure) {
    match &node.data.borrow().value {
        NodeValue::Heading(_) => found.headings += 1,
        NodeValue::Alert(_) => found.alerts += 1,
        NodeValue::Table(_) => found
            .tables
            .push(node.children().map(|row| row.children().count()).collect()),
        NodeValue::CodeBlock(block) => found
            .fences
            .push((block.info.clone(), block.literal.clone())),
        NodeValue::Link(link) => found.links.push(link.url.clone()),
        NodeValue::Image(_) => found.images += 1,
        NodeValue::HtmlBlock(html) => found.html.push(html.literal.clone()),
        NodeValue::HtmlInline(html) => found.html.push(html.clone()),
        NodeValue::Text(text) => {
            found.prose.push_str(text);
            found.prose.push('\n');
        }
        _ => {}
    }
    for child in node.children() {
        walk(child, found);
    }
}

/// HTML that is ours: folds and the footer.
#[track_caller]
fn html_is_ours(found: &Structure) {
    for html in &found.html {
        let rest = html
            .replace("<details>", "")
            .replace("</details>", "")
            .replace("<summary>", "")
            .replace("</summary>", "")
            .replace("<code>", "")
            .replace("</code>", "")
            .replace("<sub>", "")
            .replace("</sub>", "");
        assert!(!rest.contains('<'), "{html}");
    }
    let opened = found
        .html
        .iter()
        .filter(|h| h.contains("<details>"))
        .count();
    let closed = found
        .html
        .iter()
        .filter(|h| h.contains("</details>"))
        .count();
    assert_eq!(opened, closed, "{:?}", found.html);
}

fn comment(place: &Place) -> String {
    place.wi(&["plan", "--markdown", "--allow-incomplete"]).out
}

#[test]
fn no_changes() {
    let place = Place::example("quickstart");
    place.wi(&["apply", "--auto-approve"]).ok();
    let text = comment(&place);
    snapshot("comment_no_changes", &text);
    let found = structure(&text);
    assert_eq!(found.headings, 1);
    assert_eq!(
        (found.alerts, found.tables.len(), found.fences.len()),
        (0, 0, 0)
    );
}

#[test]
fn small() {
    let place = Place::example("shop");
    let text = comment(&place);
    snapshot("comment_small", &text);
    let found = structure(&text);
    assert_eq!((found.headings, found.alerts), (1, 1));
    // By cluster: shared and two clusters. Node pools. Who gains.
    assert_eq!(found.tables, [vec![5; 4], vec![3; 3], vec![4; 13]]);
    html_is_ours(&found);
    let diffs: Vec<&str> = found
        .fences
        .iter()
        .filter(|(info, _)| info == "diff")
        .map(|(_, text)| text.as_str())
        .collect();
    assert_eq!(diffs.len(), 3);
    for line in diffs.iter().flat_map(|d| d.lines()) {
        assert!(line.starts_with(['+', '-', '!']), "{line}");
    }
}

#[test]
fn losses_come_before_gains() {
    let place = Place::example("shop");
    place.wi(&["apply", "--auto-approve"]).ok();
    let spec = std::fs::read_to_string(place.path("wi.yaml")).expect("spec");
    place.write(
        "wi.yaml",
        &spec.replace("roles/cloudsql.client ", "roles/owner "),
    );
    place.write(
        "wi.yaml",
        &spec.replace("roles/cloudsql.client", "roles/storage.admin"),
    );
    let text = comment(&place);
    snapshot("comment_losses", &text);
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
    assert!(at("➖ loses") < at("⚠️ gains"));
    assert!(
        text.contains("1 role taken away · 1 privilege increase"),
        "{text}"
    );
}

#[test]
fn errors_and_what_could_not_be_read() {
    let place = Place::new(
        "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters:\n  main: { location: europe-west1 }\n  gone: { location: europe-west1 }\ngoogleServiceAccounts: { checkout: {} }\n",
        "apiVersion: wi.sandbox/v1\nprojects: { acme-prod: {} }\nclusters:\n  - { project: acme-prod, location: europe-west1, name: main, unreachable: true }\n",
    );
    let text = comment(&place);
    let text = regex_free_port(&text);
    snapshot("comment_errors", &text);
}

/// Ports differ from run to run.
/// The hash of the plan moves with every kind of choice that is added: what it covers is tested where it is made.
fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ filters => vec![("[0-9a-f]{64}", "HASH")] }, {
        insta::assert_snapshot!(name, text);
    });
}

fn regex_free_port(text: &str) -> String {
    let mut out = String::new();
    for (i, part) in text.split("127.0.0.1:").enumerate() {
        if i > 0 {
            out.push_str("127.0.0.1:PORT");
        }
        out.push_str(if i == 0 {
            part
        } else {
            part.trim_start_matches(|c: char| c.is_ascii_digit())
        });
    }
    out
}

/// A fleet in which every cluster changes.
fn fleet(clusters: usize) -> Place {
    let mut spec = String::from("apiVersion: wi/v1\nname: fleet\nproject: acme-prod\nclusters:\n");
    let mut world = String::from(
        "apiVersion: wi.sandbox/v1\nprojects: { acme-prod: { number: 123456789012, policy: { bindings: [{ role: roles/editor, members: [\"serviceAccount:checkout@acme-prod.iam.gserviceaccount.com\"] }] } } }\nclusters:\n",
    );
    for i in 0..clusters {
        let _ = writeln!(spec, "  prod-{i:03}: {{ location: europe-west1 }}");
        let _ = writeln!(
            world,
            "  - {{ project: acme-prod, location: europe-west1, name: prod-{i:03}, nodePools: [{{ name: pool-{i:03}, nodes: 3 }}], pods: [{{ name: tool-1, namespace: tools }}] }}"
        );
    }
    spec.push_str("googleServiceAccounts: { checkout: { grants: [roles/viewer] } }\nnamespaces: { shop: { serviceAccounts: { checkout: { impersonates: checkout }, reporter: { grants: [roles/viewer] } } } }\n");
    Place::new(&spec, &world)
}

#[test]
fn three_hundred_clusters_fit_and_what_was_cut_is_counted() {
    let place = fleet(300);
    place.wi(&["plan", "--accept-loss", "--out", "p.plan"]).ok();
    let text = place.wi(&["show", "p.plan", "--markdown"]).ok().out;
    assert!(text.len() <= 60_000, "{}", text.len());
    assert!(text.len() > 50_000, "room is used: {}", text.len());
    let found = structure(&text);
    html_is_ours(&found);
    assert_eq!((found.headings, found.alerts), (1, 1));
    // The head, the callout and the foot, and what is counted.
    let lines: Vec<&str> = text
        .lines()
        .filter(|l| {
            l.starts_with(['#', '>', '…']) || l.contains("left out") || l.starts_with("<sub>")
        })
        .collect();
    snapshot("comment_300_clusters", &lines.join("\n"));
    // What was taken away is there whatever else is not.
    assert!(text.contains("➖ loses"), "{text}");

    // What is shown and what is said to be missing make the whole.
    let shown = text
        .lines()
        .filter(|l| l.starts_with("| `prod-") || l.starts_with("| shared"))
        .count();
    let missing = text
        .lines()
        .find_map(|l| l.strip_prefix("| … ")?.split_once(" cluster"))
        .map_or(0, |(n, _)| n.parse::<usize>().expect("a number"));
    assert_eq!(shown + missing, 301);

    for limit in ["2000", "5000", "20000", "1000000"] {
        let text = place
            .wi(&["show", "p.plan", "--markdown", "--max-bytes", limit])
            .ok()
            .out;
        let limit: usize = limit.parse().expect("a number");
        assert!(text.len() <= limit, "{} > {limit}", text.len());
        html_is_ours(&structure(&text));
    }
    let whole = place
        .wi(&["show", "p.plan", "--markdown", "--max-bytes", "1000000"])
        .ok()
        .out;
    assert!(!whole.contains("left out"), "all of it fits there");
}

const HOSTILE: [&str; 9] = [
    "</details></summary><script>alert(1)</script>",
    "@acme/admins please merge #1 GH-2 acme/shop#3",
    "```\\n</details>\\n# owned\\n```",
    "~~~~\\n````````",
    "<!-- wi:plan:v1 root=. sha=0 plan=0 run=9 -->",
    "| a | b | ![x](https://evil.example/x.png) [y](javascript:alert(1))",
    "https://evil.example/ www.evil.example mailto:a@evil.example",
    "\\u202Etxt.exe\\u202C \\x1b[2J \\x07",
    "/close\\n/label ~bug",
];

#[test]
fn hostile_texts_stay_text() {
    let mut spec = String::from(
        "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\ngoogleServiceAccounts:\n",
    );
    for (i, text) in HOSTILE.iter().enumerate() {
        let _ = writeln!(
            spec,
            "  account-{i}:\n    displayName: \"{text}\"\n    grants:\n      - role: roles/storage.admin\n        resource: bucket/receipts\n        condition: {{ title: \"{text}\", expression: \"true || r'''{text}''' == ''\" }}"
        );
    }
    let world = "apiVersion: wi.sandbox/v1\nprojects: { acme-prod: {} }\nbuckets: { receipts: { project: acme-prod, uniformBucketLevelAccess: true } }\nclusters: [{ project: acme-prod, location: europe-west1, name: main, autopilot: true }]\n";
    let place = Place::new(&spec, world);
    let ran = place.wi(&["plan", "--markdown", "--allow-incomplete"]);
    assert!(ran.out.contains("### wi plan"), "{}", ran.err);
    snapshot("comment_hostile", &ran.out);
    let found = structure(&ran.out);
    html_is_ours(&found);
    assert_eq!(found.headings, 1);
    assert_eq!(found.images, 0);
    assert!(found.links.is_empty(), "{:?}", found.links);
    for word in ["@acme", "#1", "evil", "script", "owned", "wi:plan"] {
        assert!(!found.prose.contains(word), "{word} in {}", found.prose);
    }
    assert!(
        !ran.out
            .chars()
            .any(|c| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c)),
        "escapes are shown, not sent"
    );
    assert!(
        !ran.out
            .lines()
            .any(|l| l.starts_with("<!--") || l.starts_with("/close")),
        "no line begins as a marker or a command"
    );
}
