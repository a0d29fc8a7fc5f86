//! Clients of the APIs that `wi` calls: Google's, Kubernetes', the forges', and where tokens come
//! from. All on one transport, [`http`].

pub mod files;

pub mod http;

pub mod auth;

pub mod google;

pub mod kubernetes;

pub mod forge;
