//! A certificate authority for each cluster, and the server's own certificate under it.

use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::super::faults::BrokenTls;

/// What the server of one cluster answers handshakes with.
pub struct Certificates {
    /// The PEM of the CA to trust.
    pub ca_pem: String,
    issuer: Issuer<'static, KeyPair>,
    acceptor: TlsAcceptor,
}

/// A CA, and a certificate for 127.0.0.1 and `localhost` that it signed.
pub fn certificates() -> io::Result<Certificates> {
    let (ca_pem, issuer) = authority().map_err(io::Error::other)?;
    let acceptor = acceptor(&issuer, leaf().map_err(io::Error::other)?)?;
    Ok(Certificates {
        ca_pem,
        issuer,
        acceptor,
    })
}

impl Certificates {
    /// The acceptor of one connection; `None` if it is to be cut off.
    pub fn acceptor(&self, broken: Option<BrokenTls>) -> Option<TlsAcceptor> {
        match broken {
            None => Some(self.acceptor.clone()),
            Some(BrokenTls::CutOff) => None,
            Some(BrokenTls::OtherAuthority) => {
                let (_, other) = authority().ok()?;
                acceptor(&other, leaf().ok()?).ok()
            }
            Some(BrokenTls::Expired) => {
                let mut params = leaf().ok()?;
                params.not_before = rcgen::date_time_ymd(2020, 1, 1);
                params.not_after = rcgen::date_time_ymd(2021, 1, 1);
                acceptor(&self.issuer, params).ok()
            }
        }
    }
}

/// The server's own certificate, not signed yet.
fn leaf() -> Result<CertificateParams, rcgen::Error> {
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "kube-apiserver");
    params.use_authority_key_identifier_extension = true;
    params.key_usages.push(KeyUsagePurpose::DigitalSignature);
    params
        .extended_key_usages
        .push(ExtendedKeyUsagePurpose::ServerAuth);
    Ok(params)
}

fn acceptor(
    issuer: &Issuer<'static, KeyPair>,
    params: CertificateParams,
) -> io::Result<TlsAcceptor> {
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let leaf = params.signed_by(&key, issuer).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn authority() -> Result<(String, Issuer<'static, KeyPair>), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::default())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "wi sandbox cluster CA");
    params.key_usages.push(KeyUsagePurpose::DigitalSignature);
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let key = KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    Ok((pem, Issuer::new(params, key)))
}
