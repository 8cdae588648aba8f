//! Container images made of deterministic layers, and the engines and registries that they go to.
//!
//! An image is a [base](base::BaseImage) and [layers](layer::Layer) on top of it. The same layers, written by the same
//! code, go [into an engine](load) or into an [OCI layout](oci_layout), so both hold the same diff ids. This crate has
//! never heard of hotfixes.

pub mod answers;
mod apart;
mod artifact;
mod asked;
pub mod auth;
pub mod base;
mod bounded;
pub mod build;
mod cancel;
mod certificates;
mod connection;
mod container;
mod context;
pub mod copy;
mod credential_helper;
mod endpoint;
pub mod engine;
pub mod entries;
pub mod error;
pub mod fetch;
pub mod files;
pub mod folder;
mod gzip;
pub mod hashing;
pub mod image;
pub mod inventory;
pub mod layer;
pub mod layer_list;
mod leftovers;
pub mod load;
pub mod look;
pub mod oci_layout;
mod pipe;
pub mod progress;
pub mod push;
pub mod reference;
pub mod registry;
pub mod registry_tag;
pub mod repository;
pub mod retry;
pub mod rewrite;
mod said;
mod ssh;
pub mod stranded;
mod tags;
pub mod temporary;
mod tls;
mod token;
mod transport;
pub mod upload;
pub mod watch;

pub use error::{Error, Result};
