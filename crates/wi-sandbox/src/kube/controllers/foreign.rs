//! Others who write: owners of templates that put back what somebody changed, and makers of Secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::seconds;
use crate::kube::clockwork::Order;
use crate::kube::fields::Manager;
use crate::kube::kind::Kind;
use crate::kube::objects::Key;
use crate::kube::store::Store;
use crate::kube::workloads;

impl Store {
    pub(super) fn run_owners(&mut self) {
        for owner in self.settings().owners {
            let mut parts = owner.object.split('/');
            let (Some(namespace), Some(kind), Some(name)) = (
                parts.next(),
                parts.next().and_then(Kind::named),
                parts.next(),
            ) else {
                continue;
            };
            let key = Key::new(kind, namespace, name);
            let Some(path) = workloads::template_path(kind) else {
                continue;
            };
            let Some(live) = self.objects.get(&key).cloned() else {
                continue;
            };
            let now = self.time();
            let Some(works) = self.works() else { return };
            let template = live.pointer(path).cloned().unwrap_or_default();
            let remembered = works
                .remembered
                .entry(owner.object.clone())
                .or_insert(template);
            let wanted = if owner.template.is_null() {
                &*remembered
            } else {
                &owner.template
            };
            let mut restored = (*live).clone();
            if let Some(template) = restored.pointer_mut(path) {
                *template = wanted.clone();
            }
            let restored = workloads::completed(&key, restored, Some(&live));
            if restored["spec"] == live["spec"] {
                works.differs_since.remove(&owner.object);
                continue;
            }
            let since = *works
                .differs_since
                .entry(owner.object.clone())
                .or_insert(now);
            let at = since + seconds(i64::from(owner.after_seconds));
            if at > now {
                self.wake_by_schedule(at);
                continue;
            }
            // Who refuses it is asked again.
            let _refused = self.update(&key, restored, &Manager(owner.manager.clone()));
        }
    }

    pub(super) fn run_makers(&mut self) {
        for maker in self.settings().makers {
            let Some((namespace, name)) = maker.secret.split_once('/') else {
                continue;
            };
            let key = Key::new(Kind::Secret, namespace, name);
            let live = self.objects.get(&key).cloned();
            let (now, period) = (self.time(), seconds(i64::from(maker.every_seconds.max(1))));
            let tick = now - now.rem_euclid(period);
            self.wake_by_schedule(tick + period);
            let Some(works) = self.works() else { return };
            let begins = works.beginning;
            let content =
                |secret: &Value| json!({ "data": secret["data"], "type": secret["type"] });
            if let Some(live) = &live {
                works
                    .remembered
                    .entry(maker.secret.clone())
                    .or_insert_with(|| content(live));
            }
            let last = works.made.insert(maker.secret.clone(), tick);
            if begins || last.is_none_or(|last| last >= tick) {
                continue;
            }
            if let Some(account) = maker.keys_of.clone() {
                works.orders.push(Order {
                    account,
                    namespace: namespace.to_owned(),
                    secret: name.to_owned(),
                    manager: maker.manager.clone(),
                });
                continue;
            }
            let Some(wanted) = works.remembered.get(&maker.secret).cloned() else {
                continue;
            };
            self.write_secret(&key, wanted, &maker.manager);
        }
    }

    fn write_secret(&mut self, key: &Key, content: Value, manager: &str) {
        let manager = Manager(manager.to_owned());
        let live = self.objects.get(key).cloned();
        let mut secret = match &live {
            Some(live) => (**live).clone(),
            None => {
                json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": key.name } })
            }
        };
        for field in ["data", "type"] {
            secret[field] = content[field].clone();
        }
        // Who refuses it is asked again.
        let _refused = match live {
            Some(_) => self.update(key, secret, &manager),
            None => self.create(Kind::Secret, &key.namespace, secret, &manager),
        };
    }

    /// The id of the key that an order's Secret holds.
    pub fn ordered_key(&self, order: &Order) -> Option<String> {
        let key = Key::new(Kind::Secret, &order.namespace, &order.secret);
        let data = self.objects.get(&key)?["data"].as_object()?.clone();
        data.values().find_map(|text| {
            let text = STANDARD.decode(text.as_str()?).ok()?;
            let key: Value = serde_json::from_slice(&text).ok()?;
            Some(key["private_key_id"].as_str()?.to_owned())
        })
    }

    /// Writes another key into an order's Secret, under the name that the former one had.
    pub fn deliver(&mut self, order: &Order, file: &Value) {
        let key = Key::new(Kind::Secret, &order.namespace, &order.secret);
        let live = self.objects.get(&key);
        let data = live.and_then(|live| live["data"].as_object());
        let name = data.and_then(|data| data.keys().next().cloned());
        let name = name.unwrap_or_else(|| "key.json".to_owned());
        let content = json!({
            "data": { name: STANDARD.encode(file.to_string()) }, "type": "Opaque",
        });
        self.write_secret(&key, content, &order.manager);
    }
}
