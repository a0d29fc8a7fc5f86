//! What is found, in which spelling; what is not; and that nothing that comes out has key material in it.

mod made;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use made::spellings::{escaped, packed, quoted, spellings};
use made::{Account, LETTERS, Numbers, Rsa, armoured, user};
use proptest::prelude::*;
use wi_keys::{Kind, Layer, Scan, public_key_digest, scan, scan_within};

fn nothing_of(canaries: &[String], found: &Scan) {
    let shown = format!(
        "{found:?} {}",
        found.found.iter().map(|f| f.key.name()).collect::<String>()
    );
    for canary in canaries {
        assert!(!shown.contains(canary.as_str()), "{canary} in {shown}");
    }
}

#[test]
fn service_account_key_is_found_in_every_spelling_and_nothing_of_it_comes_out() {
    let account = Account::new(1);
    let digest = public_key_digest(account.rsa.public_pem().as_bytes()).expect("a key");
    for (what, text) in spellings(&account.json()) {
        let found = scan(&text);
        assert_eq!(found.found.len(), 1, "{what}: {found:?}");
        let key = &found.found[0].key;
        assert_eq!(key.kind, Kind::ServiceAccountKey, "{what}");
        assert_eq!(key.email.as_deref(), Some(account.email.as_str()), "{what}");
        assert_eq!(key.id.as_deref(), Some(account.id.as_str()), "{what}");
        assert_eq!(key.public_key.as_deref(), Some(digest.as_str()), "{what}");
        assert!(
            !found.found[0].is_registry_login && !found.is_partial,
            "{what}"
        );
        nothing_of(&account.canaries(), &found);
    }
}

#[test]
fn every_kind_is_found_in_every_spelling_and_nothing_of_it_comes_out() {
    for kind in [40, 53].into_iter().flat_map(made::kinds::all) {
        for (what, text) in spellings(&kind.text) {
            let found = scan(&text);
            let names: Vec<String> = found.found.iter().map(|f| f.key.name()).collect();
            let is_it = names.len() == 1
                && names[0].contains(&kind.name)
                && found.found[0]
                    .key
                    .email
                    .as_ref()
                    .is_none_or(|e| *e == kind.name);
            assert!(is_it, "{} {what}: {found:?}", kind.what);
            nothing_of(&kind.canaries, &found);
        }
    }
}

#[test]
fn login_of_a_person_is_found_in_every_spelling() {
    let (json, token) = user(2);
    for (what, text) in spellings(&json) {
        let found = scan(&text);
        assert_eq!(found.found.len(), 1, "{what}: {found:?}");
        let key = &found.found[0].key;
        assert_eq!(key.kind, Kind::UserCredentials, "{what}");
        assert!(
            key.client_id
                .as_deref()
                .is_some_and(|c| c.starts_with("764086051850-")),
            "{what}"
        );
        nothing_of(&[token[10..40].to_owned()], &found);
    }
    let boto = format!("[Credentials]\ngs_oauth2_refresh_token = {token}\n");
    assert_eq!(
        scan(boto.as_bytes()).found[0].key.kind,
        Kind::UserCredentials
    );
}

#[test]
fn private_key_is_read_however_its_lines_are_broken() {
    let rsa = Rsa::new(3, 2048);
    let pem = rsa.pem();
    let body = STANDARD.encode(&rsa.pkcs8);
    let digest = public_key_digest(rsa.public_pem().as_bytes());
    for (what, text) in [
        ("PKCS#8", pem.clone()),
        ("PKCS#1", armoured("RSA PRIVATE KEY", &rsa.pkcs1)),
        (
            "literal line ends",
            format!("FIREBASE_PRIVATE_KEY=\"{}\"", pem.replace('\n', "\\n")),
        ),
        ("escaped twice", pem.replace('\n', "\\\\n")),
        ("blanks", pem.replace('\n', " ")),
        ("one line", pem.replace('\n', "")),
        ("carriage returns", pem.replace('\n', "\r\n")),
        ("indented", pem.replace('\n', "\n        ")),
        (
            "without armour",
            format!("fs.gs.auth.service.account.private.key={body}\n"),
        ),
        ("PHP's slashes", pem.replace('/', "\\/")),
        ("Java's equal signs", pem.replace('=', "\\u003d")),
        ("in base64", format!("key: {}", STANDARD.encode(&pem))),
    ] {
        let found = scan(text.as_bytes());
        assert_eq!(found.found.len(), 1, "{what}: {found:?}");
        assert_eq!(found.found[0].key.public_key, digest, "{what}");
        assert_eq!(found.found[0].key.kind, Kind::PrivateKey, "{what}");
    }
    assert_eq!(scan(&rsa.pkcs8).found[0].key.public_key, digest, "DER");
    for bits in [1024, 4096] {
        let rsa = Rsa::new(4, bits);
        let found = scan(rsa.pem().as_bytes());
        assert_eq!(found.found.len(), 1, "{bits}");
    }
}

