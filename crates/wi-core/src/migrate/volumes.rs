//! Keys in the volumes of a pod template.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{DataKey, Trap};

/// What becomes of a volume.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fate {
    /// It stays as it is.
    Stays,
    /// It has keys and nothing else.
    Goes,
    /// These files go, and the volume is this then.
    Loses {
        files: BTreeSet<String>,
        rest: Value,
    },
}

/// What becomes of a volume when the keys are taken out. `secrets` has the names of all data of each Secret
/// that was opened.
pub(super) fn fate(
    volume: &Value,
    keys: &BTreeSet<DataKey>,
    secrets: &BTreeMap<String, BTreeSet<String>>,
) -> Result<Fate, Trap> {
    let name = text(&volume["name"]);
    if volume["secret"].is_object() {
        let secret = text(&volume["secret"]["secretName"]);
        let part = part(&volume["secret"]["items"], secret, keys, secrets, name)?;
        return Ok(match part {
            Part::None => Fate::Stays,
            Part::All(_) => Fate::Goes,
            Part::Some { files, items } => {
                let mut rest = volume.clone();
                rest["secret"]["items"] = items;
                Fate::Loses { files, rest }
            }
        });
    }
    let Some(sources) = volume["projected"]["sources"].as_array() else {
        return Ok(Fate::Stays);
    };
    let mut files = BTreeSet::new();
    let mut kept = Vec::new();
    for source in sources {
        let secret = text(&source["secret"]["name"]);
        match part(&source["secret"]["items"], secret, keys, secrets, name)? {
            Part::None => kept.push(source.clone()),
            Part::All(gone) => files.extend(gone),
            Part::Some { files: gone, items } => {
                files.extend(gone);
                let mut source = source.clone();
                source["secret"]["items"] = items;
                kept.push(source);
            }
        }
    }
    Ok(if files.is_empty() {
        Fate::Stays
    } else if kept.is_empty() {
        Fate::Goes
    } else {
        let mut rest = volume.clone();
        rest["projected"]["sources"] = Value::Array(kept);
        Fate::Loses { files, rest }
    })
}

enum Part {
    None,
    /// All that it has, under these paths.
    All(BTreeSet<String>),
    Some {
        files: BTreeSet<String>,
        items: Value,
    },
}

fn part(
    items: &Value,
    secret: &str,
    keys: &BTreeSet<DataKey>,
    secrets: &BTreeMap<String, BTreeSet<String>>,
    volume: &str,
) -> Result<Part, Trap> {
    let of_secret: BTreeSet<&str> = keys
        .iter()
        .filter(|(s, _)| s == secret)
        .map(|(_, key)| key.as_str())
        .collect();
    if of_secret.is_empty() || secret.is_empty() {
        return Ok(Part::None);
    }
    let items = items.as_array().filter(|i| !i.is_empty());
    let Some(items) = items else {
        // All of it, and whatever comes to it later.
        let all = secrets.get(secret);
        let others = all.map(|all| all.iter().filter(|k| !of_secret.contains(k.as_str())));
        let others: Option<Vec<String>> = others.map(|o| o.cloned().collect());
        return match others {
            Some(others) if others.is_empty() => Ok(Part::All(
                of_secret.iter().map(|k| (*k).to_owned()).collect(),
            )),
            others => Err(Trap::OtherKeys {
                volume: volume.to_owned(),
                secret: secret.to_owned(),
                others: others.unwrap_or_default(),
            }),
        };
    };
    let (gone, kept): (Vec<&Value>, Vec<&Value>) = items
        .iter()
        .partition(|item| of_secret.contains(text(&item["key"])));
    let files: BTreeSet<String> = gone.iter().map(|i| text(&i["path"]).to_owned()).collect();
    Ok(if gone.is_empty() {
        Part::None
    } else if kept.is_empty() {
        Part::All(files)
    } else {
        let items = Value::Array(kept.into_iter().cloned().collect());
        Part::Some { files, items }
    })
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
