//! An apply by the library, whose clock can be simulated.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use wi::apply::{self, Context, Limits, Status};
use wi::view;
use wi_client::auth::TokenSource;
use wi_client::http::{Endpoints, Http, HttpOptions};
use wi_core::desired::Desired;
use wi_core::plan::{self, Options};
use wi_core::read_set::ReadSet;

use crate::support::Ran;
use crate::support::inside::Inside;

/// Where a sandbox is, and what is applied on it.
pub struct Work {
    endpoint: String,
    token: String,
    spec: String,
}

impl Work {
    pub fn on(inside: &Inside, spec: &str) -> Self {
        Self {
            endpoint: inside.sandbox.endpoint(),
            token: inside.sandbox.token(),
            spec: spec.to_owned(),
        }
    }
}

/// Plans and, if all could be read, applies, within the binary's timeouts and limits; answers with what it would print.
pub async fn apply(work: Work) -> Ran {
    let source = wi_core::spec::Source::new("wi.yaml".to_owned(), work.spec);
    let spec = wi_core::spec::load_sources(vec![source]).expect("a valid spec");
    let desired = Desired::of(&spec);
    let http = Http::new(HttpOptions {
        endpoints: Endpoints::all_at(&work.endpoint).expect("endpoints"),
        token: TokenSource::fixed(work.token),
        ..HttpOptions::default()
    })
    .expect("a client");
    let live = wi::engine::read::read(&http, &ReadSet::of(&desired)).await;
    let plan = plan::plan(&desired, &live, &Options::default());
    let mut out = view::text::plan(&plan, 80, false);
    let mut code = 1;
    if plan.unseen.is_empty() && plan.errors.is_empty() {
        let progress = Arc::new(wi::apply::Unobserved);
        let context = Context::new(
            http,
            plan.clone(),
            &desired,
            &live,
            &Options::default(),
            progress,
            Limits::default(),
        );
        let outcome = apply::apply(Arc::new(context), CancellationToken::new()).await;
        let again = view::outcome::GoOn::Again("wi apply".to_owned());
        out.push_str(&view::outcome::text(&plan, &outcome, 80, false, &again));
        code = i32::from(outcome.values().any(|end| *end != Status::Done));
    }
    Ran {
        code: Some(code),
        out: anstream::adapter::strip_str(&out).to_string(),
        err: String::new(),
    }
}
