//! An apply by the library, where timeouts and limits can be shorter than the binary's.

use std::sync::Arc;
use std::time::Duration;

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

/// Plans and, if all could be read, applies; answers with what the binary would print.
pub async fn apply(inside: &Inside, spec: &str, timeout: Duration, propagation: Duration) -> Ran {
    let source = wi_core::spec::Source::new("wi.yaml".to_owned(), spec.to_owned());
    let spec = wi_core::spec::load_sources(vec![source]).expect("a valid spec");
    let desired = Desired::of(&spec);
    let http = Http::new(HttpOptions {
        endpoints: Endpoints::all_at(&inside.sandbox.endpoint()).expect("endpoints"),
        token: TokenSource::fixed(inside.sandbox.token()),
        timeout,
        patience: timeout,
        ..HttpOptions::default()
    })
    .expect("a client");
    let live = wi::engine::read::read(&http, &ReadSet::of(&desired)).await;
    let plan = plan::plan(&desired, &live, &Options::default());
    let mut out = view::text::plan(&plan, 80, false);
    let mut code = 1;
    if plan.unseen.is_empty() && plan.errors.is_empty() {
        let limits = Limits {
            propagation,
            ..Limits::default()
        };
        let progress = Arc::new(wi::apply::Unobserved);
        let context = Context::new(
            http,
            plan.clone(),
            &desired,
            &live,
            &Options::default(),
            progress,
            limits,
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
