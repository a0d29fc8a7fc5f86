//! The kinds of resources that roles are granted on.

use crate::api::Api;

/// Where a read says that it understands conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `?options.requestedPolicyVersion=3`.
    Query,
    /// `?optionsRequestedPolicyVersion=3`.
    CamelQuery,
    /// `{"options": {"requestedPolicyVersion": 3}}`.
    Body,
}

/// What a write sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// `POST {"policy": …, "updateMask": "bindings,etag"}`: audit settings are not even touched.
    Masked,
    /// `POST {"policy": …}`: the API has no mask.
    Wrapped,
    /// `PUT` of the policy itself.
    Bare,
    /// `PATCH` of BigQuery's access list, under `If-Match`.
    AccessList,
}

/// One kind of resource.
#[derive(Debug)]
pub struct Kind {
    /// What the spec calls it: `secret/[PROJECT/]NAME`.
    pub short: &'static str,
    /// The names after `short/`, for error messages; `[PROJECT/]` may be left out.
    pub form: &'static str,
    /// The full resource name after `//`; each `{}` is a name of the short form, in order.
    pub full: &'static str,
    /// The API.
    pub api: Api,
    /// The path of its policy in that API, up to `:getIamPolicy` or `/iam`.
    pub path: &'static str,
    /// How a policy is asked for: with GET or POST.
    pub post: bool,
    /// Where a read says that it understands conditions.
    pub version: Version,
    /// What a write sends.
    pub write: Write,
    /// The permission that a write takes.
    pub permission: &'static str,
    /// The smallest predefined role that has it.
    pub admin: &'static str,
    /// Its type in Terraform's Google provider, between `google_` and `_iam_member`, and the arguments that
    /// take its names; `*` takes all of them, joined.
    pub terraform: (&'static str, &'static [&'static str]),
    /// gcloud's group with `add-iam-policy-binding`, and how that names a resource: `{N}` is its name number
    /// N. `None`: gcloud has no such command.
    pub gcloud: Option<(&'static str, &'static str)>,
}

impl Kind {
    /// How many names it has, the project included.
    pub(super) fn names(&self) -> usize {
        self.full.matches("{}").count()
    }

    /// The host of its API, as its full name has it.
    pub(super) fn service(&self) -> &'static str {
        self.full.split('/').next().unwrap_or_default()
    }

    /// What to write for one.
    pub(super) fn written_form(&self) -> String {
        format!("Write {}/{}.", self.short, self.form)
    }

    /// A word for each of its names.
    pub(super) fn words(&self) -> Vec<String> {
        let words = self.form.replace("[/FOLDER…]", "").replace(['[', ']'], "");
        words.split('/').map(str::to_owned).collect()
    }

    /// Its full name with a word for each name.
    pub(super) fn full_form(&self) -> String {
        filled(self.full, &self.words())
    }

    /// Whether the last of its names has slashes of its own.
    pub(super) fn nests(&self) -> bool {
        self.short == "managedfolder"
    }

    /// Whether the first of its names is its project.
    pub fn in_project(&self) -> bool {
        self.form.starts_with("[PROJECT/]")
    }
}

/// The pattern with its `{}` filled, in order.
pub(super) fn filled(pattern: &str, names: &[String]) -> String {
    let mut out = String::new();
    let mut names = names.iter();
    for (i, piece) in pattern.split("{}").enumerate() {
        if i > 0 {
            out.push_str(names.next().map_or("", String::as_str));
        }
        out.push_str(piece);
    }
    out
}
