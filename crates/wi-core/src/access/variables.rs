//! The variables and flags that lead a program to a credential: a row each. Only those that a client's
//! source or documentation has are here, since a container is taken for safe by them.

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The path of a file.
    Path,
    /// The credential itself, JSON.
    Content,
    /// A path, or the credential itself.
    Either,
}

/// Whose variable it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// Google's client libraries, and what is made with them.
    Libraries,
    /// `gcloud`, `gsutil` and `bq`, whose login is another thing than that of the libraries.
    Gcloud,
}

/// A variable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variable {
    pub name: &'static str,
    pub form: Form,
    pub reader: Reader,
}

/// What Google's client libraries look at first, and nothing else does.
pub(super) const APPLICATION_CREDENTIALS: &str = "GOOGLE_APPLICATION_CREDENTIALS";

pub(super) const VARIABLES: [Variable; 9] = [
    library(APPLICATION_CREDENTIALS, Form::Path),
    // Terraform, Atlantis, Pulumi, Packer.
    library("GOOGLE_CREDENTIALS", Form::Either),
    library("GOOGLE_CLOUD_KEYFILE_JSON", Form::Either),
    library("GCLOUD_KEYFILE_JSON", Form::Either),
    library("GOOGLE_BACKEND_CREDENTIALS", Form::Either),
    // KEDA.
    library("GOOGLE_APPLICATION_CREDENTIALS_JSON", Form::Content),
    // Cloud SQL Auth Proxy 2.
    library("CSQL_PROXY_CREDENTIALS_FILE", Form::Path),
    library("CSQL_PROXY_JSON_CREDENTIALS", Form::Content),
    Variable {
        name: "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
        form: Form::Path,
        reader: Reader::Gcloud,
    },
];

const fn library(name: &'static str, form: Form) -> Variable {
    Variable {
        name,
        form,
        reader: Reader::Libraries,
    }
}

/// Where gcloud and gsutil keep what they were logged in with, of which a template tells nothing.
pub(super) const LOGINS: [&str; 3] = ["CLOUDSDK_CONFIG", "BOTO_CONFIG", "BOTO_PATH"];

/// Flags of `gcloud auth activate-service-account` and `gcloud auth login`.
pub(super) const GCLOUD_FLAGS: [(&str, Form); 2] =
    [("--key-file", Form::Path), ("--cred-file", Form::Path)];

/// Flags of the Cloud SQL Auth Proxy, of its first and its second version.
pub(super) const SQL_PROXY_FLAGS: [(&str, Form); 6] = [
    ("--credentials-file", Form::Path),
    ("-c", Form::Path),
    ("--credential_file", Form::Path),
    ("-credential_file", Form::Path),
    ("--json-credentials", Form::Content),
    ("-j", Form::Content),
];
