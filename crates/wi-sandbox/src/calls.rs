//! The record of requests, for tests that count them.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

/// How many requests the list keeps; the counts go on.
const KEPT: usize = 10_000;

/// Ends of paths whose `POST` changes nothing.
const QUESTIONS: [&str; 7] = [
    ":generateAccessToken",
    "/token",
    ":getIamPolicy",
    ":testIamPermissions",
    ":getAncestry",
    "/tokeninfo",
    "/selfsubjectaccessreviews",
];

/// A request, and how it was answered.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// In capitals.
    pub method: &'a str,
    /// As it came.
    pub path: &'a str,
    /// As it came.
    pub query: &'a str,
    /// Kept where it is JSON.
    pub body: &'a [u8],
    /// Of the answer.
    pub status: u16,
    /// What the client calls itself; empty where that is not known.
    pub agent: &'a str,
}

/// The requests so far.
#[derive(Debug, Default)]
pub struct Calls {
    total: usize,
    writes: usize,
    counts: BTreeMap<String, usize>,
    list: VecDeque<Value>,
}

impl Calls {
    /// Adds a request and how it was answered.
    pub fn record(&mut self, call: &Call<'_>) {
        let Call {
            method,
            path,
            query,
            body,
            status,
            agent,
        } = *call;
        self.total += 1;
        let asks = method == "GET" || QUESTIONS.iter().any(|end| path.ends_with(end));
        self.writes += usize::from(!asks && status < 300);
        *self.counts.entry(format!("{method} {path}")).or_default() += 1;
        if self.list.len() == KEPT {
            self.list.pop_front();
        }
        let mut call = json!({
            "method": method,
            "path": path,
            "query": query,
            "status": status,
        });
        if let Ok(body) = serde_json::from_slice::<Value>(body) {
            call["body"] = body;
        }
        if !agent.is_empty() {
            call["userAgent"] = agent.into();
        }
        self.list.push_back(call);
    }

    /// How many requests have changed something.
    pub fn writes(&self) -> usize {
        self.writes
    }

    /// `{total, counts: {"METHOD /path": n}, calls: [{method, path, query, status,
    /// body, userAgent}]}`.
    pub fn show(&self) -> Value {
        json!({"total": self.total, "counts": self.counts, "calls": self.list})
    }
}
