//! Tokens that are somebody: of Kubernetes service accounts, what the security token service makes of them, and
//! of the Google service accounts that those may be.

use std::hash::{BuildHasher, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::errors::ApiError;
use super::hub::fleet::of_provider;
use super::ids::ClusterKey;
use super::issued::{Claims, Holder, Pool, Workload};
use super::oracle::{self, Decision};
use super::request::Request;
use super::state::State;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const GET_TOKEN: &str = "iam.serviceAccounts.getAccessToken";
const DELEGATE: &str = "iam.serviceAccounts.implicitDelegation";

/// How long what the security token service gives lasts, in seconds.
const EXCHANGED: u64 = 3600;
/// The longest that needs no organization policy, in seconds.
const LONGEST: u64 = 3600;

/// A text that nobody guesses, and that tests can look for.
fn random(start: &str) -> String {
    let random = || RandomState::new().hash_one(std::process::id());
    format!("{start}-CANARY-{:016x}{:016x}", random(), random())
}

/// `https://container.googleapis.com/v1/projects/P/locations/L/clusters/C`: who signs a cluster's tokens.
fn issuer((project, location, name): &ClusterKey) -> String {
    format!(
        "https://container.googleapis.com/v1/projects/{project}/locations/{location}/clusters/{name}"
    )
}

fn is_signed_by(holder: &Holder, signer: &str) -> bool {
    matches!(holder, Holder::Workload(workload) if issuer(&workload.cluster) == signer)
}

/// Of whom a provider of a pool takes tokens: the project that calls are counted for, the pool, and who signs them. `None`:
/// there is no such provider. A cluster is one of its project's pool, a membership with an issuer one of its fleet's.
fn provider_of(state: &State, pool: &str, provider: &str) -> Option<(String, Pool, String)> {
    if let Some((host, membership)) = of_provider(&state.world.fleets, provider) {
        let signer = membership.issuer.clone()?;
        let of_fleet = state.fleet_pool(host) == pool;
        return of_fleet.then(|| (host.to_owned(), Pool::OfFleet(host.to_owned()), signer));
    }
    let mut clusters = state.world.clusters.iter();
    let known = clusters.find(|c| issuer(&c.key()) == provider)?;
    let holds = state.pool_exists(pool) && known.workload_pool.as_deref() == Some(pool);
    holds.then(|| (known.project.clone(), Pool::OfProject, provider.to_owned()))
}

/// A token of a cluster for one of its service accounts, in the shape of a JWT.
pub fn of_cluster(state: &mut State, cluster: &ClusterKey, claims: &Claims) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let now = jiff::Timestamp::now().as_second();
    let header = part(json!({"alg": "RS256", "kid": "sandbox"}));
    let body = part(json!({
        "iss": issuer(cluster),
        "sub": format!("system:serviceaccount:{}:{}", claims.namespace, claims.name),
        "aud": claims.audiences,
        "iat": now,
        "exp": now.saturating_add_unsigned(claims.seconds),
        "kubernetes.io": {
            "namespace": claims.namespace,
            "serviceaccount": {"name": claims.name, "uid": claims.uid},
        },
    }));
    let token = format!("{header}.{body}.{}", random("signature"));
    let holder = Holder::Workload(Workload {
        cluster: cluster.clone(),
        namespace: claims.namespace.clone(),
        ksa: claims.name.clone(),
        pool: Pool::OfProject,
    });
    let audiences = Some(claims.audiences.clone());
    state.tokens.keep(&token, holder, audiences, claims.seconds);
    token
}

/// Whether a service is off in a project, in the words of the refusal.
fn is_on(state: &State, project: &str, api: &str, title: &str) -> Result<(), ApiError> {
    let project_of = state.world.projects.get(project);
    if !project_of.is_some_and(|p| p.disabled_services.iter().any(|s| s == api)) {
        return Ok(());
    }
    let number = state.number(project);
    Err(ApiError::denied(format!(
        "{title} has not been used in project {number} before or it is disabled. Enable it by visiting https://console.developers.google.com/apis/api/{api}/overview?project={number} then retry."
    ))
    .with_info(
        "SERVICE_DISABLED",
        "googleapis.com",
        json!({"service": api, "consumer": format!("projects/{number}")}),
    ))
}

