//! A TLS server in front of an API server: what is asked of it, under which name, with which
//! certificate, and what is answered.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use futures::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// A certificate authority.
pub struct Authority {
    pub pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM, and the certificate as it is presented.
pub struct Certificate {
    pub pem: String,
    pub key: String,
    pub der: Vec<u8>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::default()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    pub fn issue(&self, name: &str) -> Certificate {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.issuer).expect("a certificate");
        Certificate {
            pem: signed.pem(),
            key: key.serialize_pem(),
            der: signed.der().to_vec(),
        }
    }
}

/// A request, as the server saw it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    /// The name that TLS asked for.
    pub server_name: Option<String>,
    /// The client's certificate.
    pub certificate: Option<Vec<u8>>,
    pub body: Vec<u8>,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// As it went over the wire.
    pub body: Vec<u8>,
}

impl Answered {
    pub fn empty(status: u16) -> Self {
        Self {
            status: status.try_into().expect("a status"),
            headers: HeaderMap::new(),
            body: Vec::new(),
        }
    }

    pub fn is_gzip(&self) -> bool {
        self.headers
            .get("content-encoding")
            .is_some_and(|e| e == "gzip")
    }

    /// The body as JSON, unpacked.
    pub fn json(&self) -> Value {
        let mut plain = Vec::new();
        if self.is_gzip() {
            let mut reader = flate2::read::GzDecoder::new(&*self.body);
            reader.read_to_end(&mut plain).expect("gzip");
        } else {
            plain.clone_from(&self.body);
        }
        serde_json::from_slice(&plain).unwrap_or_default()
    }

    /// The same answer with another body, not packed.
    pub fn with(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.headers.remove("content-encoding");
        self.headers.remove("content-length");
        self
    }
}

/// What was asked and answered so far, in order.
type Log = Arc<watch::Sender<Vec<(Asked, Answered)>>>;

pub type Handler = Arc<dyn Fn(Asked) -> BoxFuture<'static, Answered> + Send + Sync>;

/// The server, until it is dropped.
pub struct Front {
    pub address: SocketAddr,
    pub authority: Authority,
    seen: Log,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Front {
    fn drop(&mut self) {
        // Without waiting, so that it may be dropped in a task too.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Front {
    /// `name` is what its certificate is for; client certificates of `clients` are asked for.
    pub fn new(name: &str, clients: Option<&Authority>, handler: Handler) -> Self {
        let authority = Authority::new();
        let own = authority.issue(name);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let builder = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(clients.der.clone()).expect("a CA");
                let verifier = rustls::server::WebPkiClientVerifier::builder(roots.into())
                    .allow_unauthenticated()
                    .build()
                    .expect("a verifier");
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = KeyPair::from_pem(&own.key).expect("a key").serialize_der();
        let mut config = builder
            .with_single_cert(
                vec![own.der.clone().into()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)),
            )
            .expect("a certificate");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let seen = Log::new(watch::Sender::new(Vec::new()));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("set");
        let address = listener.local_addr().expect("an address");
        let log = Arc::clone(&seen);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, handler, log) = (acceptor.clone(), handler.clone(), log.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        connection(stream, handler, log).await;
                    }
                });
            }
        });
        Self {
            address,
            authority,
            seen,
            runtime: Some(runtime),
        }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub fn seen(&self) -> Vec<(Asked, Answered)> {
        self.seen.borrow().clone()
    }

    /// Waits until what was asked and answered so far is enough.
    pub async fn until(&self, enough: impl Fn(&[(Asked, Answered)]) -> bool) {
        let mut log = self.seen.subscribe();
        let reached = log.wait_for(|seen| enough(seen)).await;
        reached.expect("the log is as old as the front");
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.seen().into_iter().map(|(asked, _)| asked).collect()
    }
}

async fn connection(
    stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    handler: Handler,
    log: Log,
) {
    let tls = stream.get_ref().1;
    let server_name = tls.server_name().map(str::to_owned);
    let certificate = tls.peer_certificates().and_then(|c| c.first()).cloned();
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let (handler, log) = (handler.clone(), log.clone());
        let (server_name, certificate) = (server_name.clone(), certificate.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(Body::new(body), usize::MAX).await.expect("a body");
            let target = parts.uri.path_and_query().map_or("/", |p| p.as_str());
            let asked = Asked {
                method: parts.method,
                target: target.to_owned(),
                headers: parts.headers,
                server_name,
                certificate: certificate.map(|c| c.to_vec()),
                body: body.to_vec(),
            };
            let answered = handler(asked.clone()).await;
            log.send_modify(|seen| seen.push((asked, answered.clone())));
            let mut response = Response::new(Body::from(answered.body));
            *response.status_mut() = answered.status;
            *response.headers_mut() = answered.headers;
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    let _ended = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// An API server behind a front, called with credentials of its own.
#[derive(Clone)]
pub struct Upstream {
    pub client: reqwest::Client,
    pub server: String,
    pub token: String,
}

impl Upstream {
    /// Passes a request on, its bytes and those of the answer as they are.
    pub async fn pass(&self, asked: &Asked) -> Answered {
        let mut headers = asked.headers.clone();
        for own in ["host", "authorization", "content-length", "connection"] {
            headers.remove(own);
        }
        let mut request = self
            .client
            .request(
                asked.method.clone(),
                format!("{}{}", self.server, asked.target),
            )
            .headers(headers)
            .body(asked.body.clone());
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        let response = request.send().await.expect("an answer");
        let (status, mut headers) = (response.status(), response.headers().clone());
        for own in ["transfer-encoding", "connection"] {
            headers.remove(own);
        }
        let body = response.bytes().await.expect("a body").to_vec();
        Answered {
            status,
            headers,
            body,
        }
    }
}
