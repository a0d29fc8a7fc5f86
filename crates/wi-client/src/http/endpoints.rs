//! Base URLs of the Google APIs, each of which can be pointed elsewhere.

use std::collections::BTreeMap;
use std::net::IpAddr;

use wi_core::api::Api;

/// Why a setting of endpoints cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It has no `=` in it.
    #[error("--endpoint {setting}: write API=URL, where API is one of {}", names())]
    NoUrl {
        /// As it was given.
        setting: String,
    },
    /// Of no API that there is.
    #[error("--endpoint {setting}: no API `{name}`; there are {}", names())]
    NoApi {
        /// As it was given.
        setting: String,
        /// What is before the `=`.
        name: String,
    },
    /// The text, and what the parser says.
    #[error("`{0}` is not a URL: {1}")]
    NotAUrl(String, String),
    /// URLs are logged and shown, so the text is not.
    #[error("a URL here must not have a user or a password in it")]
    Secret,
    /// A token must not travel in the clear, except to this very machine.
    #[error("`{0}` would carry the access token in the clear: use https")]
    Clear(String),
    /// The URL, and its scheme.
    #[error("`{0}`: {1} is not https")]
    Scheme(String, String),
    /// What is no domain.
    #[error("the universe domain `{}` is none", wi_core::words::safe(.0))]
    Universe(String),
}

fn names() -> String {
    Api::ALL.map(Api::name).join(", ")
}

/// Where each API is.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    set: BTreeMap<Api, String>,
    /// The domain of all others; `None`: Google's own cloud.
    universe: Option<String>,
}

impl Endpoints {
    /// `API=URL` settings over `WI_ENDPOINT_API` over `WI_ENDPOINT` over Google's own.
    ///
    /// # Errors
    /// [`EndpointError`], which names the setting or the URL.
    pub fn from_environment(settings: &[String]) -> Result<Self, EndpointError> {
        let mut endpoints = Self::default();
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        for api in Api::ALL {
            let own = variable(&format!("WI_ENDPOINT_{}", api.name().to_ascii_uppercase()));
            if let Some(url) = own.or_else(|| variable("WI_ENDPOINT")) {
                endpoints.set.insert(api, checked(&url)?);
            }
        }
        for setting in settings {
            let setting = setting.clone();
            let Some((name, url)) = setting.split_once('=') else {
                return Err(EndpointError::NoUrl { setting });
            };
            let Some(api) = Api::ALL.into_iter().find(|api| api.name() == name) else {
                let name = name.to_owned();
                return Err(EndpointError::NoApi { setting, name });
            };
            endpoints.set.insert(api, checked(url)?);
        }
        Ok(endpoints)
    }

    /// All APIs at one base URL.
    ///
    /// # Errors
    /// [`EndpointError`] for a URL that no token may be sent to.
    pub fn all_at(url: &str) -> Result<Self, EndpointError> {
        let url = checked(url)?;
        Ok(Self {
            set: Api::ALL.into_iter().map(|api| (api, url.clone())).collect(),
            universe: None,
        })
    }

    /// The base URL in a location, for APIs that keep what is regional there.
    pub(crate) fn regional(&self, api: Api, location: &str) -> String {
        let base = self.base(api);
        let domain = self.domain();
        match base.strip_suffix(&format!(".{domain}/")) {
            Some(name) if !self.set.contains_key(&api) => {
                format!("{name}.{location}.rep.{domain}/")
            }
            _ => base,
        }
    }

    /// The base URL in a location, for APIs whose host begins with it.
    pub(crate) fn located(&self, api: Api, location: &str) -> String {
        let base = self.base(api);
        match base.strip_prefix("https://") {
            Some(host) if !self.set.contains_key(&api) => format!("https://{location}-{host}"),
            _ => base,
        }
    }

    /// The base URL, with a slash at its end.
    pub fn base(&self, api: Api) -> String {
        self.set
            .get(&api)
            .cloned()
            .unwrap_or_else(|| format!("https://{}.{}/", api.name(), self.domain()))
    }

    fn domain(&self) -> &str {
        self.universe.as_deref().unwrap_or("googleapis.com")
    }

    /// The same in another universe: a cloud of Google's make that somebody else runs.
    ///
    /// # Errors
    /// [`EndpointError::Universe`].
    pub fn in_universe(self, domain: &str) -> Result<Self, EndpointError> {
        checked(&format!("https://{domain}"))
            .map_err(|_| EndpointError::Universe(domain.to_owned()))?;
        Ok(Self {
            universe: Some(domain.to_owned()),
            ..self
        })
    }
}

/// Whether a URL is of this very machine: no proxy has to do with it.
pub(crate) fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|a| a.is_loopback())
}

/// A token must not travel in the clear, except to this very machine.
pub(crate) fn checked(url: &str) -> Result<String, EndpointError> {
    let parsed = reqwest::Url::parse(url)
        .map_err(|e| EndpointError::NotAUrl(url.to_owned(), e.to_string()))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(EndpointError::Secret);
    }
    match parsed.scheme() {
        "https" => {}
        "http" if is_loopback(&parsed) => {}
        "http" => return Err(EndpointError::Clear(url.to_owned())),
        other => return Err(EndpointError::Scheme(url.to_owned(), other.to_owned())),
    }
    Ok(if url.ends_with('/') {
        url.to_owned()
    } else {
        format!("{url}/")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_travel_in_the_clear_to_loopback_only() {
        assert!(Endpoints::all_at("http://example.com/").is_err());
        assert!(Endpoints::all_at("ftp://127.0.0.1/").is_err());
        assert!(Endpoints::all_at("http://127.0.0.1:1/").is_ok());
        assert!(Endpoints::all_at("http://[::1]:1").is_ok());
        assert!(Endpoints::all_at("https://proxy.example.com/gcp").is_ok());
    }

    #[test]
    fn each_api_has_its_own_setting() {
        let endpoints =
            Endpoints::from_environment(&["iam=https://iam.example/x".into()]).expect("valid");
        assert_eq!(endpoints.base(Api::Iam), "https://iam.example/x/");
        assert_eq!(
            endpoints.base(Api::Storage),
            "https://storage.googleapis.com/"
        );
        assert_eq!(
            endpoints.located(Api::ConnectGateway, "europe-west1"),
            "https://europe-west1-connectgateway.googleapis.com/"
        );
        let error = Endpoints::from_environment(&["imm=https://x/".into()]).expect_err("unknown");
        assert!(error.to_string().contains("container, iam"));
    }
}