#[test]
fn key_that_is_split_over_variables_is_joined() {
    let account = Account::new(5);
    let pem = account.rsa.pem().replace('\n', "\\n");
    for text in [
        format!(
            "FIREBASE_CLIENT_EMAIL={}\nFIREBASE_PRIVATE_KEY=\"{pem}\"\n",
            account.email
        ),
        format!("private_key: {pem}\nclient_email: {}\n", account.email),
        format!(
            "spark.hadoop.fs.gs.auth.service.account.email={}\nx.private.key.id={}\nx.private.key={}\n",
            account.email,
            account.id,
            STANDARD.encode(&account.rsa.pkcs8)
        ),
    ] {
        let found = scan(text.as_bytes()).found;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].key.email.as_deref(), Some(account.email.as_str()));
        assert_eq!(found[0].key.kind, Kind::ServiceAccountKey);
    }
    // Each of two has the email beside it.
    let other = Account::new(6);
    let both = format!(
        "client_email: {}\nprivate_key: {pem}\nclient_email: {}\nprivate_key: {}\n",
        account.email,
        other.email,
        other.rsa.pem().replace('\n', "\\n")
    );
    let emails: Vec<_> = scan(both.as_bytes())
        .found
        .into_iter()
        .map(|f| f.key.email)
        .collect();
    assert_eq!(emails, [Some(account.email), Some(other.email)]);
}

#[test]
fn login_at_a_registry_is_told_as_one() {
    let account = Account::new(7);
    let json = account.json();
    let base64 = STANDARD.encode(&json);
    let auth = STANDARD.encode(format!("_json_key:{json}"));
    for config in [
        format!(
            "{{\"auths\":{{\"gcr.io\":{{\"username\":\"_json_key\",\"password\":{}}}}}}}",
            quoted(&json)
        ),
        format!(
            "{{\"auths\":{{\"gcr.io\":{{\"username\":\"_json_key_base64\",\"password\":\"{base64}\"}}}}}}"
        ),
        format!("{{\"auths\":{{\"gcr.io\":{{\"auth\":\"{auth}\"}}}}}}"),
    ] {
        for text in [
            config.clone(),
            format!("data:\n  .dockerconfigjson: {}\n", STANDARD.encode(&config)),
        ] {
            let found = scan(text.as_bytes()).found;
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].is_registry_login);
            assert_eq!(found[0].key.email.as_deref(), Some(account.email.as_str()));
        }
    }
}

