//! Changes as the resources that Terraform's Google and Kubernetes providers know: their types and
//! the names of their arguments, so that policies written for those hold here, too.

use serde_json::{Map, Value};

use super::Action;
use crate::desired::Desired;
use crate::resource::Resource;

/// A change's resource.
#[derive(Debug, Clone)]
pub struct Terraform {
    /// Its type, such as `google_service_account`.
    pub kind: String,
    /// Its arguments; `None` for what is created.
    pub before: Option<Map<String, Value>>,
    /// Its arguments; `None` for what is removed.
    pub after: Option<Map<String, Value>>,
    /// What removing it means, where that is not that it is gone: `disable` or `delete`.
    pub removal: Option<&'static str>,
}

impl Terraform {
    pub(super) fn new(
        kind: &str,
        action: Action,
        before: Map<String, Value>,
        after: Map<String, Value>,
    ) -> Self {
        Self {
            kind: kind.to_owned(),
            before: (action != Action::Create).then_some(before),
            after: (action != Action::Delete).then_some(after),
            removal: None,
        }
    }

    pub(super) fn update(
        kind: &str,
        before: Map<String, Value>,
        after: Map<String, Value>,
    ) -> Self {
        Self::new(kind, Action::Update, before, after)
    }
}

/// What says which cluster it is.
pub(super) fn of_cluster(desired: &Desired, cluster: &str) -> Map<String, Value> {
    let mut values = Map::new();
    if let Some(cluster) = desired.clusters.get(cluster) {
        let path = &cluster.path;
        values.insert("project".to_owned(), path.project.to_string().into());
        values.insert("location".to_owned(), path.location.clone().into());
        values.insert("name".to_owned(), path.name.clone().into());
    }
    values
}

/// What says which node pool it is.
pub(super) fn of_node_pool(
    desired: &Desired,
    cluster: &str,
    node_pool: &str,
) -> Map<String, Value> {
    let mut values = of_cluster(desired, cluster);
    if let Some(name) = values.insert("name".to_owned(), node_pool.into()) {
        values.insert("cluster".to_owned(), name);
    }
    values
}

/// The type of a member of a resource's policy, and what says which resource it is.
pub fn iam_member(resource: &Resource) -> (String, Map<String, Value>) {
    let (kind, arguments) = resource.kind().terraform;
    let names = resource.names();
    let mut values = Map::new();
    match (resource, arguments) {
        (Resource::ServiceAccount(email), _) => {
            let project = email.project().map_or("-".to_owned(), |p| p.to_string());
            let id = format!("projects/{project}/serviceAccounts/{email}");
            values.insert(arguments[0].to_owned(), id.into());
        }
        (_, [argument, "*"]) => {
            values.insert((*argument).to_owned(), names.join("/").into());
        }
        _ => {
            for (argument, name) in arguments.iter().zip(&names) {
                let value = match *argument {
                    "folder" => format!("folders/{name}"),
                    _ => name.clone(),
                };
                values.insert((*argument).to_owned(), value.into());
            }
        }
    }
    (format!("google_{kind}_iam_member"), values)
}
