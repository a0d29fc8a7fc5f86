//! Credentials that are made when the tests run, so that none lies in the repository: numbers of the right
//! shape, whose modulus is the product of its factors. They are nobody's.

#![allow(dead_code, reason = "each test program uses its part")]
#![allow(
    missing_debug_implementations,
    reason = "what is printed of it would be a key"
)]

pub mod kinds;
pub mod spellings;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Numbers that follow from a seed (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    pub fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    pub fn word(&mut self, symbols: &[u8], length: usize) -> String {
        let pick = |_| char::from(symbols[self.below(symbols.len())]);
        (0..length).map(pick).collect()
    }
}

pub const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        n @ 0..128 => out.push(n as u8),
        n @ 128..256 => out.extend([0x81, n as u8]),
        n => out.extend([0x82, (n >> 8) as u8, n as u8]),
    }
    out.extend(content);
    out
}

fn integer(number: &[u8]) -> Vec<u8> {
    let padded = [&[0u8][..], number].concat();
    tlv(
        2,
        if number[0] & 0x80 != 0 {
            &padded
        } else {
            number
        },
    )
}

fn product(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut out = vec![0u32; a.len() + b.len()];
    for (i, x) in a.iter().rev().enumerate() {
        for (j, y) in b.iter().rev().enumerate() {
            let mut carry = u32::from(*x) * u32::from(*y);
            let mut at = i + j;
            while carry > 0 {
                carry += out[at];
                out[at] = carry & 0xff;
                carry >>= 8;
                at += 1;
            }
        }
    }
    let bytes: Vec<u8> = out.into_iter().rev().map(|b| b as u8).collect();
    bytes.into_iter().skip_while(|b| *b == 0).collect()
}

/// An RSA private key.
pub struct Rsa {
    pub pkcs1: Vec<u8>,
    pub pkcs8: Vec<u8>,
    modulus: Vec<u8>,
}

const ALGORITHM: [u8; 13] = [
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
const EXPONENT: [u8; 3] = [1, 0, 1];

impl Rsa {
    pub fn new(seed: u64, bits: usize) -> Self {
        let mut numbers = Numbers(seed);
        let mut factor = || {
            let mut bytes = numbers.bytes(bits / 16);
            bytes[0] |= 0xc0;
            *bytes.last_mut().expect("bytes") |= 1;
            bytes
        };
        let (p, q, d) = (factor(), factor(), [factor(), factor()].concat());
        let modulus = product(&p, &q);
        let parts = [&modulus[..], &EXPONENT, &d, &p, &q, &p, &q, &p];
        let body: Vec<u8> = parts.into_iter().flat_map(integer).collect();
        let pkcs1 = tlv(0x30, &[integer(&[0]), body].concat());
        let algorithm = tlv(0x30, &ALGORITHM);
        let inside = [integer(&[0]), algorithm, tlv(4, &pkcs1)].concat();
        Self {
            pkcs8: tlv(0x30, &inside),
            pkcs1,
            modulus,
        }
    }

    fn info(&self) -> Vec<u8> {
        let key = tlv(0x30, &[integer(&self.modulus), integer(&EXPONENT)].concat());
        let bits = tlv(3, &[vec![0], key].concat());
        tlv(0x30, &[tlv(0x30, &ALGORITHM), bits].concat())
    }

    pub fn pem(&self) -> String {
        armoured("PRIVATE KEY", &self.pkcs8)
    }

    pub fn public_pem(&self) -> String {
        armoured("PUBLIC KEY", &self.info())
    }

    /// A certificate for this key with this common name, signed by nobody.
    pub fn certificate(&self, name: &str) -> String {
        let common_name = [
            &[0x06, 0x03, 0x55, 0x04, 0x03][..],
            &tlv(0x0c, name.as_bytes()),
        ];
        let subject = tlv(0x30, &tlv(0x31, &tlv(0x30, &common_name.concat())));
        let time = tlv(0x17, b"260101000000Z");
        let parts = [
            tlv(0xa0, &integer(&[2])),
            integer(&[7]),
            tlv(0x30, &ALGORITHM),
            subject.clone(),
            tlv(0x30, &[time.clone(), time].concat()),
            subject,
            self.info(),
        ];
        let signed = tlv(0x30, &parts.concat());
        let whole = [signed, tlv(0x30, &ALGORITHM), tlv(3, &[0; 33])].concat();
        armoured("CERTIFICATE", &tlv(0x30, &whole))
    }
}

pub fn armoured(what: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|c| std::str::from_utf8(c).expect("ASCII"))
        .collect();
    format!(
        "-----BEGIN {what}-----\n{}\n-----END {what}-----\n",
        lines.join("\n")
    )
}

/// A service account key.
pub struct Account {
    pub email: String,
    pub id: String,
    pub rsa: Rsa,
}

impl Account {
    pub fn new(seed: u64) -> Self {
        let mut numbers = Numbers(seed ^ 0xacc0);
        let name = numbers.word(b"abcdefghijkmnop", 9);
        Self {
            email: format!("{name}@acme-prod.iam.gserviceaccount.com"),
            id: numbers.word(b"0123456789abcdef", 40),
            rsa: Rsa::new(seed, 2048),
        }
    }

    /// As gcloud writes it.
    pub fn json(&self) -> String {
        let pem = self.rsa.pem().replace('\n', "\\n");
        let email = &self.email;
        format!(
            "{{\n  \"type\": \"service_account\",\n  \"project_id\": \"acme-prod\",\n  \"private_key_id\": \"{}\",\n  \"private_key\": \"{pem}\",\n  \"client_email\": \"{email}\",\n  \"client_id\": \"117000000000000000001\",\n  \"auth_uri\": \"https://accounts.google.com/o/oauth2/auth\",\n  \"token_uri\": \"https://oauth2.googleapis.com/token\",\n  \"auth_provider_x509_cert_url\": \"https://www.googleapis.com/oauth2/v1/certs\",\n  \"client_x509_cert_url\": \"https://www.googleapis.com/robot/v1/metadata/x509/{}\",\n  \"universe_domain\": \"googleapis.com\"\n}}\n",
            self.id,
            email.replace('@', "%40")
        )
    }

    /// What no output may have: the middle of the private half, and what it is in base64 once more.
    pub fn canaries(&self) -> Vec<String> {
        let inner = STANDARD.encode(&self.rsa.pkcs8);
        let mut all = Vec::new();
        for at in [500usize, 900, 1300] {
            all.push(inner[at..at + 24].to_owned());
        }
        let outer = STANDARD.encode(self.json());
        all.push(outer[1600..1632].to_owned());
        all
    }
}

/// A person's login; answers with the token, too.
pub fn user(seed: u64) -> (String, String) {
    let token = format!("1//0{}", Numbers(seed).word(LETTERS, 90));
    let json = format!(
        "{{\n  \"account\": \"\",\n  \"client_id\": \"764086051850-{}.apps.googleusercontent.com\",\n  \"client_secret\": \"d-FL95Q19q7MQmFpd7hHD0Ty\",\n  \"refresh_token\": \"{token}\",\n  \"type\": \"authorized_user\",\n  \"universe_domain\": \"googleapis.com\"\n}}",
        Numbers(seed ^ 1).word(b"abcdefghijklmnop0123456789", 32)
    );
    (json, token)
}
