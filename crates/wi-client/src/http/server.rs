//! How one server is reached: who vouches for it, by what way, with which certificate, as whom.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Proxy, RequestBuilder, Url};

use super::{ClientError, Redirects, Times, builder, causes, is_loopback, with_own_authorities};
use crate::auth::Login;

/// What a server needs that Google's own do not.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Server {
    /// Its authorities, PEM; `None`: the system's.
    pub ca: Option<Vec<u8>>,
    /// A client certificate and its key, PEM in one text.
    pub identity: Option<Vec<u8>>,
    /// In place of the proxies of the environment: its URL, which may have a password in it.
    pub proxy: Option<String>,
    /// The name on its certificate, where that is not the one in its address.
    pub certified_as: Option<CertifiedAs>,
    /// Sent with each call.
    pub headers: HeaderMap,
}

/// A server that is asked for by one name and called at another.
///
/// The HTTP library takes the name from the URL: for the certificate, for TLS (SNI) and for `Host`.
/// So the URL gets the certificate's name, the address is looked up by the real one, and `Host` is
/// set to what it would have been. HTTP/2 has no `Host` to set; HTTP/1.1 is spoken.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CertifiedAs {
    pub name: String,
    /// The host of the server's URL.
    pub host: String,
    /// Host and port as in the server's URL.
    pub authority: HeaderValue,
}

impl Resolve for CertifiedAs {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.host.trim_matches(['[', ']']).to_owned();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The clients of all servers of a session: connections to one are made once, whoever calls it.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<(Server, Arc<Clients>)>>);

impl Pool {
    /// Those of a server that is reached in just this way.
    pub fn clients(&self, server: Server, times: Times) -> Result<Arc<Clients>, ClientError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, clients)) = all.iter().find(|(known, _)| *known == server) {
            return Ok(Arc::clone(clients));
        }
        let clients = Arc::new(Clients::of(server.clone(), times)?);
        all.push((server, Arc::clone(&clients)));
        Ok(clients)
    }
}

/// A client for each certificate that the server was called with; the last one is kept.
pub(super) struct Clients {
    server: Server,
    times: Times,
    plain: Client,
    /// For what is on this very machine, which no proxy of the environment has to do with.
    near: OnceLock<Client>,
    with_certificate: Mutex<Option<(Arc<[u8]>, Client)>>,
}

impl Clients {
    /// The error is for the user, and quotes nothing that may be secret.
    pub fn of(server: Server, times: Times) -> Result<Self, ClientError> {
        Ok(Self {
            plain: client(&server, server.identity.as_deref(), times, false)?,
            near: OnceLock::new(),
            server,
            times,
            with_certificate: Mutex::new(None),
        })
    }

    /// The client for a call with this certificate of a plugin. Another certificate is another
    /// client: connections are made with one, and would be kept.
    fn client(&self, certificate: Option<&Arc<[u8]>>, near: bool) -> Result<Client, ClientError> {
        let Some(certificate) = certificate else {
            if !near {
                return Ok(self.plain.clone());
            }
            if let Some(client) = self.near.get() {
                return Ok(client.clone());
            }
            let identity = self.server.identity.as_deref();
            let client = client(&self.server, identity, self.times, true)?;
            return Ok(self.near.get_or_init(|| client).clone());
        };
        let mut kept = self
            .with_certificate
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((with, client)) = &*kept
            && with == certificate
        {
            return Ok(client.clone());
        }
        let client = client(&self.server, Some(certificate), self.times, near)?;
        *kept = Some((Arc::clone(certificate), client.clone()));
        Ok(client)
    }

    /// A call with this login, its body aside.
    pub fn call(
        &self,
        method: &Method,
        url: &str,
        login: &Login,
    ) -> Result<RequestBuilder, String> {
        let mut url: Url = url.parse().map_err(|e| format!("not a URL: {e}"))?;
        let near = is_loopback(&url);
        if let Some(certified) = &self.server.certified_as {
            url.set_host(Some(&certified.name))
                .map_err(|e| format!("{}: {e}", wi_core::words::safe(&certified.name)))?;
        }
        let client = self.client(login.certificate.as_ref(), near);
        let client = client.map_err(|e| e.to_string())?;
        let call = client
            .request(method.clone(), url)
            .headers(login.headers.clone())
            .headers(self.server.headers.clone());
        Ok(match &self.server.certified_as {
            Some(certified) => call.header(HOST, certified.authority.clone()),
            None => call,
        })
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

fn client(
    server: &Server,
    identity: Option<&[u8]>,
    times: Times,
    near: bool,
) -> Result<Client, ClientError> {
    let mut builder = builder(times, Redirects::Refused);
    builder = match &server.ca {
        Some(ca) => {
            let cas = reqwest::Certificate::from_pem_bundle(ca)
                .map_err(|e| ClientError::Ca(causes(&e)))?;
            if cas.is_empty() {
                return Err(ClientError::NoCa);
            }
            builder.tls_certs_only(cas)
        }
        None => with_own_authorities(builder)?,
    };
    if near {
        builder = builder.no_proxy();
    }
    if let Some(identity) = identity {
        let identity = reqwest::Identity::from_pem(identity).map_err(|_| ClientError::Identity)?;
        builder = builder.identity(identity);
    }
    if let Some(proxy) = &server.proxy {
        let proxy = Proxy::all(proxy).map_err(|_| ClientError::Proxy)?;
        builder = builder.proxy(proxy);
    }
    if let Some(certified) = &server.certified_as {
        builder = builder
            .no_proxy()
            .http1_only()
            .dns_resolver(Arc::new(certified.clone()));
    }
    builder.build().map_err(|e| match identity {
        None => ClientError::Library(causes(&e)),
        Some(_) => ClientError::IdentityUnfit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn whoever_reaches_a_server_in_the_same_way_shares_its_connections() {
        let pool = Pool::default();
        let times = Times::within(Duration::from_secs(1));
        let of = |proxy: &str, user: &'static str| {
            let server = Server {
                proxy: Some(proxy.to_owned()),
                headers: HeaderMap::from_iter([(
                    http::HeaderName::from_static("impersonate-user"),
                    HeaderValue::from_static(user),
                )]),
                ..Server::default()
            };
            pool.clients(server, times).expect("clients")
        };
        let first = of("http://a:1", "ann");
        assert!(Arc::ptr_eq(&first, &of("http://a:1", "ann")));
        assert!(!Arc::ptr_eq(&first, &of("http://b:1", "ann")));
        assert!(!Arc::ptr_eq(&first, &of("http://a:1", "bob")));
    }
}