#[test]
fn other_credentials_are_found_by_their_form() {
    let mut numbers = Numbers(8);
    let upper = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let secret = numbers.word(LETTERS, 40);
    let of_account = format!("GOOG1E{}", numbers.word(upper, 55));
    let of_user = format!("GOOG7{}", numbers.word(upper, 19));
    let api = format!("AIza{}", numbers.word(LETTERS, 35));
    let client = format!("GOCSPX-{}", numbers.word(LETTERS, 28));
    for (id, kind) in [(&of_account, Kind::HmacKey), (&of_user, Kind::HmacKey)] {
        let text = format!("AWS_ACCESS_KEY_ID={id}\nAWS_SECRET_ACCESS_KEY={secret}\n");
        let found = scan(text.as_bytes());
        assert_eq!(found.found.len(), 1, "{found:?}");
        assert_eq!(
            (found.found[0].key.kind, found.found[0].key.hint.as_ref()),
            (kind, Some(id))
        );
        nothing_of(std::slice::from_ref(&secret), &found);
        assert_eq!(
            scan(format!("id: {id}\n").as_bytes()).found,
            [],
            "an id is no secret"
        );
    }
    // In a Secret the id and its secret are encoded each by itself.
    for id in [&of_account, &of_user] {
        let text = format!(
            "kind: Secret\ndata:\n  id: {}\n  secret: {}\n",
            STANDARD.encode(id),
            STANDARD.encode(&secret)
        );
        let found = scan(text.as_bytes()).found;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].key.hint.as_ref(), Some(id));
        let alone = format!("kind: Secret\ndata:\n  id: {}\n", STANDARD.encode(id));
        assert_eq!(scan(alone.as_bytes()).found, [], "an id is no secret");
    }
    for before in [r"a\n", r"a=\u0022", "a%3D", "a=", "\n"] {
        let text = format!("{before}{api}");
        assert_eq!(scan(text.as_bytes()).found.len(), 1, "{text}");
    }
    assert_eq!(scan(format!("an{api}").as_bytes()).found, []);
    for (text, kind) in [(&api, Kind::ApiKey), (&client, Kind::ClientSecret)] {
        let found = scan(format!("key = \"{text}\"").as_bytes());
        assert_eq!(found.found.len(), 1, "{found:?}");
        assert_eq!(found.found[0].key.kind, kind);
        nothing_of(&[text[8..28].to_owned()], &found);
    }
}

#[test]
fn pkcs12_is_named_and_not_opened() {
    let oid = [
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01,
    ];
    let mut numbers = Numbers(9);
    let content = [&oid[..], &[0xa0, 0x82, 0x08, 0x00], &numbers.bytes(2048)].concat();
    let inside = [
        &[2, 1, 3, 0x30, 0x82][..],
        &(content.len() as u16).to_be_bytes(),
        &content,
    ]
    .concat();
    let file = [
        &[0x30, 0x82][..],
        &(inside.len() as u16).to_be_bytes(),
        &inside,
    ]
    .concat();
    assert_eq!(scan(&file).found[0].key.kind, Kind::Pkcs12);
    let text = format!("key.p12: {}\n", STANDARD.encode(&file));
    assert_eq!(scan(text.as_bytes()).found[0].key.kind, Kind::Pkcs12);
    assert_eq!(scan(&file[..1000]).found, []);
}

#[test]
fn key_with_a_certificate_is_a_servers_unless_the_certificate_is_googles() {
    let rsa = Rsa::new(10, 2048);
    let secret = |name: &str| {
        let (cert, key) = (rsa.certificate(name), rsa.pem());
        format!(
            "data:\n  tls.crt: {}\n  tls.key: {}\n",
            STANDARD.encode(cert),
            STANDARD.encode(key)
        )
    };
    assert_eq!(scan(secret("shop.example.com").as_bytes()).found, []);
    assert_eq!(
        scan(secret("117000000000000000001").as_bytes()).found.len(),
        1
    );
    let digest = public_key_digest(rsa.certificate("x").as_bytes());
    assert_eq!(digest, public_key_digest(rsa.public_pem().as_bytes()));
    assert_eq!(
        digest,
        public_key_digest(STANDARD.encode(rsa.certificate("x")).as_bytes())
    );
}

