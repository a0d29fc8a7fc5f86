//! Managed zones: `dns.googleapis.com/dns/v1`, beside their policies.

use http::Method;
use serde::Deserialize;
use wi_core::words::safe;

use crate::http::{Api, ApiError, Http, Request};

/// `managedZones.get`: the name of a zone, by its number.
pub async fn zone_name(http: &Http, project: &str, number: u64) -> Result<String, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Zone {
        name: String,
    }
    let path = format!("dns/v1/projects/{project}/managedZones/{number}");
    let url = http.url(Api::Dns, &path);
    let zone: Zone = http.json(Request::new(Method::GET, url.clone())).await?;
    match zone.name.starts_with(|c: char| c.is_ascii_lowercase()) {
        true => Ok(zone.name),
        false => {
            let why = format!("`{}` is no name of a zone", safe(&zone.name));
            Err(ApiError::without_answer("GET", &url, why))
        }
    }
}
