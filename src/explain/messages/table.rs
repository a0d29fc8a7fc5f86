//! What messages look like, and which link they mean: the first that fits counts, so that what is quoted by a
//! client comes before what clients say themselves.

/// What a message looks like.
#[derive(Debug, PartialEq, Eq)]
pub struct Signature {
    /// Stable, for programs.
    pub id: &'static str,
    /// All of them are in it, in any order.
    pub parts: &'static [&'static str],
    /// The id of the link that it means.
    pub link: &'static str,
    /// In words.
    pub means: &'static str,
}

impl Signature {
    /// Whether a cleaned message is one of these.
    pub fn fits(&self, text: &str) -> bool {
        self.parts.iter().all(|part| has(text, part))
    }
}

/// Whether a text has a part in it, whatever the case of letters.
fn has(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    text.windows(part.len())
        .any(|w| w.eq_ignore_ascii_case(part))
}

const fn row(
    id: &'static str,
    parts: &'static [&'static str],
    link: &'static str,
    means: &'static str,
) -> Signature {
    Signature {
        id,
        parts,
        link,
        means,
    }
}

/// All of them, in the order in which they are tried.
pub static SIGNATURES: &[Signature] = &[
    row(
        "E1",
        &["IAM returned 403", "iam.serviceAccounts.getAccessToken"],
        "14-binding",
        "the Kubernetes service account may not act as the Google one: the binding is missing, or has another namespace, name or pool",
    ),
    row(
        "E2",
        &[
            "Unable to generate access token",
            "The caller does not have permission",
        ],
        "14-binding",
        "as of older metadata servers: the Kubernetes service account may not act as the Google one",
    ),
    row(
        "E3",
        &["IAM returned 404", "Gaia id not found for email"],
        "13-account",
        "the annotation names a Google service account that does not exist",
    ),
    row(
        "E4",
        &["IAM returned 404", "Requested entity was not found"],
        "13-account",
        "the Google service account of the annotation does not exist, or was deleted",
    ),
    row(
        "E5",
        &["iam.serviceAccounts.getOpenIdToken"],
        "14-binding",
        "no ID token: the role lacks iam.serviceAccounts.getOpenIdToken, or the binding is missing",
    ),
    row(
        "E6",
        &["is not annotated with a target Google service account"],
        "4-annotation",
        "a Kubernetes service account that acts as itself gets no ID tokens: it needs a Google service account",
    ),
    row(
        "E7",
        &["non-empty audience parameter required"],
        "28-program",
        "the program asks for an ID token without an audience",
    ),
    row(
        "E8",
        &[
            "GKE Metadata Server encountered an error",
            "Missing required header",
        ],
        "28-program",
        "the program does not send Metadata-Flavor: Google",
    ),
    row(
        "E10",
        &["Error code 404 trying to get security access token"],
        "8-node",
        "the node pool has no service account, or it is gone: is the pod on a node with the GKE metadata server?",
    ),
    row(
        "E9",
        &["Unexpected Error code 500 trying to get security access token"],
        "14-binding",
        "the metadata server failed: look at the right to be the account first, then at the DaemonSet gke-metadata-server",
    ),
    row(
        "E9",
        &["GKE Metadata Server: Internal Server Error"],
        "14-binding",
        "the metadata server failed: look at the right to be the account first, then at the DaemonSet gke-metadata-server",
    ),
    row(
        "E11",
        &["instance/service-accounts/default/token", "not defined"],
        "14-binding",
        "the metadata server said 404, and the client hides why: look at the account and the right to be it",
    ),
    row(
        "E14",
        &["service-accounts/default/?recursive=true", "404"],
        "13-account",
        "the node's account or the annotation's is missing",
    ),
    row(
        "E26",
        &["This metadata endpoint is concealed"],
        "9-node-pool",
        "the old concealment proxy answers: the node pool is to be on GKE_METADATA",
    ),
    row(
        "E27",
        &["not recorded in the snapshot"],
        "6-host-network",
        "the metadata server does not know the pod's address: host network, a container in a container, or a pod that has just started",
    ),
    row(
        "E28",
        &["Failed to find Workload Identity configuration for pod"],
        "2-service-account-name",
        "the metadata server knows no identity for the pod",
    ),
    row(
        "E28",
        &["Caller is not authenticated"],
        "2-service-account-name",
        "the metadata server knows no identity for the pod",
    ),
    row(
        "E29",
        &["error looking up service account"],
        "3-service-account",
        "the Kubernetes service account does not exist",
    ),
    row(
        "E30",
        &["with additional claims does not have"],
        "18-grant",
        "it acts as itself (no annotation is in force) and has no role there: the annotation or the grant is missing",
    ),
    row(
        "E44",
        &["iam.serviceAccounts.signBlob"],
        "18-grant",
        "to sign URLs the account needs roles/iam.serviceAccountTokenCreator on itself",
    ),
    row(
        "E45",
        &["Invalid form of account ID"],
        "4-annotation",
        "it acts as itself, and the client asks for an email: it needs a Google service account, or return-principal-id-as-email",
    ),
    row(
        "E46",
        &["vpcServiceControlsUniqueIdentifier"],
        "25-perimeter",
        "VPC Service Controls refuse the call: the identifier finds the entry in the audit log",
    ),
    row(
        "E46",
        &["SECURITY_POLICY_VIOLATED"],
        "25-perimeter",
        "VPC Service Controls refuse the call",
    ),
    row(
        "E46",
        &["Request is prohibited by organization's policy"],
        "25-perimeter",
        "VPC Service Controls refuse the call",
    ),
    row(
        "E31",
        &["-compute@developer.gserviceaccount.com does not have"],
        "9-node-pool",
        "the call was made as the node's service account: host network, or a node pool that is not on GKE_METADATA",
    ),
    row(
        "E34",
        &["Anonymous caller does not have"],
        "28-program",
        "the program sends no credentials at all",
    ),
    row(
        "E36",
        &["Not authorized to access resource. Possibly missing permission cloudsql.instances.get"],
        "18-grant",
        "roles/cloudsql.client on the instance's project is missing",
    ),
    row(
        "E36",
        &["boss::NOT_AUTHORIZED"],
        "18-grant",
        "roles/cloudsql.client on the instance's project is missing",
    ),
    row(
        "E38",
        &["bigquery.jobs.create permission"],
        "18-grant",
        "roles/bigquery.jobUser on the project that pays for the query is missing",
    ),
    row(
        "E39",
        &["Access Denied: Table"],
        "18-grant",
        "a role on the dataset or the table is missing",
    ),
    row(
        "E39",
        &["Access Denied: Dataset"],
        "18-grant",
        "a role on the dataset is missing",
    ),
    row(
        "E35",
        &["Permission 'secretmanager.versions.access' denied"],
        "18-grant",
        "roles/secretmanager.secretAccessor on the secret is missing",
    ),
    row(
        "E32",
        &[
            "iam.gserviceaccount.com does not have",
            "access to the Google Cloud Storage",
        ],
        "18-grant",
        "the Google service account has no role on that bucket",
    ),
    row(
        "E33",
        &["denied on resource '//"],
        "18-grant",
        "a role with that permission on that resource is missing",
    ),
    row(
        "E37",
        &["User not authorized to perform this action"],
        "18-grant",
        "a role is missing; the message does not say whose: the chain up to the identity says that",
    ),
    row(
        "E40",
        &["ACCESS_TOKEN_SCOPE_INSUFFICIENT"],
        "9-node-pool",
        "the token has the node's scopes: the node pool is not on GKE_METADATA, or the pod is on the host's network",
    ),
    row(
        "E40",
        &["insufficient authentication scopes"],
        "9-node-pool",
        "the token has the node's scopes: the node pool is not on GKE_METADATA, or the pod is on the host's network",
    ),
    row(
        "E41",
        &["ACCESS_TOKEN_TYPE_UNSUPPORTED"],
        "29-service",
        "this API takes no federated tokens: the service account needs a Google one",
    ),
    row(
        "E41",
        &["Expected OAuth 2 access token, login cookie or other valid authentication credential"],
        "29-service",
        "this API takes no federated tokens: the service account needs a Google one",
    ),
    row(
        "E42",
        &["IAM Service Account Credentials API has not been used in project"],
        "12-apis",
        "iamcredentials.googleapis.com is off in that project",
    ),
    row(
        "E43",
        &["SERVICE_DISABLED"],
        "12-apis",
        "an API is off in the project that the message names",
    ),
    row(
        "E43",
        &["API has not been used in project"],
        "12-apis",
        "an API is off in the project that the message names",
    ),
    row(
        "E47",
        &["Unable to acquire impersonated credentials"],
        "14-binding",
        "the second hop fails: the account may not create tokens of the next",
    ),
    row(
        "E48",
        &["Quota exceeded", "iamcredentials.googleapis.com"],
        "5-other-annotations",
        "too many tokens are asked for, or they count against a project with a small quota",
    ),
    row(
        "E48",
        &["generate_access_token", "429"],
        "5-other-annotations",
        "too many tokens are asked for, or they count against a project with a small quota",
    ),
    row(
        "E49",
        &["invalid_target"],
        "11-workload-pool",
        "the workload pool does not exist or is disabled, or the audience names another cluster",
    ),
    row(
        "E50",
        &["Error connecting to the given credential's issuer"],
        "10-cluster-pool",
        "the token's issuer is not one that Google reaches: is it a GKE cluster of this project?",
    ),
    row(
        "E51",
        &["google.subject exceeds the 127 bytes limit"],
        "2-service-account-name",
        "the names of namespace and service account are too long together",
    ),
    row(
        "E52",
        &["could not get idbindtoken token"],
        "10-cluster-pool",
        "the Secret Store CSI provider gets no federated token: cluster pool, node pool and API, in this order",
    ),
    row(
        "E53",
        &["unable to fetch gcp service account token"],
        "14-binding",
        "the Secret Store CSI provider may not create the account's token",
    ),
    row(
        "E54",
        &["no token has audience value of idPool"],
        "9-node-pool",
        "the CSI driver asks for tokens of another audience than the workload pool",
    ),
    row(
        "E55",
        &["identity binding token fetch error"],
        "10-cluster-pool",
        "gcsfuse gets no federated token",
    ),
    row(
        "E55",
        &["could not find token for"],
        "4-annotation",
        "gcsfuse finds no token of the service account",
    ),
    row(
        "E55",
        &["failed to get GCP SA from Kubernetes SA"],
        "4-annotation",
        "gcsfuse cannot read the service account's annotation",
    ),
    row(
        "E56",
        &["Identity Pool does not exist"],
        "11-workload-pool",
        "no cluster of the project ever had Workload Identity: its pool does not exist yet",
    ),
    row(
        "E57",
        &["do not belong to a permitted customer"],
        "24-organization-policy",
        "an organization policy (iam.allowedPolicyMemberDomains) refuses the member",
    ),
    row(
        "E59",
        &["Invalid JWT Signature"],
        "28-program",
        "a key file is still in use whose key was deleted or disabled",
    ),
    row(
        "E58",
        &["invalid_grant", "account not found"],
        "28-program",
        "a key file is in use whose account is gone",
    ),
    row(
        "E58",
        &["Account disabled"],
        "13-account",
        "the Google service account is disabled",
    ),
    row(
        "E58",
        &["service account", "is disabled"],
        "13-account",
        "the Google service account is disabled",
    ),
    row(
        "E16",
        &[
            "Compute Engine Metadata server unavailable",
            "Connection refused",
        ],
        "27-metadata-server",
        "nothing listens at the metadata address: the DaemonSet gke-metadata-server is not ready",
    ),
    row(
        "E15",
        &["Compute Engine Metadata server unavailable", "timed out"],
        "26-network",
        "the metadata server is not reached: a NetworkPolicy, or a pod that has just started",
    ),
    row(
        "E61",
        &["SSLCertVerificationError", "metadata.google.internal"],
        "28-program",
        "the client library speaks TLS to the metadata server: update it",
    ),
    row(
        "E62",
        &["Name or service not known", "metadata.google.internal"],
        "26-network",
        "the name metadata.google.internal is not resolved: DNS, or GCE_METADATA_HOST",
    ),
    row(
        "E62",
        &["no such host", "metadata.google.internal"],
        "26-network",
        "the name metadata.google.internal is not resolved: DNS, or GCE_METADATA_HOST",
    ),
    row(
        "E63",
        &["context deadline exceeded", "169.254.169.254"],
        "26-network",
        "the metadata server does not answer in time: a NetworkPolicy, or the node does not reach sts and iamcredentials",
    ),
    row(
        "E63",
        &["504", "169.254.169.254"],
        "26-network",
        "the metadata server does not answer in time: a NetworkPolicy, or the node does not reach sts and iamcredentials",
    ),
    row(
        "E17",
        &["Your default credentials were not found"],
        "26-network",
        "no metadata server answered within three seconds, or the program looks elsewhere",
    ),
    row(
        "E18",
        &["Could not automatically determine credentials"],
        "27-metadata-server",
        "no metadata server answered: often a pod that has just started",
    ),
    row(
        "E19",
        &["could not find default credentials"],
        "26-network",
        "no metadata server answered",
    ),
    row(
        "E20",
        &["Could not load the default credentials"],
        "26-network",
        "no metadata server answered",
    ),
    row(
        "E22",
        &["Unable to detect a Project Id in the current environment"],
        "26-network",
        "no metadata server answered, or GOOGLE_CLOUD_PROJECT is to be set",
    ),
    row(
        "E23",
        &["incorrect Metadata-Flavor header"],
        "28-program",
        "a proxy answers in place of the metadata server: NO_PROXY needs 169.254.169.254",
    ),
    row(
        "E24",
        &["You do not currently have an active account selected"],
        "26-network",
        "gcloud saw no metadata server when it was started",
    ),
    row(
        "E24",
        &["No credentialed accounts"],
        "26-network",
        "gcloud saw no metadata server when it was started",
    ),
    row(
        "E25",
        &["gsutil", "timed out"],
        "26-network",
        "gsutil does not reach the metadata server or Cloud Storage",
    ),
    row(
        "E60",
        &["Regional Access Boundary HTTP request failed"],
        "0-none",
        "a warning of newer client libraries, not the cause: look for another message",
    ),
    row(
        "E64",
        &["is forbidden: User", "cannot"],
        "0-caller",
        "whoever runs wi or kubectl lacks a right in the cluster: it is not the pod's",
    ),
    row(
        "E65",
        &["automountServiceAccountToken"],
        "7-automount",
        "the program reads the Kubernetes token's file, which is not mounted: that is not Workload Identity",
    ),
    row(
        "E13",
        &["Failed to retrieve http://metadata.google.internal/"],
        "14-binding",
        "the metadata server refused: what follows in the message says why; the account and the right to be it come first",
    ),
    row(
        "E12",
        &["compute: Received 403"],
        "14-binding",
        "the metadata server refused: the right to be the account comes first",
    ),
    row(
        "E33",
        &["Permission '", "' denied"],
        "18-grant",
        "a role with that permission is missing on what the message names",
    ),
    row(
        "E21",
        &["Could not refresh access token"],
        "14-binding",
        "the metadata server refused: the account and the right to be it come first",
    ),
];
