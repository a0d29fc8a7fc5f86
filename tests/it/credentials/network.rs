//! The way to the servers: proxies, authorities of one's own, other universes.

use super::tokens::{api, plan_on};
use super::*;

/// A token never goes in the clear to anything but this machine, a proxy included.
#[test]
fn nothing_of_this_machine_goes_through_a_proxy() {
    let place = Place::example("quickstart");
    let api = api("mine");
    let proxy = Fake::new(|_| Answer::json(200, json!({})));
    let mut command = plan_on(&place, &api);
    command
        .env_remove("GOOGLE_APPLICATION_CREDENTIALS")
        .env("GOOGLE_OAUTH_ACCESS_TOKEN", "mine")
        .env("HTTP_PROXY", &proxy.url)
        .env("ALL_PROXY", &proxy.url);
    run(&mut command);
    assert!(!api.seen().is_empty());
    assert!(proxy.seen().is_empty(), "{:?}", proxy.seen());
    // Nor where it is one API of many, nor a token endpoint.
    let server = Fake::new(|_| oauth("mine", 3600));
    place.write("credentials.json", &user(&server.url).to_string());
    let before = api.seen().len();
    place.write("wi.yaml", "kind: Other\n");
    let mut command = place.command(&["doctor"]);
    command
        .env("WI_ENDPOINT_OAUTH2", &api.url)
        .env("NO_GCE_CHECK", "true")
        .env("GOOGLE_APPLICATION_CREDENTIALS", "credentials.json")
        .env("HTTP_PROXY", &proxy.url);
    run(&mut command);
    assert_eq!((server.seen().len(), api.seen().len()), (1, before + 1));
    assert!(proxy.seen().is_empty(), "{:?}", proxy.seen());
}

/// What a proxy is asked for in a plan that this environment makes; it opens no tunnel.
fn proxied(place: &Place, edit: &dyn Fn(&mut Command)) -> Vec<Seen> {
    let proxy = Fake::new(|_| Answer::text(502, ""));
    let mut command = place.command(&["plan", "wi.yaml"]);
    command
        .env("HTTPS_PROXY", &proxy.url)
        .env("GOOGLE_OAUTH_ACCESS_TOKEN", "mine");
    edit(&mut command);
    let mut child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("wi starts");
    let seen = proxy.wait_for(3);
    let _ = child.kill();
    let _ = child.wait();
    for one in &seen {
        assert_eq!(one.method, "CONNECT");
        assert!(
            !format!("{one:?}").contains("mine"),
            "the proxy has the token"
        );
    }
    seen
}

#[test]
fn proxies_by_the_usual_variables() {
    let place = Place::example("quickstart");
    for one in proxied(&place, &|_| {}) {
        assert!(one.uri.ends_with(".googleapis.com:443"), "{}", one.uri);
    }
}

#[test]
fn another_universe_has_other_servers() {
    let place = Place::example("quickstart");
    let seen = proxied(&place, &|command| {
        command.env("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "cloud.example");
    });
    for one in seen {
        assert!(one.uri.ends_with(".cloud.example:443"), "{}", one.uri);
    }
}

/// A token endpoint over TLS, which only `ca` vouches for.
fn tls_endpoint(directory: &Path, token: String) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let certificate = params.self_signed(&key).expect("a certificate");
    std::fs::write(directory.join("ca.pem"), certificate.pem()).expect("written");
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("a configuration");
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).expect("TLS");
            let mut tls = rustls::StreamOwned::new(connection, stream);
            let mut request = [0; 4096];
            if tls.read(&mut request).is_ok() {
                let body = json!({"access_token": token, "expires_in": 3600}).to_string();
                let _ = write!(
                    tls,
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    });
    format!("https://localhost:{port}/token")
}

#[test]
fn a_bundle_of_ones_own_authorities() {
    let sandbox = sandbox();
    let url = tls_endpoint(sandbox.place.dir.path(), token_of(&sandbox));
    let ran = run(&mut plan_with(&sandbox, user(&url))).fails();
    let text = format!("{}{}", ran.out, ran.err);
    assert!(text.contains("certificate"), "{text}");
    for variable in ["SSL_CERT_FILE", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE"] {
        let mut command = plan_with(&sandbox, user(&url));
        planned(run(command.env(variable, sandbox.place.path("ca.pem"))));
        for (file, why) in [("gone.pem", "No such file"), ("wi.yaml", "no certificate")] {
            let mut command = plan_with(&sandbox, user(&url));
            let ran = run(command.env(variable, file)).fails();
            let start = format!("the authorities in {file}, named by {variable}: {why}");
            assert!(ran.err.contains(&start), "{start}\n{}", ran.err);
        }
    }
}
