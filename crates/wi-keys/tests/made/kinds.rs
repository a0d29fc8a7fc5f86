//! Every kind of credential, as text, with what it is told as and what of it no output may have.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::spellings::quoted;
use super::{Account, LETTERS, Numbers, armoured, user};

/// A credential.
pub struct Made {
    /// In words.
    pub what: &'static str,
    /// As it lies in a file.
    pub text: String,
    /// What it is called where it is found: an email, an id, a part; empty where it has no name.
    pub name: String,
    /// Parts of what is secret of it.
    pub canaries: Vec<String>,
}

/// One of each kind, from a seed.
pub fn all(seed: u64) -> Vec<Made> {
    let mut numbers = Numbers(seed ^ 0x1d5);
    let account = Account::new(seed);
    let key = account.canaries();
    let pem = account.rsa.pem().replace('\n', "\\n");
    let (login, token) = user(seed);
    let of_token = vec![token[10..34].to_owned(), token[50..74].to_owned()];
    let base64 = STANDARD.encode(account.json());
    let upper = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let access_id = format!("GOOG1E{}7", numbers.word(upper, 54));
    let secret = numbers.word(LETTERS, 40);
    let api = format!("AIza{}", numbers.word(LETTERS, 35));
    let client = format!("GOCSPX-{}", numbers.word(LETTERS, 28));
    let made = |what, text: String, name: &str, canaries: &[String]| Made {
        what,
        text,
        name: name.to_owned(),
        canaries: canaries.to_vec(),
    };
    vec![
        made("a key", account.json(), &account.email, &key),
        made(
            "a key that is cut down",
            format!(
                "{{\"client_email\":\"{}\",\"token_uri\":\"https://oauth2.googleapis.com/token\",\"private_key\":\"{pem}\"}}",
                account.email
            ),
            &account.email,
            &key,
        ),
        made("PKCS#8", account.rsa.pem(), "", &key),
        made(
            "PKCS#1",
            armoured("RSA PRIVATE KEY", &account.rsa.pkcs1),
            "",
            &[],
        ),
        made("a login", login.clone(), "764086051850-", &of_token),
        made(
            "impersonation",
            format!(
                "{{\"type\":\"impersonated_service_account\",\"service_account_impersonation_url\":\"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/x@acme-prod.iam.gserviceaccount.com:generateAccessToken\",\"source_credentials\":{login}}}"
            ),
            "764086051850-",
            &of_token,
        ),
        made(
            "a registry's login",
            format!(
                "{{\"auths\":{{\"gcr.io\":{{\"username\":\"_json_key\",\"password\":{}}}}}}}",
                quoted(&account.json())
            ),
            &account.email,
            &key,
        ),
        made(
            "a registry's login in base64",
            format!(
                "{{\"auths\":{{\"gcr.io\":{{\"username\":\"_json_key_base64\",\"password\":\"{base64}\"}}}}}}"
            ),
            &account.email,
            &key,
        ),
        made(
            "an HMAC key",
            format!("AWS_ACCESS_KEY_ID={access_id}\nAWS_SECRET_ACCESS_KEY={secret}\n"),
            &access_id,
            &[
                secret[8..32].to_owned(),
                STANDARD.encode(&secret)[8..40].to_owned(),
            ],
        ),
        made(
            "an API key",
            api.clone(),
            "AIza…",
            &[
                api[8..32].to_owned(),
                STANDARD.encode(&api)[12..40].to_owned(),
            ],
        ),
        made(
            "a client's secret",
            client.clone(),
            "",
            &[client[9..33].to_owned()],
        ),
    ]
}
