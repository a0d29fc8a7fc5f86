//! EndpointSlices of Services, and objects whose end waits for what they own.

use serde_json::{Value, json};

use super::{is_going, namespace, owner_reference, uid};
use crate::kube::deletion::FOREGROUND;
use crate::kube::kind::Kind;
use crate::kube::manifest::{self, is_ready};
use crate::kube::objects::Key;
use crate::kube::store::Store;
use crate::kube::uid as uids;

impl Store {
    pub(super) fn run_services(&mut self) {
        for (_, service) in self.all(Kind::Service) {
            if !is_going(&service) {
                self.run_service(&service);
            }
        }
    }

    fn run_service(&mut self, service: &Value) {
        let selector = manifest::text_map(service.pointer("/spec/selector"));
        if selector.is_empty() {
            // Somebody else writes its slices.
            return;
        }
        let place = namespace(service);
        let publishes = service["spec"]["publishNotReadyAddresses"] == true;
        let mut endpoints = Vec::new();
        let mut ports = Vec::new();
        for (key, pod) in self.objects.from(Key::new(Kind::Pod, &place, "")) {
            if key.namespace != place {
                break;
            }
            let labels = manifest::labels_of(pod, "labels");
            let phase = pod["status"]["phase"].as_str().unwrap_or_default();
            let meant = selector
                .iter()
                .all(|(name, value)| labels.get(name) == Some(value));
            let Some(address) = pod["status"]["podIP"].as_str() else {
                continue;
            };
            if !meant || matches!(phase, "Succeeded" | "Failed") {
                continue;
            }
            let (serving, going) = (is_ready(pod) || publishes, is_going(pod));
            if ports.is_empty() {
                ports = ports_of(service, pod);
            }
            endpoints.push(json!({
                "addresses": [address],
                "conditions": { "ready": serving && !going, "serving": serving, "terminating": going },
                "nodeName": pod["spec"]["nodeName"],
                "targetRef": {
                    "kind": "Pod", "namespace": key.namespace, "name": key.name, "uid": uid(pod),
                },
            }));
        }
        let name = manifest::name_of(service);
        let slice_name = format!("{name}-{}", uids::suffix(&["slice", &uid(service)]));
        let key = Key::new(Kind::EndpointSlice, &place, &slice_name);
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": slice_name,
                "namespace": place,
                "labels": {
                    "kubernetes.io/service-name": name,
                    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                },
                "ownerReferences": [owner_reference(Kind::Service, service)],
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": ports,
        });
        match self.objects.get(&key) {
            None => {
                let _refused = self.make(Kind::EndpointSlice, &place, slice);
            }
            Some(live) => {
                let mut object = (**live).clone();
                for field in ["endpoints", "ports"] {
                    // Those of a Service that has no more pods stay.
                    if field == "endpoints" || slice[field] != json!([]) {
                        object[field] = slice[field].clone();
                    }
                }
                self.set_object(&key, object, "");
            }
        }
    }

    /// Objects that wait for their dependents, and those that wait no more.
    pub(super) fn end_foreground(&mut self) {
        let waiting: Vec<Key> = self
            .objects
            .iter()
            .filter(|(_, object)| is_going(object) && has_finalizer(object))
            .map(|(key, _)| key.clone())
            .collect();
        for key in waiting {
            let Some(owner) = self.objects.get(&key).cloned() else {
                continue;
            };
            let dependents = self.dependents(&uid(&owner));
            let blocking = dependents.iter().filter(|(_, object)| {
                let owners = object["metadata"]["ownerReferences"].as_array();
                let mut owners = owners.into_iter().flatten();
                owners.any(|o| {
                    o["uid"] == owner["metadata"]["uid"] && o["blockOwnerDeletion"] == true
                })
            });
            if blocking.count() == 0 {
                self.remove(&key);
                continue;
            }
            for (dependent, object) in dependents {
                if !is_going(&object) {
                    self.begin_foreground(&dependent);
                }
            }
        }
    }
}

fn has_finalizer(object: &Value) -> bool {
    let list = object["metadata"]["finalizers"].as_array();
    list.is_some_and(|list| list.iter().any(|one| one == FOREGROUND))
}

/// The ports of a Service as a pod has them: a `targetPort` may be a name.
fn ports_of(service: &Value, pod: &Value) -> Vec<Value> {
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    ports
        .map(|port| {
            let target = match &port["targetPort"] {
                Value::Null => port["port"].clone(),
                Value::String(name) => {
                    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
                    let mut named = containers
                        .filter_map(|c| c["ports"].as_array())
                        .flatten()
                        .filter(|p| p["name"] == name.as_str());
                    named
                        .next()
                        .map_or(Value::Null, |p| p["containerPort"].clone())
                }
                number => number.clone(),
            };
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            json!({
                "name": port["name"].as_str().unwrap_or(""),
                "port": target,
                "protocol": protocol,
            })
        })
        .collect()
}
