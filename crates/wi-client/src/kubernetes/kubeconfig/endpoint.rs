//! The way to a server: its address, the name on its certificate, the proxy in between.

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Proxy, Url};
use wi_core::words::safe;

use super::file::Cluster;
use super::{Fault, Own, Vouches};
use crate::http::{CertifiedAs, Server, is_loopback};

/// Proxy and name of a server. The error is for the user, about the context, and does not quote the
/// proxy's address, which may hold a password.
pub(super) fn server(cluster: &Cluster) -> Result<Server, Fault> {
    if cluster.insecure_skip_tls_verify {
        return Err(Fault::Unchecked);
    }
    let url = Url::parse(&cluster.server).ok();
    if url.is_some_and(|u| !u.username().is_empty() || u.password().is_some()) {
        return Err(Fault::SecretInAddress);
    }
    if !cluster.server.starts_with("https://") {
        return Err(Fault::WithoutTls(safe(&cluster.server)));
    }
    Ok(Server {
        proxy: proxy(&cluster.proxy_url)?,
        certified_as: certified_as(cluster)?,
        ..Server::default()
    })
}

fn proxy(url: &str) -> Result<Option<String>, Fault> {
    if url.is_empty() {
        return Ok(None);
    }
    let parsed: Url = url.parse().map_err(|_| Fault::NoProxy)?;
    let url = match parsed.scheme() {
        "http" | "https" => url.to_owned(),
        // kubectl lets the proxy look up names, which this library does under another scheme.
        "socks5" | "socks5h" => {
            format!("socks5h{}", &url["socks5".len()..].trim_start_matches('h'))
        }
        _ => return Err(Fault::NoProxy),
    };
    match Proxy::all(&url) {
        Ok(_) => Ok(Some(url)),
        Err(_) => Err(Fault::NoProxy),
    }
}

fn certified_as(cluster: &Cluster) -> Result<Option<CertifiedAs>, Fault> {
    let name = &cluster.tls_server_name;
    if name.is_empty() {
        return Ok(None);
    }
    let shown = safe(name);
    let no_url =
        |why: &dyn std::fmt::Display| Fault::NoUrl(format!("{}: {why}", safe(&cluster.server)));
    let url: Url = cluster.server.parse().map_err(|e| no_url(&e))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    // The library takes the name from a URL: there it has to be a name, and one that URLs leave as it is.
    let as_host = Url::parse(&format!("https://{name}/")).ok();
    let is_name = as_host.is_some_and(|u| {
        u.domain().is_some_and(|d| d.eq_ignore_ascii_case(name)) && u.username().is_empty()
    });
    if !is_name {
        return Err(Fault::NoDnsName(shown));
    }
    let server: Uri = cluster.server.parse().map_err(|e| no_url(&e))?;
    // Nothing of this machine goes through the environment's proxy.
    let by_environment =
        || !is_loopback(&url) && Matcher::from_system().intercept(&server).is_some();
    let proxied = !cluster.proxy_url.is_empty() || by_environment();
    if proxied {
        return Err(Fault::NameBehindProxy {
            name: shown,
            host: safe(&host),
        });
    }
    let authority = HeaderValue::from_str(&authority(&url)).map_err(|e| no_url(&e))?;
    Ok(Some(CertifiedAs {
        name: name.clone(),
        host,
        authority,
    }))
}

/// Who vouches for a server that is the cluster itself, or a host of Google's in front of it; `None` for
/// any other.
pub(super) fn is_googles(server: &str, own: &Own<'_>) -> Option<Vouches> {
    let url = Url::parse(server).ok()?;
    let authority = authority(&url);
    if own
        .addresses
        .iter()
        .any(|o| !o.is_empty() && *o == authority)
    {
        return Some(Vouches::Cluster);
    }
    let host = url.host_str().unwrap_or_default();
    let of_google = [".googleapis.com", ".gke.goog"];
    let public = (!own.name.is_empty() && own.name == authority)
        || of_google.iter().any(|domain| host.ends_with(domain));
    public.then_some(Vouches::Public)
}

/// Whether a server's address is just this host.
pub(super) fn is_at(server: &str, host: &str) -> bool {
    let at = |url: &Url| !host.is_empty() && url.path() == "/" && authority(url) == host;
    Url::parse(server).is_ok_and(|url| at(&url))
}

/// Host, and port if it is not the usual one.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
