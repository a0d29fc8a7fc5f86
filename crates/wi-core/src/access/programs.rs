//! Which programs a container runs, where that decides what they authenticate with.

use super::environment::Environment;
use super::variables::Form;
use crate::wire::pods::Container;

/// What a container runs, as far as its image's name, its command and arguments tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// `gcloud`, `gsutil` or `bq`, perhaps beside others.
    Gcloud,
    /// The Cloud SQL Auth Proxy.
    SqlProxy,
    /// Anything else.
    Other,
}

/// Programs that do not read `GOOGLE_APPLICATION_CREDENTIALS`.
const GCLOUD: [&str; 3] = ["gcloud", "gsutil", "bq"];

/// Names of images that have them, or parts of such.
const GCLOUD_IMAGES: [&str; 5] = [
    "cloud-sdk",
    "google-cloud-cli",
    "google-cloud-sdk",
    "gcloud",
    "gsutil",
];

const SQL_PROXIES: [&str; 4] = [
    "cloud-sql-proxy",
    "cloud_sql_proxy",
    "cloudsql-proxy",
    "gce-proxy",
];

pub(super) fn of(container: &Container, words: &[String]) -> Program {
    let image = image_name(&container.image);
    let runs_gcloud = || {
        words.iter().any(|w| {
            let name = w.rsplit('/').next().unwrap_or(w);
            GCLOUD.contains(&name)
        })
    };
    if SQL_PROXIES.iter().any(|p| image.contains(p)) {
        Program::SqlProxy
    } else if GCLOUD_IMAGES.iter().any(|p| image.contains(p)) || runs_gcloud() {
        Program::Gcloud
    } else {
        Program::Other
    }
}

/// `google-cloud-cli` of `gcr.io/google.com/cloudsdktool/google-cloud-cli:slim@sha256:…`.
fn image_name(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split([':', '@']).next().unwrap_or(name)
}

/// The words of a container's command and arguments, those of shell scripts in them too. A `$` in one
/// stands for what is not known here.
pub(super) fn words(environment: &Environment<'_>) -> Vec<String> {
    let ends = |c: char| c.is_whitespace() || ";|&()`\"'".contains(c);
    let container = environment.container;
    let texts = container.command.iter().chain(&container.args);
    texts
        .flat_map(|text| {
            let text = environment.expanded(text).unwrap_or_else(|| text.clone());
            text.split(ends).map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|w| !w.is_empty())
        .collect()
}

/// The first of these flags that is given, and its value: `--flag=VALUE`, or `--flag` and the next word.
pub(super) fn flag<'a>(
    words: &'a [String],
    flags: &'a [(&'static str, Form)],
) -> Option<(&'static str, Form, &'a str)> {
    all_flags(words, flags).next()
}

/// All of these flags that are given, as [`flag`]. The `-c` of a shell is one by its name.
pub(super) fn all_flags<'a>(
    words: &'a [String],
    flags: &'a [(&'static str, Form)],
) -> impl Iterator<Item = (&'static str, Form, &'a str)> {
    words.iter().enumerate().filter_map(move |(at, word)| {
        flags.iter().find_map(|(flag, form)| {
            let rest = word.strip_prefix(flag)?;
            let value = match rest.strip_prefix('=') {
                Some(value) => value,
                None if rest.is_empty() => words.get(at + 1).map_or("", String::as_str),
                None => return None,
            };
            Some((*flag, *form, value))
        })
    })
}
