//! What the tests share: a scenario that reads as a specification, the engine, and registries.

pub mod engine;
pub mod layout;
pub mod podman;
pub mod proxy;
pub mod registry;
pub mod scenario;
pub mod sshd;
pub mod tcp_engine;

pub use scenario::Scenario;
