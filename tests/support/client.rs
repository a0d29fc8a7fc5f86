//! `wi` as a library, on a sandbox of this process.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wi::apply::{self, Context, Limits, Outcome};
use wi_client::auth::TokenSource;
use wi_client::http::{Endpoints, Http, HttpOptions};
use wi_client::kubernetes::Kube;
use wi_core::desired::Desired;
use wi_core::plan::{self, Options, Plan};
use wi_core::read_set::ReadSet;
use wi_sandbox::Sandbox;

/// Plans and applies by the library.
pub struct Client {
    pub http: Http,
    pub desired: Desired,
}

impl Client {
    pub fn of(spec: &str, sandbox: &Sandbox) -> Self {
        let source = wi_core::spec::Source::new("wi.yaml".to_owned(), spec.to_owned());
        let spec = wi_core::spec::load_sources(vec![source]).expect("a valid spec");
        let endpoints = Endpoints::all_at(&sandbox.endpoint()).expect("endpoints");
        let http = Http::new(HttpOptions {
            endpoints,
            token: TokenSource::fixed(sandbox.token()),
            ..HttpOptions::default()
        })
        .expect("a client");
        Self {
            http,
            desired: Desired::of(&spec),
        }
    }

    pub async fn plan(&self) -> (Plan, wi_core::live::Live) {
        let live = wi::engine::read::read(&self.http, &ReadSet::of(&self.desired)).await;
        (plan::plan(&self.desired, &live, &options()), live)
    }

    pub async fn apply(
        &self,
        plan: &Plan,
        live: &wi_core::live::Live,
        stop: CancellationToken,
    ) -> Outcome {
        apply::apply(Arc::new(self.context(plan, live)), stop).await
    }

    pub fn context(&self, plan: &Plan, live: &wi_core::live::Live) -> Context {
        self.context_within(plan, live, Duration::from_secs(1800))
    }

    /// With a bound on what IAM may take to see what was made, where some of it never is.
    pub fn context_within(
        &self,
        plan: &Plan,
        live: &wi_core::live::Live,
        propagation: Duration,
    ) -> Context {
        self.observed(plan, live, propagation, Arc::new(wi::apply::Unobserved))
    }

    /// The same, with somebody who looks on.
    pub fn observed(
        &self,
        plan: &Plan,
        live: &wi_core::live::Live,
        propagation: Duration,
        observer: Arc<dyn wi::apply::Observer>,
    ) -> Context {
        let limits = Limits {
            operation: Duration::from_secs(1800),
            propagation,
            poll: Duration::from_millis(3),
            ignore_exclusions: false,
            ..Limits::default()
        };
        Context::new(
            self.http.clone(),
            plan.clone(),
            &self.desired,
            live,
            &options(),
            observer,
            limits,
        )
    }
}

/// Somebody else annotates the Kubernetes service account `NAMESPACE/NAME` of a cluster of `client`'s spec meanwhile,
/// and waits until that is done.
pub fn annotate(client: &Client, cluster: &str, (namespace, name): (&str, &str), account: &str) {
    let annotations = serde_json::json!({ "iam.gke.io/gcp-service-account": account });
    let patch = serde_json::json!({ "metadata": { "annotations": annotations } });
    let wanted = &client.desired.clusters[cluster];
    let annotate = async {
        let found = wi_client::google::container::get_cluster(&client.http, &wanted.path).await;
        let found = found.expect("the cluster");
        let kube = Kube::connect(&client.http, &found, &wanted.access).expect("connected");
        kube.patch_service_account(namespace, name, &patch)
            .await
            .expect("annotated");
    };
    std::thread::scope(|scope| {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        scope.spawn(move || runtime.block_on(annotate));
    });
}

/// Those that it plans with.
pub fn options() -> Options {
    Options {
        allow_mass_removal: true,
        ..Options::default()
    }
}
