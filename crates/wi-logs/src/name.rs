//! Names in entries, each in one spelling: principals, addresses, programs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A principal in one spelling: `P.svc.id.goog[NS/KSA]` for both of a Kubernetes service account's, a Google
/// service account's or a person's email in small letters, all else as it came without its kind.
pub fn principal(raw: &str) -> String {
    let raw = raw.trim();
    if let Some(rest) = raw.strip_prefix("principal://") {
        if let Some(ksa) = subject(rest) {
            return ksa;
        }
        return raw.to_owned();
    }
    // A chain of identities has full names, with an address or a number at the end.
    if let Some((_, rest)) = raw.split_once("/serviceAccounts/") {
        return principal(rest.split('/').next().unwrap_or(rest));
    }
    let name = match raw.split_once(':') {
        Some(("serviceAccount" | "user" | "deleted", rest)) => return principal(rest),
        _ => raw,
    };
    if is_ksa(name) {
        return name.to_owned();
    }
    match name.contains('@') && !name.contains('/') {
        true => name.to_ascii_lowercase(),
        false => name.to_owned(),
    }
}

/// `…/workloadIdentityPools/P.svc.id.goog/subject/ns/NS/sa/KSA`.
fn subject(rest: &str) -> Option<String> {
    let (_, rest) = rest.split_once("/workloadIdentityPools/")?;
    let (pool, rest) = rest.split_once("/subject/ns/")?;
    let (namespace, ksa) = rest.split_once("/sa/")?;
    let plain = |text: &str| !text.is_empty() && !text.contains('/');
    (pool.ends_with(".svc.id.goog") && plain(namespace) && plain(ksa))
        .then(|| format!("{pool}[{namespace}/{ksa}]"))
}

/// Whether it is `P.svc.id.goog[NS/KSA]`.
pub fn is_ksa(name: &str) -> bool {
    pool_of(name).is_some()
}

/// The pool of `P.svc.id.goog[NS/KSA]`.
pub fn pool_of(name: &str) -> Option<&str> {
    let (pool, rest) = name.split_once('[')?;
    let inner = rest.strip_suffix(']')?;
    (pool.ends_with(".svc.id.goog") && inner.contains('/')).then_some(pool)
}

/// Whether it is a Google service account that somebody made, or the default of Compute Engine or App Engine,
/// and none of Google's own agents.
pub fn is_account(name: &str) -> bool {
    let Some((_, domain)) = name.split_once('@') else {
        return false;
    };
    match domain.strip_suffix(".iam.gserviceaccount.com") {
        Some(project) => !project.starts_with("gcp-sa-") && !project.contains("-robot"),
        None => matches!(
            domain,
            "developer.gserviceaccount.com" | "appspot.gserviceaccount.com"
        ),
    }
}

/// Whether it is a person's: an address of none of Google's accounts.
pub fn is_person(name: &str) -> bool {
    name.split_once('@')
        .is_some_and(|(_, domain)| !domain.ends_with("gserviceaccount.com"))
}

/// Whether it is Compute Engine's default account, which nodes run as where nobody chose another.
pub fn is_default_node_account(name: &str) -> bool {
    name.split_once("-compute@")
        .is_some_and(|(number, domain)| {
            domain == "developer.gserviceaccount.com" && number.bytes().all(|b| b.is_ascii_digit())
        })
}

/// Where a call came from, as much of it as is kept: `google` for what Google hides, and networks of 24 bits
/// (48 of IPv6), so that no machine's address is in a baseline.
pub fn place(caller: &str) -> String {
    match caller {
        "" => return String::new(),
        "gce-internal-ip" | "private" => return "google".to_owned(),
        _ => {}
    }
    match caller.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => network_v4(ip),
        Ok(IpAddr::V6(ip)) => match ip.to_ipv4_mapped() {
            Some(ip) => network_v4(ip),
            None => {
                let s = ip.segments();
                format!("{}/48", Ipv6Addr::new(s[0], s[1], s[2], 0, 0, 0, 0, 0))
            }
        },
        Err(_) => "unknown".to_owned(),
    }
}

/// What a place begins with that is a VPC, told by the project that it is in: networks themselves are mostly
/// `__unknown__` in entries.
const VPC: &str = "VPCs of ";

/// The place of a VPC: `VPCs of acme-prod`, from `//compute.googleapis.com/projects/acme-prod/global/networks/default`
/// or `projects/…`. Nothing of a project's number, which could not be compared.
pub fn vpc(network: &str) -> String {
    let project = network
        .split_once("projects/")
        .and_then(|(_, rest)| rest.split_once("/global/networks/"))
        .map(|(project, _)| project);
    match project {
        Some(project) if project.contains(|c: char| !c.is_ascii_digit()) => {
            format!("{VPC}{project}")
        }
        _ => String::new(),
    }
}

/// Whether a place is a VPC.
pub fn is_vpc(place: &str) -> bool {
    place.starts_with(VPC)
}

fn network_v4(ip: Ipv4Addr) -> String {
    let [a, b, c, _] = ip.octets();
    format!("{}/24", Ipv4Addr::new(a, b, c, 0))
}