/// `POST /v1/token` of the security token service: a cluster's token for an access token of the same identity.
///
/// # Errors
/// 400 in OAuth's shape.
pub fn exchange(state: &mut State, request: &Request) -> Result<Value, ApiError> {
    let field = |name: &str| request.body[name].as_str().unwrap_or_default().to_owned();
    let refused = |error: &'static str, why: String| Err(ApiError::oauth(error, why));
    if field("grantType") != GRANT {
        return refused("unsupported_grant_type", "Invalid grantType.".to_owned());
    }
    for (name, wanted) in [
        ("requestedTokenType", ACCESS_TOKEN),
        ("subjectTokenType", JWT),
    ] {
        if field(name) != wanted {
            return refused("invalid_request", format!("Invalid value for {name}."));
        }
    }
    if field("scope").is_empty() {
        return refused("invalid_scope", "The scope is missing.".to_owned());
    }
    let audience = field("audience");
    let parts = audience
        .strip_prefix("identitynamespace:")
        .and_then(|rest| rest.split_once(':'));
    let Some((pool, provider)) = parts else {
        let why = "Invalid value for \"audience\". This value should be the full resource name of the Identity Provider.";
        return refused("invalid_target", why.to_owned());
    };
    let Some((project, in_pool, signer)) = provider_of(state, pool, provider) else {
        let why = "The target service indicated by the \"audience\" parameters is invalid. This might either be because the pool or provider is disabled or deleted or because it doesn't exist.";
        return refused("invalid_target", why.to_owned());
    };
    is_on(
        state,
        &project,
        "sts.googleapis.com",
        "Security Token Service API",
    )?;
    let issued = state.tokens.valid(&field("subjectToken"));
    let holder = match issued.and_then(|t| Some((t, t.audiences.as_ref()?))) {
        None => {
            let why = "The given credential is rejected by the attribute condition, has expired, or is no JWT of the provider.";
            return refused("invalid_grant", why.to_owned());
        }
        Some((t, _)) if !is_signed_by(&t.holder, &signer) => {
            let why = "The issuer in the subject token does not match the one of the provider.";
            return refused("invalid_grant", why.to_owned());
        }
        Some((_, audiences)) if !audiences.iter().any(|a| a == pool) => {
            let why = "The audience in ID Token does not match the expected audience.";
            return refused("invalid_grant", why.to_owned());
        }
        Some((t, _)) => t.holder.clone(),
    };
    let holder = match holder {
        Holder::Workload(workload) => Holder::Workload(Workload {
            pool: in_pool,
            ..workload
        }),
        other => other,
    };
    let token = random("ya29.d");
    state.tokens.keep(&token, holder, None, EXCHANGED);
    Ok(json!({
        "access_token": token,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": EXCHANGED,
    }))
}

/// `iamcredentials.projects.serviceAccounts.generateAccessToken`, asked by whoever holds such a token; `None`: by the
/// world's caller, who may be every account unless `callerLacks` says otherwise.
///
/// # Errors
/// 403 without the right to be it, in the words in which metadata servers pass it on; 404 for an account that is
/// not there; 400 for one that is disabled.
pub fn generate(
    state: &mut State,
    holder: Option<&Holder>,
    name: &str,
    body: &Value,
) -> Result<Value, ApiError> {
    if body["scope"].as_array().is_none_or(Vec::is_empty) {
        return Err(ApiError::invalid("Scope required."));
    }
    let lifetime = body["lifetime"].as_str().unwrap_or("3600s");
    let seconds: Option<u64> = lifetime.strip_suffix('s').and_then(|s| s.parse().ok());
    let seconds = seconds.filter(|s| *s > 0).ok_or_else(|| {
        ApiError::invalid(
            "Invalid value at 'lifetime' (type.googleapis.com/google.protobuf.Duration)",
        )
    })?;
    if seconds > LONGEST {
        return Err(ApiError::invalid(
            "The access token lifetime cannot exceed 3600 seconds, unless the organization policy constraint iam.allowServiceAccountCredentialLifetimeExtension lists the account.",
        ));
    }
    // A person has no project that calls are counted for: the account's own stands in.
    let counted_for = match holder {
        Some(Holder::Workload(workload)) => Some(workload.cluster.0.clone()),
        Some(Holder::Account(email)) => state.find_account(email).map(|(project, _)| project),
        None => state.find_account(name).map(|(project, _)| project),
    };
    if let Some(project) = counted_for {
        is_on(
            state,
            &project,
            "iamcredentials.googleapis.com",
            "IAM Service Account Credentials API",
        )?;
    }
    let delegates = body["delegates"].as_array().into_iter().flatten();
    let delegates = delegates.filter_map(|d| d.as_str()?.rsplit('/').next());
    let steps = delegates.map(|d| (d.to_owned(), DELEGATE));
    let mut who = holder.cloned();
    for (account, permission) in steps {
        who = Some(becomes(state, who.as_ref(), &account, permission)?);
    }
    let who = becomes(state, who.as_ref(), name, GET_TOKEN)?;
    let token = random("ya29.c");
    state.tokens.keep(&token, who, None, seconds);
    let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds.cast_signed());
    let ends = ends.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    Ok(json!({"accessToken": token, "expireTime": ends}))
}

