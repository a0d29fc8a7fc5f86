//! What a Job tries from a pod: which curl runs, and what its log proves. Nothing of a token is printed by it.

use serde_json::{Value, json};
use wi_core::access::ladder::Rung;
use wi_core::names::Email;
use wi_core::words::safe;

use super::{Outcome, Step};

const METADATA: &str =
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default";

/// What a line of the log begins with that says how a transfer ended.
const SAYS: &str = "wi-verify";

/// What identifies a Job, and how long it may take.
pub(super) struct Names<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
    pub service_account: &'a str,
    pub run: &'a str,
    pub image: &'a str,
    pub seconds: u64,
}

/// The Job: one pod as the service account, which asks the metadata server who it is and for a token, and calls hosts.
pub(super) fn manifest(names: &Names<'_>, hosts: &[String]) -> Value {
    let labels = json!({
        "app.kubernetes.io/name": "wi-verify",
        "app.kubernetes.io/managed-by": "wi",
        "wi/run": names.run,
    });
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": names.name, "namespace": names.namespace, "labels": labels },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": names.seconds,
            // Where `wi` is killed, the cluster itself tidies up.
            "ttlSecondsAfterFinished": 60,
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "serviceAccountName": names.service_account,
                    "automountServiceAccountToken": false,
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 0,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": 65534,
                        "seccompProfile": { "type": "RuntimeDefault" },
                    },
                    "containers": [{
                        "name": "curl",
                        "image": names.image,
                        "command": ["curl"],
                        "args": arguments(hosts),
                        "resources": {
                            "requests": { "cpu": "10m", "memory": "16Mi" },
                            "limits": { "memory": "64Mi" },
                        },
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "readOnlyRootFilesystem": true,
                            "capabilities": { "drop": ["ALL"] },
                        },
                    }],
                },
            },
        },
    })
}

/// The body of the first transfer alone is printed: a name. That of the token goes nowhere.
fn arguments(hosts: &[String]) -> Vec<String> {
    let flavor = ["-H", "Metadata-Flavor: Google"];
    // A metadata server on a node that has just begun takes some seconds.
    let patience = ["--max-time", "10", "--retry", "5", "--retry-connrefused"];
    let mut all: Vec<String> = Vec::new();
    let mut add = |words: &[&str], says: &str, url: &str| {
        if !all.is_empty() {
            all.push("--next".to_owned());
        }
        all.extend(["-sS", "-w"].map(str::to_owned));
        all.push(format!("\\n{SAYS} {says} %{{http_code}}\\n"));
        all.extend(words.iter().chain(&patience).map(|w| (*w).to_owned()));
        all.push(url.to_owned());
    };
    add(&flavor, "identity", &format!("{METADATA}/email"));
    let hidden = [&flavor[..], &["-o", "/dev/null"]].concat();
    add(&hidden, "token", &format!("{METADATA}/token"));
    for host in hosts {
        let url = format!("https://{host}/");
        add(&["-o", "/dev/null"], &format!("host={host}"), &url);
    }
    all
}

/// What a transfer came to.
struct Came {
    what: String,
    /// 0: no answer.
    status: u16,
    /// The line before, which is the body where one is printed.
    body: String,
    /// What curl says of it: `(28) Connection timed out`.
    error: Option<String>,
}

fn read(log: &str) -> Vec<Came> {
    let mut all: Vec<Came> = Vec::new();
    let (mut before, mut said) = (String::new(), None);
    for line in log.lines() {
        let words = line
            .strip_prefix(SAYS)
            .and_then(|rest| rest.trim_start().split_once(' '));
        if let Some((what, status)) = words
            && let Ok(status) = status.trim().parse()
        {
            all.push(Came {
                what: what.to_owned(),
                status,
                body: std::mem::take(&mut before),
                error: said.take(),
            });
        } else if let Some(error) = line.strip_prefix("curl: ") {
            // It comes before what `-w` prints or after it, as the two streams are put together.
            match all
                .last_mut()
                .filter(|last| last.status == 0 && last.error.is_none())
            {
                Some(last) => last.error = Some(error.to_owned()),
                None => said = Some(error.to_owned()),
            }
        } else if !line.is_empty() {
            line.clone_into(&mut before);
        }
    }
    all
}

