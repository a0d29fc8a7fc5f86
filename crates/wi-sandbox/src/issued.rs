//! Tokens that were given out, and who each is.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::ids::ClusterKey;

/// Who a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A Kubernetes service account.
    Workload(Workload),
    /// A Google service account, by its email, whoever got the token for it.
    Account(String),
}

/// A Kubernetes service account, as a cluster's token names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its cluster.
    pub cluster: ClusterKey,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub ksa: String,
    /// The pool that it is known in.
    pub pool: Pool,
}

/// An identity pool of Kubernetes service accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pool {
    /// That of the cluster's project.
    OfProject,
    /// That of a fleet, by the fleet's host project.
    OfFleet(String),
}

/// What a cluster says in a token of a service account.
#[derive(Debug, Clone)]
pub struct Claims {
    /// The account's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// For whom it is.
    pub audiences: Vec<String>,
    /// How long it lasts, in seconds.
    pub seconds: u64,
}

/// A token that was given out.
#[derive(Debug)]
pub struct Issued {
    /// Who it is.
    pub holder: Holder,
    /// Of a cluster's token; `None`: it is an access token.
    pub audiences: Option<Vec<String>>,
    /// In real time: a client compares it with its own clock.
    ends: Instant,
}

/// All that were given out.
#[derive(Debug, Default)]
pub struct Tokens(HashMap<String, Issued>);

impl Tokens {
    /// From now on, for so many seconds.
    pub fn keep(
        &mut self,
        token: &str,
        holder: Holder,
        audiences: Option<Vec<String>>,
        seconds: u64,
    ) {
        let issued = Issued {
            holder,
            audiences,
            ends: Instant::now() + Duration::from_secs(seconds),
        };
        self.0.insert(token.to_owned(), issued);
    }

    /// One that has not ended.
    pub fn valid(&self, token: &str) -> Option<&Issued> {
        self.0.get(token).filter(|t| Instant::now() < t.ends)
    }

    /// Whose access token it is.
    pub fn holder(&self, token: &str) -> Option<Holder> {
        let issued = self.valid(token).filter(|t| t.audiences.is_none())?;
        Some(issued.holder.clone())
    }
}
