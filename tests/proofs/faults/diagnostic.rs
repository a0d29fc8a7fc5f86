//! What a failed run says: the objects, the cause, each cause once, in lines that fit a terminal.

use serde_json::Value;

use super::shop::objects;
use crate::support::Ran;

/// The width that the tests run `wi` with.
const WIDTH: usize = 80;

/// The boxes of a plan and what an apply says of failures, line by line.
pub fn diagnostic(out: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let (mut boxed, mut failed) = (false, false);
    for line in out.lines() {
        match line {
            "╷" => boxed = true,
            "╵" => boxed = false,
            "Failed:" | "Refused:" => failed = true,
            "" => failed = false,
            _ if boxed || failed => lines.push(line),
            _ => {}
        }
    }
    lines
}

/// Its text without boxes and line breaks.
fn flat(lines: &[&str]) -> String {
    let words = lines.iter().flat_map(|line| line.split_whitespace());
    words.filter(|w| *w != "│").collect::<Vec<_>>().join(" ")
}

/// How a fault that stays is told: any of these.
fn causes(fault: &Value) -> Vec<String> {
    if !fault["slowBodyMs"].is_null() {
        return vec!["no answer for".to_owned()];
    }
    let connection = ["connection", "stream error", "timed out"];
    let status = match fault["status"].as_u64() {
        _ if fault["failedPrecondition"] == true => 400,
        _ if fault["denied"] == true => 403,
        Some(200) => return vec!["the answer is not what the API documents".to_owned()],
        Some(status) => status,
        None => return connection.map(str::to_owned).to_vec(),
    };
    let mut causes = vec![format!("(HTTP {status})")];
    if status == 404 {
        causes.extend(["does not exist", "there is no role", "was not found"].map(str::to_owned));
    }
    causes
}

/// Fails unless a run that did not succeed says what failed and why, once a call.
pub fn check(ran: &Ran, calls: &[String], fault: &Value, what: &str) {
    let said = format!("{}\n{}", ran.out, ran.err);
    let lines = diagnostic(&said);
    let text = flat(&lines);
    let all = format!("{what}:\n{}\n{}", ran.out, ran.err);
    assert!(!lines.is_empty(), "nothing is said. {all}");

    let is_named = |names: &Vec<&str>| names.iter().any(|name| text.contains(name));
    // Where a project is not there, no account was left in it; the spec has none in this one.
    let is_absence = |call: &&String| {
        fault["status"] == 404 && *call == "GET /v1/projects/acme-us/serviceAccounts?"
    };
    let meant = calls.iter().filter(|call| !is_absence(call));
    let meant: Vec<Vec<&str>> = meant.flat_map(|call| objects(call)).collect();
    let is_stopped = ran.out.contains("Apply incomplete") || said.contains("in a dry run");
    if is_stopped || !fault["times"].is_null() {
        // The first that fails can keep the others from being tried; a dry run of what is to be in a namespace
        // that is not there yet is none.
        assert!(meant.iter().any(is_named), "not named: {meant:?}. {all}");
    } else {
        for names in &meant {
            assert!(is_named(names), "not named: {names:?}. {all}");
        }
    }

    let causes = causes(fault);
    let told = |cause: &String| text.matches(cause.as_str()).count();
    assert!(
        causes.iter().any(|c| told(c) > 0),
        "no cause: {causes:?}. {all}"
    );
    assert!(
        told(&causes[0]) <= calls.len(),
        "told more than once: {}. {all}",
        causes[0]
    );

    for line in lines {
        let bare = line.trim_start_matches(['│', '✗', '-', ' ']);
        let bare = bare.trim_start_matches("Error: ");
        // A word that is longer than a line, a URL or an address, has a line of its own.
        let fits = line.chars().count() <= WIDTH || !bare.trim_end().contains(' ');
        assert!(fits, "too long: {line}. {all}");
    }
}
