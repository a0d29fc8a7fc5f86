use serde_json::Value;

use super::ApiError;

fn parse(code: u16, body: &Value) -> ApiError {
    ApiError::from_answer("GET", "https://x/", code, body.to_string().as_bytes())
}

#[test]
fn a_disabled_api_comes_with_the_command_that_enables_it() {
    let error = parse(
        403,
        &serde_json::json!({"error": {"code": 403, "message": "off", "status": "PERMISSION_DENIED",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED",
            "metadata": {"service": "container.googleapis.com", "consumer": "projects/acme-prod"}}]}}),
    );
    assert!(
        error
            .reason()
            .ends_with("Run `gcloud services enable container.googleapis.com --project acme-prod`")
    );
    assert!(error.is_denied());
}

#[test]
fn a_disabled_api_that_is_not_named_is_the_one_that_was_called() {
    let body = serde_json::json!({"error": {"code": 403, "message": "off", "details": [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}]}});
    let command =
        |url: &str| ApiError::from_answer("GET", url, 403, body.to_string().as_bytes()).command();
    for (url, wanted) in [
        (
            "https://container.googleapis.com/v1/projects/acme-us/locations/-/clusters",
            "container.googleapis.com --project acme-us",
        ),
        (
            "https://cloudresourcemanager.googleapis.com/v3/projects/acme-us:testIamPermissions",
            "cloudresourcemanager.googleapis.com --project acme-us",
        ),
        (
            "https://secretmanager.europe-west1.rep.googleapis.com/v1/projects/acme-us/secrets",
            "secretmanager.googleapis.com --project acme-us",
        ),
        (
            "https://europe-west1-connectgateway.googleapis.com/v1/projects/acme-us/x",
            "connectgateway.googleapis.com --project acme-us",
        ),
    ] {
        let wanted = format!("gcloud services enable {wanted}");
        assert_eq!(command(url), Some(wanted), "{url}");
    }
    for url in [
        "https://storage.googleapis.com/storage/v1/b/x/iam",
        "http://127.0.0.1:1/v1/projects/acme-us/locations/-/clusters",
    ] {
        assert_eq!(command(url), None, "{url}");
    }
}

#[test]
fn a_busy_cluster_is_known_by_all_its_texts() {
    let busy = |code: u16, message: &str| {
        let body = serde_json::json!({"error": {"code": code, "status": "FAILED_PRECONDITION", "message": message}});
        parse(code, &body).is_operation_running()
    };
    for text in [
        "Cluster is running incompatible operation operation-1700000000000-12345678.",
        "Operation operation-1 is currently operating on cluster main. Please wait and try again once it's done.",
        "Operation operation-1 is currently upgrading cluster main. Please wait and try again once it is done.",
        "Operation operation-1 is currently creating a node pool in cluster main. Please wait and try again once it is done.",
        "Operation operation-1 is currently deleting a node pool from cluster main. Please wait and try again once it is done.",
    ] {
        assert!(busy(400, text) && busy(429, text), "{text}");
        assert!(!busy(403, text));
    }
    assert!(!busy(
        400,
        "The cluster is not in a state in which this can be done."
    ));
}

#[test]
fn an_organization_policy_is_named_with_what_it_refuses() {
    let body = serde_json::json!({"error": {"code": 400, "status": "FAILED_PRECONDITION",
    "message": "One or more users named in the policy do not belong to a permitted customer.",
    "details": [{"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations": [
        {"type": "constraints/iam.allowedPolicyMemberDomains",
         "subject": "orgpolicy:projects/acme-prod?configvalue=serviceAccount%3Aci%40other-1.iam.gserviceaccount.com",
         "description": "User ci@other-1.iam.gserviceaccount.com is not in permitted organization."}]}]}});
    let url = "https://cloudresourcemanager.googleapis.com/v3/projects/acme-prod:setIamPolicy";
    let error = ApiError::from_answer("POST", url, 400, body.to_string().as_bytes());
    for said in [
        "do not belong to a permitted customer; the organization policy constraints/iam.allowedPolicyMemberDomains refuses serviceAccount:ci@other-1.iam.gserviceaccount.com",
        "gcloud org-policies describe iam.allowedPolicyMemberDomains --effective --project acme-prod",
    ] {
        assert!(error.reason().contains(said), "{}", error.reason());
    }
    let body = serde_json::json!({"error": {"code": 400, "message": "Precondition check failed.",
    "status": "FAILED_PRECONDITION", "details": [
        {"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations": [
            {"type": "constraints/iam.disableServiceAccountCreation", "subject": "projects/acme-prod"}]},
        {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [
            {"field": "policy.bindings[0].role", "description": "no such role"}]}]}});
    let error = ApiError::from_answer("POST", url, 400, body.to_string().as_bytes());
    assert_eq!(
        error.message,
        "Precondition check failed; the organization policy constraints/iam.disableServiceAccountCreation refuses it; policy.bindings[0].role: no such role"
    );
}

#[test]
fn vpc_service_controls_are_told_from_iam() {
    let told = serde_json::json!({"error": {"code": 403, "status": "PERMISSION_DENIED",
    "message": "Request is prohibited by organization's policy.", "details": [
        {"@type": "type.googleapis.com/google.rpc.PreconditionFailure",
         "violations": [{"type": "VPC_SERVICE_CONTROLS", "description": "xXyY-12_z"}]},
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SECURITY_POLICY_VIOLATED",
         "domain": "googleapis.com", "metadata": {"uid": "xXyY-12_z", "service": "storage.googleapis.com"}}]}});
    let in_words = serde_json::json!({"error": {"code": 403, "errors": [{"reason": "forbidden"}],
    "message": "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: xXyY-12_z."}});
    for body in [told, in_words] {
        let error = parse(403, &body);
        let said = error.reason();
        assert!(
            said.contains("VPC Service Controls refuse it, not IAM"),
            "{said}"
        );
        assert!(said.contains("by the identifier xXyY-12_z in"), "{said}");
        assert!(!said.contains("wi help real-projects"), "{said}");
    }
}

#[test]
fn quota_in_a_403_is_no_denial() {
    let error = parse(
        403,
        &serde_json::json!({"error": {"code": 403, "message": "Quota exceeded for quota metric"}}),
    );
    assert!(error.is_quota() && !error.is_denied());
}

#[test]
fn kubernetes_conflicts_name_the_manager() {
    let error = parse(
        409,
        &serde_json::json!({"kind": "Status", "reason": "Conflict", "message": "Apply failed",
        "details": {"causes": [{"reason": "FieldManagerConflict", "message": "conflict with \"x\"", "field": ".a"}]}}),
    );
    assert!(error.is_conflict());
    assert_eq!(error.causes[0].reason, "FieldManagerConflict");
}

#[test]
fn html_of_a_proxy_is_told_as_such() {
    let error = ApiError::from_answer(
        "GET",
        "https://x/",
        502,
        b"<html>\x1b[31m bad gateway</html>",
    );
    assert!(error.message.contains("not from the API") && !error.message.contains('\u{1b}'));
}
