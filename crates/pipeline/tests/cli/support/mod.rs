//! What the tests share: a scenario that reads as a specification, the engine, and registries.

pub mod authority;
pub mod browser;
pub mod engine;
pub mod estate;
pub mod faults;
pub mod faulty_registry;
pub mod http;
pub mod installed;
pub mod layout;
pub mod podman;
pub mod proxy;
pub mod raw_zip;
pub mod recipe;
pub mod registry;
pub mod scenario;
pub mod shelf;
pub mod shim;
pub mod sshd;
pub mod tcp_engine;
pub mod terminal;
pub mod token_server;
pub mod vendor;
pub mod victim;
pub mod wiretap;

pub use scenario::Scenario;
