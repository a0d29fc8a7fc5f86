//! The Google APIs, by name.

/// A Google API that `wi` calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Api {
    /// GKE.
    Container,
    /// Service accounts.
    Iam,
    /// Projects.
    CloudResourceManager,
    /// Buckets.
    Storage,
    /// Secrets.
    SecretManager,
    /// Topics and subscriptions.
    Pubsub,
    /// Datasets and tables.
    Bigquery,
    /// Keys and key rings.
    Cloudkms,
    /// Spanner instances and databases.
    Spanner,
    /// Repositories.
    ArtifactRegistry,
    /// Cloud Run services and jobs.
    Run,
    /// Queues.
    CloudTasks,
    /// Functions.
    CloudFunctions,
    /// Bigtable instances and tables.
    BigtableAdmin,
    /// DNS managed zones.
    Dns,
    /// What Identity-Aware Proxy lets through.
    Iap,
    /// Access tokens.
    Oauth2,
    /// Access tokens of service accounts.
    IamCredentials,
    /// Access tokens for tokens of others.
    Sts,
    /// Kubernetes API servers of the clusters of a fleet.
    ConnectGateway,
    /// Which APIs are on.
    ServiceUsage,
    /// Cloud Monitoring.
    Monitoring,
    /// The Activity Analyzer.
    PolicyAnalyzer,
    /// Cloud Logging.
    Logging,
    /// The search of policies.
    CloudAsset,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::Container,
        Self::Iam,
        Self::CloudResourceManager,
        Self::Storage,
        Self::SecretManager,
        Self::Pubsub,
        Self::Bigquery,
        Self::Cloudkms,
        Self::Spanner,
        Self::ArtifactRegistry,
        Self::Run,
        Self::CloudTasks,
        Self::CloudFunctions,
        Self::BigtableAdmin,
        Self::Dns,
        Self::Iap,
        Self::Oauth2,
        Self::IamCredentials,
        Self::Sts,
        Self::ConnectGateway,
        Self::ServiceUsage,
        Self::Monitoring,
        Self::PolicyAnalyzer,
        Self::Logging,
        Self::CloudAsset,
    ];

    /// The first label of its host: `container` of `container.googleapis.com`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Iam => "iam",
            Self::CloudResourceManager => "cloudresourcemanager",
            Self::Storage => "storage",
            Self::SecretManager => "secretmanager",
            Self::Pubsub => "pubsub",
            Self::Bigquery => "bigquery",
            Self::Cloudkms => "cloudkms",
            Self::Spanner => "spanner",
            Self::ArtifactRegistry => "artifactregistry",
            Self::Run => "run",
            Self::CloudTasks => "cloudtasks",
            Self::CloudFunctions => "cloudfunctions",
            Self::BigtableAdmin => "bigtableadmin",
            Self::Dns => "dns",
            Self::Iap => "iap",
            Self::Oauth2 => "oauth2",
            Self::IamCredentials => "iamcredentials",
            Self::Sts => "sts",
            Self::ConnectGateway => "connectgateway",
            Self::ServiceUsage => "serviceusage",
            Self::Monitoring => "monitoring",
            Self::PolicyAnalyzer => "policyanalyzer",
            Self::Logging => "logging",
            Self::CloudAsset => "cloudasset",
        }
    }
}
