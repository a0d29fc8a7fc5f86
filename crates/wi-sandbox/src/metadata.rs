//! The metadata server as a pod sees it, GKE's own or that of the node, and what a pod reaches of the network.

use serde_json::{Value, json};

use super::access::Token;
use super::curl::{self, Got, Transfer};
use super::gke::cluster::Cluster;
use super::kube::{means_pod, pod_state};
use super::oracle;
use super::state::State;

const EMAIL: &str = "instance/service-accounts/default/email";
const TOKEN: &str = "instance/service-accounts/default/token";

/// The server of one pod.
struct Server {
    token: Token,
    pool: String,
    project: String,
    /// The account that the pod's own is annotated with.
    annotated: Option<String>,
    /// Whether the pod's network lets it out.
    is_open: bool,
}

/// What curl in a container's pod prints, with its exit status.
pub fn by_curl(state: &State, cluster: &Cluster, pod: &Value, container: &Value) -> (i32, String) {
    let words = |field: &str| -> Vec<String> {
        let words = container[field].as_array().into_iter().flatten();
        words.filter_map(|w| Some(w.as_str()?.to_owned())).collect()
    };
    // `command` takes the place of the image's own, which is curl.
    let mut args: Vec<String> = words("command").into_iter().skip(1).collect();
    args.extend(words("args"));
    let server = Server {
        token: oracle::token_of(state, cluster, &pod_state(pod)),
        pool: cluster.workload_pool.clone().unwrap_or_default(),
        project: cluster.project.clone(),
        annotated: annotated(state, cluster, pod),
        is_open: is_open(state, cluster, pod),
    };
    curl::run(&args, |transfer| server.reached(transfer))
}

fn annotated(state: &State, cluster: &Cluster, pod: &Value) -> Option<String> {
    let running = state.kubes.get(&cluster.key())?;
    let pod = pod_state(pod);
    let account = running
        .kube
        .account(&pod.namespace, &pod.service_account_name);
    let (annotations, _) = account?;
    let email = annotations.get("iam.gke.io/gcp-service-account")?;
    Some(email.clone()).filter(|e| !e.is_empty())
}

impl Server {
    fn reached(&self, transfer: &Transfer) -> Got {
        match curl::host(&transfer.url) {
            // Without egress the cluster's DNS does not answer, either.
            "169.254.169.254" if !self.is_open => Got::TimedOut,
            _ if !self.is_open => Got::NoHost,
            "metadata.google.internal" | "169.254.169.254" => {
                let is_flavored = transfer.headers.iter().any(|header| {
                    let (name, value) = header.split_once(':').unwrap_or_default();
                    name.eq_ignore_ascii_case("metadata-flavor") && value.trim() == "Google"
                });
                let (status, body) = self.answer(curl::path(&transfer.url), is_flavored);
                Got::Answer(status, body)
            }
            host if host.ends_with(".googleapis.com") => Got::Answer(404, String::new()),
            _ => Got::NoHost,
        }
    }

    /// What it answers: the status and the body.
    fn answer(&self, path: &str, is_flavored: bool) -> (u16, String) {
        if !is_flavored {
            return (403, "Missing required header: Metadata-Flavor\n".to_owned());
        }
        let path = path.split('?').next().unwrap_or(path);
        match (path.strip_prefix("/computeMetadata/v1/"), &self.token) {
            (Some("project/project-id"), _) => (200, self.project.clone()),
            (Some(EMAIL), Token::Node(email) | Token::Account(email)) => (200, email.clone()),
            // Who it is is told, whether or not there is a token of it; without an annotation the pool stands for it.
            (Some(EMAIL), Token::Federated(_)) => (200, self.pool.clone()),
            (Some(EMAIL), Token::Refused(_)) => {
                (200, self.annotated.as_ref().unwrap_or(&self.pool).clone())
            }
            (Some(TOKEN), Token::Refused(why)) => {
                (403, format!("Unable to generate access token; {why}\n"))
            }
            (Some(TOKEN), _) => {
                let token = json!({ "access_token": "ya29.CANARY-of-a-pod", "expires_in": 3599, "token_type": "Bearer" });
                (200, token.to_string())
            }
            _ => (404, "404 page not found\n".to_owned()),
        }
    }
}

/// Whether NetworkPolicies let the pod out at all: one that selects it and allows no egress does not.
fn is_open(state: &State, cluster: &Cluster, pod: &Value) -> bool {
    let Some(running) = state.kubes.get(&cluster.key()) else {
        return true;
    };
    if pod["spec"]["hostNetwork"] == true {
        return true;
    }
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let policies = running.kube.network_policies(namespace);
    !policies.iter().any(|policy| {
        let spec = &policy["spec"];
        let mut types = spec["policyTypes"].as_array().into_iter().flatten();
        let is_egress = types.any(|t| t == "Egress");
        let rules = spec["egress"].as_array();
        let allows = rules.is_some_and(|rules| !rules.is_empty());
        is_egress && !allows && means_pod(&spec["podSelector"], pod)
    })
}