/// The holder as an account that it may be.
fn becomes(
    state: &State,
    holder: Option<&Holder>,
    account: &str,
    permission: &str,
) -> Result<Holder, ApiError> {
    let email = match state.find_account(account) {
        Some((project, id)) => super::state::email(&project, &id),
        None => account.to_owned(),
    };
    match oracle::usable(state, &email) {
        Err(oracle::Unusable::Disabled) => {
            return Err(ApiError::precondition(format!(
                "Service account {email} is disabled."
            )));
        }
        Err(oracle::Unusable::Absent | oracle::Unusable::NotVisible) => {
            return Err(ApiError::not_found(format!(
                "Not found; Gaia id not found for email {email}"
            )));
        }
        Ok(()) => {}
    }
    let resource = format!("serviceaccount/{email}");
    match has(state, holder, permission, &resource)? {
        true => Ok(Holder::Account(email)),
        false => Err(ApiError::permission(
            permission,
            &format!("projects/-/serviceAccounts/{email}"),
        )),
    }
}

/// Whether a holder may do something.
///
/// # Errors
/// 501 where that hangs on what is not simulated.
pub fn may(
    state: &State,
    holder: &Holder,
    permission: &str,
    resource: &str,
) -> Result<bool, ApiError> {
    let decision: Decision = oracle::of_holder(state, holder, permission, resource);
    decision.allowed.ok_or_else(|| {
        ApiError::new(
            501,
            format!(
                "The sandbox cannot tell {permission} on {resource}: {}.",
                decision.why
            ),
        )
    })
}

/// Whether whoever asks may do something: the caller of the world (`None`) all that `callerLacks` does not name.
fn has(
    state: &State,
    holder: Option<&Holder>,
    permission: &str,
    resource: &str,
) -> Result<bool, ApiError> {
    match holder {
        None => Ok(!state.world.caller_lacks.iter().any(|l| l == permission)),
        Some(holder) => may(state, holder, permission, resource),
    }
}

/// Which of these permissions whoever asks has on a resource: of the caller of the world all that `callerLacks`
/// does not name.
///
/// # Errors
/// As [`may`].
pub fn tested<'a>(
    state: &State,
    request: &Request,
    resource: &str,
    asked: impl Iterator<Item = &'a str>,
) -> Result<Vec<&'a str>, ApiError> {
    let mut held = Vec::new();
    for permission in asked {
        if has(state, request.holder.as_ref(), permission, resource)? {
            held.push(permission);
        }
    }
    Ok(held)
}

/// Whether a holder of such a token is answered here: it may ask what it may do, and for tokens of accounts.
pub fn is_answered(request: &Request) -> bool {
    let path = &request.path;
    let dataset = path.starts_with("/bigquery/v2/projects/") && path.contains("/datasets/");
    path.ends_with(":testIamPermissions")
        || path.ends_with("/iam/testPermissions")
        || path.ends_with(":generateAccessToken")
        || (dataset && request.method == "GET")
}