#[test]
fn harmless_texts_are_no_findings() {
    let random = STANDARD.encode(Numbers(11).bytes(4000));
    let cut = Account::new(12).json();
    let at = cut.find("MII").expect("a body");
    let cut = format!("{}...{}", &cut[..at + 300], &cut[at + 400..]);
    for (what, text) in [
        ("a template", r#"{"type":"service_account","private_key":"REDACTED","client_email":"x@y.iam.gserviceaccount.com"}"#.to_owned()),
        ("a schema", r#"{"properties":{"private_key":{"type":"string"},"refresh_token":{"type":"string"}}}"#.to_owned()),
        ("documentation", "Put the JSON with `\"type\": \"service_account\"` and `-----BEGIN PRIVATE KEY-----\\n...` here.".to_owned()),
        ("a short key", "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----".to_owned()),
        ("a key that was cut", cut),
        ("a public key", Rsa::new(13, 2048).public_pem()),
        ("a certificate", Rsa::new(13, 2048).certificate("x.example.com")),
        ("federation", r#"{"type":"external_account","audience":"//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x","subject_token_type":"urn:ietf:params:oauth:token-type:jwt","token_url":"https://sts.googleapis.com/v1/token","credential_source":{"file":"/t"},"service_account_impersonation_url":"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.iam.gserviceaccount.com:generateAccessToken"}"#.to_owned()),
        ("a sealed secret", format!("kind: SealedSecret\nspec:\n  encryptedData:\n    key.json: {random}\n")),
        ("a placeholder of a token", r#"{"type":"authorized_user","client_id":"1.apps.googleusercontent.com","refresh_token":"<YOUR_REFRESH_TOKEN>"}"#.to_owned()),
        ("an API's answer", r#"{"access_token":"x","refresh_token":"4hq8vQ2zKfH1cP0sTqLw9XyZ8dR3","expires_in":3600}"#.to_owned()),
        ("an example of an API key", format!("AIza{}", "x".repeat(35))),
        ("names of variables", "GOOGLE_APPLICATION_CREDENTIALS=/var/run/key.json GOOGLE_CLOUD_PROJECT=x".to_owned()),
        ("another's private key", armoured("EC PRIVATE KEY", &Numbers(14).bytes(121))),
        ("an encrypted key", armoured("ENCRYPTED PRIVATE KEY", &Numbers(15).bytes(1300))),
        ("a source map", format!("//# sourceMappingURL=data:application/json;base64,{random}")),
    ] {
        assert_eq!(scan(text.as_bytes()).found, [], "{what}");
    }
}

#[test]
fn offset_is_that_of_the_place_in_the_file() {
    let account = Account::new(16);
    let base64 = STANDARD.encode(account.json());
    let text = format!("kind: Secret\ndata:\n  a: eA==\n  key.json: {base64}\n");
    let found = scan(text.as_bytes()).found;
    assert_eq!(found[0].offset, text.find(&base64).expect("it is there"));
    assert_eq!(found[0].layers, [Layer::Base64]);
    let text = format!("a: 1\nb: \"{}\"\n", escaped(&account.json()));
    let found = scan(text.as_bytes()).found;
    assert_eq!(
        found[0].offset,
        text.find("-----BEGIN").expect("it is there")
    );
}

#[test]
fn bombs_are_bounded_and_told() {
    let zeros = packed(&"0".repeat(2 << 20));
    let found = scan_within(&zeros, 1 << 20);
    assert!(found.is_partial && found.found.is_empty());
    let mut text = Account::new(17).json();
    for _ in 0..12 {
        text = STANDARD.encode(text);
    }
    let found = scan_within(text.as_bytes(), 1 << 20);
    assert!(found.is_partial && found.found.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    /// Whatever stands around it, in whatever spelling of a spelling.
    #[test]
    fn keys_are_found_wherever_they_are_put(
        seed in any::<u64>(),
        first in 0usize..19,
        second in 0usize..19,
        before in "[ -~\n]{0,200}",
        after in "[ -~\n]{0,200}",
    ) {
        let account = Account::new(seed);
        let inner = spellings(&account.json()).swap_remove(first).1;
        // What is no text is not put into text again.
        let (what, text) = match String::from_utf8(inner) {
            Ok(inner) => {
                let (what, outer) = spellings(&inner).swap_remove(second);
                let around = [before.as_bytes(), b"\n\"", &outer, b"\"\n", after.as_bytes()].concat();
                let binary = outer.starts_with(&[0x1f, 0x8b]) || outer.starts_with(&[0xff, 0xfe]);
                (what, if binary { outer } else { around })
            }
            Err(packed) => ("", packed.into_bytes()),
        };
        let found = scan(&text);
        nothing_of(&account.canaries(), &found);
        let emails: Vec<_> = found.found.iter().map(|f| f.key.email.as_deref()).collect();
        // Escapes that are undone more than three times are not promised.
        let deep = (first == 12 || second == 12) && (10..14).contains(&first) && (10..14).contains(&second);
        prop_assert!(deep || emails == [Some(account.email.as_str())], "{first} {second} {what} {emails:?}");
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4000), at in 0usize..3000) {
        scan(&bytes);
        let key = Account::new(1).json();
        let mut text = key.into_bytes();
        let at = at.min(text.len());
        text.splice(at..at, bytes.iter().copied().take(40));
        scan(&text);
        text.truncate(at);
        let found = scan(&text);
        prop_assert!(found.found.len() <= 1);
        let _ = public_key_digest(&bytes);
    }
}
