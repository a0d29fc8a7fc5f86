//! What stands against taking a key out of a template.

use std::fmt;

use crate::spec::migration::Accept;

/// Why a key is not taken out of a template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trap {
    /// Something has the key, and nothing tells what reads it.
    UnknownReader { container: String, what: String },
    /// Something in a container mentions a path that would be gone, or a variable that would be.
    Mentions {
        container: String,
        field: String,
        what: String,
    },
    /// A variable that is taken away may be set by this as well, and then leads elsewhere.
    SetElsewhere {
        container: String,
        variable: String,
        by: String,
    },
    /// The key is of another project than the cluster, and something may say already which one is meant.
    Project {
        container: String,
        project: String,
        by: String,
    },
    /// The variable is set by what the template names, and not in it.
    FromElsewhere {
        container: String,
        variable: String,
        path: String,
    },
    /// A volume has all of a Secret, and the Secret has more than keys.
    OtherKeys {
        volume: String,
        secret: String,
        others: Vec<String>,
    },
    /// All of a Secret are variables.
    WholeEnvironment { container: String, secret: String },
    /// A flag that leads to the key stands in a script, or is put together from variables.
    InScript { container: String, flag: String },
    /// The command is there to log in with the key.
    LoginCommand { container: String, flag: String },
    /// Without the argument the image's own command or arguments would be run.
    OnlyArgument { container: String, field: String },
    /// The kubelet pulls images with it, as the node.
    ImagePull { secret: String },
    /// A CSI driver mounts a volume by it.
    Driver { volume: String, driver: String },
    /// The pods are on the host's network: they would be the node's service account.
    HostNetwork,
    /// The GKE metadata server is not on Windows nodes.
    Windows,
    /// The template is not what the API documents.
    Unreadable(String),
    /// The key would be there still.
    Still { container: String, way: String },
}

impl Trap {
    /// What can be accepted to go on all the same; `None`: it has to be changed by hand.
    pub fn accept(&self) -> Option<Accept> {
        match self {
            Self::UnknownReader { .. } => Some(Accept::UnknownReader),
            Self::Mentions { .. } => Some(Accept::Mentions),
            Self::SetElsewhere { .. } => Some(Accept::SetElsewhere),
            _ => None,
        }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownReader { container, what } => write!(
                f,
                "container {container} has the key ({what}), and nothing tells what reads it"
            ),
            Self::Mentions {
                container,
                field,
                what,
            } => write!(
                f,
                "container {container} mentions {what}, which would be gone, in {field}"
            ),
            Self::SetElsewhere {
                container,
                variable,
                by,
            } => write!(
                f,
                "container {container}: without its own {variable}, the one of {by} may count"
            ),
            Self::Project {
                container,
                project,
                by,
            } => write!(
                f,
                "container {container} had its project, {project}, from the key, unless {by} (envFrom) sets GOOGLE_CLOUD_PROJECT: set it in the container (env)"
            ),
            Self::FromElsewhere {
                container,
                variable,
                path,
            } => write!(
                f,
                "container {container} has {variable} -> {path} from a ConfigMap (envFrom): take it out there, or set it in the container"
            ),
            Self::OtherKeys {
                volume,
                secret,
                others,
            } if others.is_empty() => write!(
                f,
                "volume {volume} has all of Secret {secret}, which was not opened: name those that are needed (items)"
            ),
            Self::OtherKeys {
                volume,
                secret,
                others,
            } => write!(
                f,
                "volume {volume} has all of Secret {secret}, and {} in it is no key: name those that are needed (items)",
                others.join(", ")
            ),
            Self::WholeEnvironment { container, secret } => write!(
                f,
                "container {container} has all of Secret {secret} as variables (envFrom): name those that are needed (env)"
            ),
            Self::InScript { container, flag } => write!(
                f,
                "container {container}: {flag} stands in a script or is put together from variables: take it out by hand"
            ),
            Self::LoginCommand { container, flag } => write!(
                f,
                "container {container} logs in with the key (gcloud, {flag}): take the command out by hand; without a login gcloud asks the metadata server"
            ),
            Self::OnlyArgument { container, field } => write!(
                f,
                "container {container}: nothing would be left of {field}, and the image's own would be run: write out what is to be run"
            ),
            Self::ImagePull { secret } => write!(
                f,
                "images are pulled with Secret {secret}: the kubelet does that as the node's service account; grant it roles/artifactregistry.reader and take imagePullSecrets out"
            ),
            Self::Driver { volume, driver } => write!(
                f,
                "volume {volume} is mounted by {driver} with the key: the driver's keyless way is in its documentation"
            ),
            Self::HostNetwork => f.write_str(
                "its pods are on the host's network: without a key they are the node's service account",
            ),
            Self::Windows => {
                f.write_str("its pods are on Windows nodes, which have no GKE metadata server")
            }
            Self::Unreadable(why) => write!(f, "its pod template cannot be read: {why}"),
            Self::Still { container, way } => write!(
                f,
                "container {container} would have the key still ({way}): take it out by hand"
            ),
        }
    }
}