/// Whether a place is on the internet.
pub fn is_public(place: &str) -> bool {
    let Some(ip) = place.split('/').next().and_then(|ip| ip.parse().ok()) else {
        return false;
    };
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            // 100.64.0.0/10 is what many clusters have their pods in, as GKE has 240.0.0.0/4.
            let shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared || a >= 240)
        }
        IpAddr::V6(ip) => {
            let first = ip.segments()[0];
            !(ip.is_loopback() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80)
        }
    }
}

/// A network: `10.4.0.0/14`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    ip: IpAddr,
    bits: u8,
}

impl Cidr {
    /// Reads `10.4.0.0/14`, or one address.
    pub fn parse(text: &str) -> Option<Self> {
        let (ip, bits) = match text.split_once('/') {
            Some((ip, bits)) => (ip, Some(bits)),
            None => (text, None),
        };
        let ip: IpAddr = ip.trim().parse().ok()?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.trim().parse().ok().filter(|b| *b <= most)?,
            None => most,
        };
        Some(Self { ip, bits })
    }

    /// Whether a place (or all of what one stands for) may lie in it.
    pub fn has(&self, place: &str) -> bool {
        let Some(other) = Self::parse(place) else {
            return false;
        };
        let bits = self.bits.min(other.bits);
        match (self.ip, other.ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let differ = u32::from(a) ^ u32::from(b);
                differ.checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let differ = u128::from(a) ^ u128::from(b);
                differ.checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// What fetches tokens for pods on a node.
pub const METADATA_SERVER: &str = "gke-metadata-server";

/// Programs that are known by a word in their name, wherever it stands.
const KNOWN_AGENTS: [&str; 6] = [
    METADATA_SERVER,
    "gcsfuse",
    "secrets-store",
    "kubelet",
    "gcloud",
    "terraform",
];

/// The program, without versions: `gke-metadata-server`, `gcloud`, `gl-python`.
pub fn agent(raw: &str) -> String {
    if let Some(known) = KNOWN_AGENTS.iter().find(|a| raw.contains(**a)) {
        return (*known).to_owned();
    }
    let first = raw.split([' ', '/', ',', '(']).next().unwrap_or_default();
    first.chars().take(40).collect()
}

/// Whether a glob with `*` for anything fits.
pub fn glob(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_ksa_are_one_principal() {
        let ksa = "acme-prod.svc.id.goog[shop/web]";
        for raw in [
            "serviceAccount:acme-prod.svc.id.goog[shop/web]",
            "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/subject/ns/shop/sa/web",
        ] {
            assert_eq!(principal(raw), ksa);
        }
        assert_eq!(
            principal("serviceAccount:Web@P.iam.gserviceaccount.com"),
            "web@p.iam.gserviceaccount.com"
        );
        assert_eq!(
            principal("projects/-/serviceAccounts/web@p.iam.gserviceaccount.com"),
            "web@p.iam.gserviceaccount.com"
        );
        assert_eq!(principal("projects/-/serviceAccounts/1152"), "1152");
        assert_eq!(principal("user:Ann@acme.com"), "ann@acme.com");
        assert_eq!(principal("system:node:gke-1"), "system:node:gke-1");
        assert!(is_ksa(ksa) && !is_ksa("web@p") && pool_of(ksa) == Some("acme-prod.svc.id.goog"));
    }

    #[test]
    fn places_are_networks_and_name_no_machine() {
        for (ip, network, public) in [
            ("10.4.1.9", "10.4.1.0/24", false),
            ("203.0.113.7", "203.0.113.0/24", true),
            ("::ffff:203.0.113.7", "203.0.113.0/24", true),
            ("2600:1900:4000:1::1", "2600:1900:4000::/48", true),
            ("fd00::1", "fd00::/48", false),
            ("gce-internal-ip", "google", false),
            ("", "", false),
            ("x", "unknown", false),
        ] {
            assert_eq!(place(ip), network);
            assert_eq!(is_public(network), public, "{ip}");
        }
        let network = "//compute.googleapis.com/projects/acme-prod/global/networks/__unknown__";
        assert_eq!(vpc(network), "VPCs of acme-prod");
        assert_eq!(vpc("projects/acme-prod/global/networks/x"), vpc(network));
        assert_eq!(
            vpc("//compute.googleapis.com/projects/123/global/networks/x"),
            ""
        );
        assert!(is_vpc(&vpc(network)) && !is_public(&vpc(network)));
        let pods = Cidr::parse("10.4.0.0/14").expect("a network");
        assert!(pods.has("10.7.255.0/24") && !pods.has("10.8.0.0/24"));
        assert!(Cidr::parse("0.0.0.0/0").expect("all").has("8.8.8.0/24"));
    }

    #[test]
    fn programs_are_known_without_their_versions() {
        let raw = "google-api-go-client/0.5 gke-metadata-server,gzip(gfe)";
        assert_eq!(agent(raw), METADATA_SERVER);
        assert_eq!(agent("gl-python/3.11 grpc/1.2"), "gl-python");
        assert_eq!(agent("curl/8.1,gzip(gfe)"), "curl");
        assert_eq!(agent("wi/0.1.0"), "wi");
    }
}
