//! What a plan does not know yet, and its configuration says by references.

use serde_json::Value;

/// The configuration of a plan (`terraform show -json`), and the values of its root's variables.
#[derive(Clone, Copy)]
pub(super) struct Configuration<'a> {
    root: &'a Value,
    providers: &'a Value,
    variables: &'a Value,
}

/// Nothing: of a state there is no configuration.
static NONE: Value = Value::Null;

impl<'a> Configuration<'a> {
    pub fn of(shown: &'a Value) -> Self {
        Self {
            root: &shown["configuration"]["root_module"],
            providers: &shown["configuration"]["provider_config"],
            variables: &shown["variables"],
        }
    }

    pub fn none() -> Self {
        Self {
            root: &NONE,
            providers: &NONE,
            variables: &NONE,
        }
    }

    /// A resource as a module has it: `module` with the keys of its instances, or empty.
    fn resource(&self, module: &str, kind: &str, name: &str) -> &'a Value {
        let mut at = self.root;
        for call in calls(module) {
            at = &at["module_calls"][call]["module"];
        }
        let all = at["resources"].as_array().into_iter().flatten();
        let mut named =
            all.filter(|r| r["mode"] == "managed" && r["type"] == kind && r["name"] == name);
        named.next().unwrap_or(&NONE)
    }

    /// What an argument of it refers to, in its own module.
    pub fn references(
        &self,
        (module, kind, name): (&str, &str, &str),
        argument: &str,
    ) -> Vec<&'a str> {
        let expression = &self.resource(module, kind, name)["expressions"][argument];
        let all = expression["references"].as_array().into_iter().flatten();
        all.filter_map(Value::as_str).collect()
    }

    /// The project that a resource is in by its provider.
    pub fn project(&self, (module, kind, name): (&str, &str, &str)) -> Option<&'a str> {
        let key = self.resource(module, kind, name)["provider_config_key"].as_str();
        // Modules have their root's, unless they are given another.
        let key = key.map_or("google", |key| key.rsplit(':').next().unwrap_or(key));
        let project = &self.providers[key]["expressions"]["project"];
        if let Some(text) = project["constant_value"].as_str() {
            return Some(text);
        }
        let [only] = project["references"].as_array()?.as_slice() else {
            return None;
        };
        self.variables[only.as_str()?.strip_prefix("var.")?]["value"].as_str()
    }
}

/// The names of the calls in an address of a module: `a` and `b` of `module.a["x.y"].module.b[0]`.
fn calls(module: &str) -> Vec<&str> {
    let mut rest = module;
    let mut calls = Vec::new();
    while let Some(after) = rest.strip_prefix("module.") {
        let end = after.find(['.', '[']).unwrap_or(after.len());
        calls.push(&after[..end]);
        rest = &after[end..];
        if rest.starts_with('[') {
            rest = &rest[index_len(rest)..];
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    calls
}

/// How long `["KEY"]` or `[0]` at the beginning of a text is.
fn index_len(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::calls;

    #[test]
    fn calls_of_modules_are_found_whatever_their_keys_are() {
        assert_eq!(calls(""), [""; 0]);
        assert_eq!(
            calls("module.a[\"x.module.y]\\\"\"].module.b[0].module.c"),
            ["a", "b", "c"]
        );
    }
}
