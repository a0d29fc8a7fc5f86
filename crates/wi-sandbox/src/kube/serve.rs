//! The listener: TLS, HTTP/1.1 and HTTP/2, until it is stopped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::middleware::map_response;
use axum::response::Response;
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::faults::{BrokenOff, BrokenTls};
use super::tls::{self, Certificates};

/// Whether the next handshake goes wrong, and how.
type Handshake = Arc<dyn Fn() -> Option<BrokenTls> + Send + Sync>;

/// With each request: when the server stops, which what has no end of its own has to know.
#[derive(Debug, Clone)]
pub struct Stop(pub CancellationToken);

/// A running API server. Dropping it stops it as well, without waiting.
#[derive(Debug)]
pub struct Served {
    /// Where it listens, on 127.0.0.1.
    pub addr: SocketAddr,
    /// The PEM of the CA that signed its certificate.
    pub ca_pem: String,
    stop: DropGuard,
    accepting: JoinHandle<()>,
}

impl Served {
    /// Takes no more connections, lets running requests end, and returns when all are closed.
    pub async fn stop(self) {
        drop(self.stop);
        // The accept loop does not panic, and nobody else holds its handle to abort it.
        let _ended = self.accepting.await;
    }
}

/// Serves `router` over TLS on a free port of 127.0.0.1. Within a runtime.
pub fn serve(router: Router, handshake: Handshake) -> io::Result<Served> {
    let certificates = tls::certificates()?;
    let ca_pem = certificates.ca_pem.clone();
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let addr = listener.local_addr()?;
    let stop = CancellationToken::new();
    let accepting = tokio::spawn(accept(
        listener,
        certificates,
        handshake,
        router,
        stop.clone(),
    ));
    Ok(Served {
        addr,
        ca_pem,
        stop: stop.drop_guard(),
        accepting,
    })
}

async fn accept(
    listener: TcpListener,
    certificates: Certificates,
    handshake: Handshake,
    router: Router,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => {
                // A failed accept is that client's loss, such as a connection reset in the queue.
                let Ok((stream, _)) = accepted else { continue };
                let Some(acceptor) = certificates.acceptor(handshake()) else {
                    connections.spawn(cut_off(stream));
                    continue;
                };
                connections.spawn(connection(stream, acceptor, router.clone(), stop.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Closes the connection when the client has said hello.
async fn cut_off(mut stream: TcpStream) {
    let mut hello = [0; 512];
    // However it ends, the connection is closed.
    let _ended = stream.read(&mut hello).await;
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    router: Router,
    stop: CancellationToken,
) {
    let handshake = acceptor.accept(stream);
    let stream = tokio::select! {
        () = stop.cancelled() => return,
        // A client that does not trust the CA hangs up here; it has its own error.
        stream = handshake => match stream { Ok(stream) => stream, Err(_) => return },
    };
    let broken = CancellationToken::new();
    let breaks = broken.clone();
    let router = router.layer(Extension(Stop(stop.clone())));
    let router = router.layer(map_response(move |response: Response| {
        if response.extensions().get::<BrokenOff>().is_some() {
            breaks.cancel();
        }
        std::future::ready(response)
    }));
    let builder = Builder::new(TokioExecutor::new());
    let serving = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = async { tokio::select! { () = stop.cancelled() => {}, () = broken.cancelled() => {} } } => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "sandbox: a connection to the Kubernetes API ended");
    }
}
