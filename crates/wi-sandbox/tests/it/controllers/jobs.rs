//! Jobs and CronJobs.

use serde_json::{Value, json};

use super::{Cluster, condition, template};

const JOBS: &str = "/apis/batch/v1/namespaces/shop/jobs";
const CRON_JOBS: &str = "/apis/batch/v1/namespaces/shop/cronjobs";

fn job(name: &str) -> Value {
    let mut template = template(name);
    template["spec"]["restartPolicy"] = json!("Never");
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": name, "namespace": "shop" },
        "spec": { "template": template },
    })
}

fn cron_job(name: &str, schedule: &str) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": { "name": name, "namespace": "shop" },
        "spec": { "schedule": schedule, "jobTemplate": { "spec": job(name)["spec"] } },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_works_and_is_complete_and_its_template_stays() {
    let mut cluster = Cluster::of(&[]).await;
    assert_eq!(cluster.create(JOBS, &job("once")).status, 201);
    let once = format!("{JOBS}/once");
    assert_eq!(cluster.get(&once)["status"]["active"], 1);
    let pods = cluster.list("/api/v1/namespaces/shop/pods?labelSelector=job-name=once");
    assert_eq!(pods.len(), 1);
    let patch = json!({ "spec": { "template": { "spec": { "dnsPolicy": "Default" } } } });
    assert_eq!(cluster.strategic(&once, &patch).status, 422);
    cluster.pass(60);
    let done = cluster.get(&once);
    assert_eq!(condition(&done, "Complete").0, "True", "{done:#}");
    assert_eq!(done["status"]["succeeded"], 1);
    assert_eq!(cluster.pods()[0]["status"]["phase"], "Succeeded");
    // Without a word its pods stay; with one they go.
    let answer = cluster.send("DELETE", &once, "application/json", &json!({}));
    assert_eq!(answer.status, 200);
    assert_eq!(cluster.pods().len(), 1);
    let mut brief = job("brief");
    brief["spec"]["ttlSecondsAfterFinished"] = json!(60);
    assert_eq!(cluster.create(JOBS, &brief).status, 201);
    cluster.pass(45);
    assert_eq!(cluster.pods().len(), 2);
    cluster.pass(120);
    assert_eq!((cluster.list(JOBS).len(), cluster.pods().len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_without_its_account_is_made_and_ends_by_its_deadline_alone() {
    let mut cluster = Cluster::of(&[]).await;
    let mut lost = job("lost");
    lost["spec"]["template"]["spec"]["serviceAccountName"] = json!("nobody");
    lost["spec"]["activeDeadlineSeconds"] = json!(60);
    assert_eq!(cluster.create(JOBS, &lost).status, 201);
    cluster.pass(30);
    let lost = format!("{JOBS}/lost");
    assert_eq!(condition(&cluster.get(&lost), "Failed").0, "none");
    cluster.pass(60);
    assert_eq!(
        condition(&cluster.get(&lost), "Failed").1,
        "DeadlineExceeded"
    );
    assert!(cluster.pods().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cron_job_makes_a_job_at_each_of_its_times() {
    let mut cluster = Cluster::of(&[cron_job("report", "*/10 * * * *")]).await;
    cluster.pass(3600);
    let path = format!("{CRON_JOBS}/report");
    let report = cluster.get(&path);
    let last = report["status"]["lastScheduleTime"]
        .as_str()
        .expect("it ran")
        .to_owned();
    // Three that succeeded are kept, and one may work.
    let kept = cluster.list(JOBS).len();
    assert!((3..=4).contains(&kept), "{kept}");
    assert_eq!(
        report["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"],
        "Never"
    );
    cluster.merge(&path, &json!({ "spec": { "suspend": true } }));
    cluster.pass(3600);
    assert_eq!(
        cluster.get(&path)["status"]["lastScheduleTime"],
        last.as_str()
    );
    // A new template is that of the next run.
    let image = json!({ "spec": { "suspend": false, "jobTemplate": { "spec": { "template": { "spec": {
        "containers": [{ "name": "app", "image": "report:2" }] } } } } } });
    assert_eq!(cluster.strategic(&path, &image).status, 200);
    cluster.pass(600);
    let newest = cluster
        .pods()
        .into_iter()
        .any(|pod| super::image(&pod) == "report:2");
    assert!(newest);
    let zone = json!({ "spec": { "timeZone": "Europe/Berlin" } });
    assert_eq!(cluster.strategic(&path, &zone).status, 501);
    let broken = cron_job("broken", "61 * * * *");
    assert_eq!(cluster.create(CRON_JOBS, &broken).status, 422);
}