/// What a log proves of a pod on a node: `expected` is the account that it is to be; `None`: itself, for which the
/// `pool` stands.
pub(super) fn judge(log: &str, expected: Option<&Email>, pool: &str, node: &str) -> Vec<Step> {
    let all = read(log);
    let find = |what: &str| all.iter().find(|came| came.what == what);
    let Some(identity) = find("identity") else {
        let title = format!("pod on {node}");
        let why = "its log is not what curl prints: is there curl in the image?";
        return vec![Step::new(Rung::Pod, Outcome::Untried, title).why(why)];
    };
    let said = |came: &Came| match &came.error {
        Some(error) => format!("curl: {}", safe(error)),
        None => "no answer".to_owned(),
    };
    let wanted = expected.map_or(pool, Email::as_str);
    let title = format!("metadata server of {node}");
    let mut steps = Vec::new();
    let body = identity.body.trim();
    steps.push(match identity.status {
        0 => Step::new(Rung::Network, Outcome::Broken, title).why(format!(
            "{}: a NetworkPolicy may keep the pod from it or from DNS",
            said(identity)
        )),
        200 if body == wanted => Step::holds(Rung::NodePool, format!("{title}: {wanted}")),
        200 if body.ends_with("gserviceaccount.com") && !body.is_empty() => {
            Step::new(Rung::NodePool, Outcome::Broken, title).why(format!(
                "the pod is {}, and not {wanted}: the node's identity, where the node has no GKE metadata server, or that of another annotation",
                safe(body)
            ))
        }
        200 => Step::new(Rung::NodePool, Outcome::Broken, title)
            .why(format!("the pod is {}, and not {wanted}", safe(body))),
        status => Step::new(Rung::NodePool, Outcome::Untried, title)
            .why(format!("it answers {status} to who the pod is")),
    });
    if let Some(token) = find("token").filter(|token| token.status != 0 || identity.status != 0) {
        let title = "token from the metadata server";
        steps.push(match token.status {
            200 => Step::holds(Rung::Binding, title),
            403 => Step::new(Rung::Binding, Outcome::Broken, title).why("it answers 403"),
            404 => Step::new(Rung::NodePool, Outcome::Broken, title)
                .why("it answers 404: the node has no account"),
            0 => Step::new(Rung::Network, Outcome::Untried, title).why(said(token)),
            status => Step::new(Rung::Binding, Outcome::Untried, title)
                .why(format!("it answers {status}")),
        });
    }
    for came in &all {
        let Some(host) = came.what.strip_prefix("host=") else {
            continue;
        };
        let title = format!("{host} from the pod");
        // Whatever it answers, it was reached.
        steps.push(match came.status {
            0 => Step::new(Rung::Network, Outcome::Broken, title).why(said(came)),
            _ => Step::holds(Rung::Network, title),
        });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: &str = "acme-prod.svc.id.goog";

    fn email() -> Email {
        Email::parse("web@acme-prod.iam.gserviceaccount.com").expect("an email")
    }

    fn said(log: &str, expected: Option<&Email>) -> Vec<(Rung, Outcome)> {
        let steps = judge(log, expected, POOL, "node n");
        steps.iter().map(|s| (s.link, s.outcome)).collect()
    }

    #[test]
    fn a_log_proves_who_the_pod_is_that_it_has_a_token_and_what_it_reaches() {
        let log = "web@acme-prod.iam.gserviceaccount.com\nwi-verify identity 200\n\nwi-verify token 200\n\nwi-verify host=storage.googleapis.com 400\n";
        let all = [Rung::NodePool, Rung::Binding, Rung::Network];
        assert_eq!(said(log, Some(&email())), all.map(|r| (r, Outcome::Holds)));
        // As itself the pool stands for it.
        let itself = log.replace("web@acme-prod.iam.gserviceaccount.com", POOL);
        assert_eq!(said(&itself, None)[0], (Rung::NodePool, Outcome::Holds));
        assert_eq!(
            said(&itself, Some(&email()))[0],
            (Rung::NodePool, Outcome::Broken)
        );
        let node = log.replace("web@acme-prod.iam", "1-compute@developer");
        let steps = judge(&node, Some(&email()), POOL, "node n");
        assert_eq!(steps[0].outcome, Outcome::Broken);
        assert!(steps[0].why.contains("node's identity"), "{}", steps[0].why);
    }

    #[test]
    fn what_was_not_answered_is_the_networks_and_what_is_no_log_proves_nothing() {
        let cut = "\nwi-verify identity 000\ncurl: (6) Could not resolve host: metadata.google.internal\n\nwi-verify token 000\n\nwi-verify host=a.googleapis.com 000\n";
        let broken = (Rung::Network, Outcome::Broken);
        assert_eq!(said(cut, None), [broken, broken]);
        let before = "curl: (28) timed out\n\nwi-verify identity 000\n";
        assert!(judge(before, None, POOL, "n")[0].why.contains("(28)"));
        let refused = format!("{POOL}\nwi-verify identity 200\n\nwi-verify token 403\n");
        assert_eq!(said(&refused, None)[1], (Rung::Binding, Outcome::Broken));
        let busy = format!("{POOL}\nwi-verify identity 200\n\nwi-verify token 503\n");
        assert_eq!(said(&busy, None)[1], (Rung::Binding, Outcome::Untried));
        for other in [
            "",
            "sh: curl: not found\n",
            "wi-verify identity\nwi-verify token 200\n",
        ] {
            assert_eq!(
                said(other, None),
                [(Rung::Pod, Outcome::Untried)],
                "{other}"
            );
        }
    }

    #[test]
    fn a_job_prints_no_token_keeps_no_right_and_goes_by_itself() {
        let names = Names {
            name: "wi-verify-1",
            namespace: "shop",
            service_account: "web",
            run: "r",
            image: "curl:1",
            seconds: 90,
        };
        let job = manifest(&names, &["storage.googleapis.com".to_owned()]);
        let args = job["spec"]["template"]["spec"]["containers"][0]["args"].clone();
        let args: Vec<&str> = args
            .as_array()
            .expect("arguments")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for transfer in args.split(|word| *word == "--next").skip(1) {
            assert!(transfer.contains(&"/dev/null"), "{transfer:?}");
        }
        let token = args
            .iter()
            .position(|a| a.ends_with("/token"))
            .expect("a token");
        assert!(args[..token].contains(&"--next"));
        let spec = &job["spec"];
        assert_eq!(
            (&spec["backoffLimit"], &spec["ttlSecondsAfterFinished"]),
            (&json!(0), &json!(60))
        );
        assert_eq!(spec["activeDeadlineSeconds"], 90);
        assert_eq!(
            spec["template"]["spec"]["automountServiceAccountToken"],
            false
        );
    }
}
