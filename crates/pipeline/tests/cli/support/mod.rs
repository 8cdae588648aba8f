//! What the tests share: a scenario that reads as a specification, the engine, and registries.

pub mod authority;
pub mod engine;
pub mod http;
pub mod layout;
pub mod proxy;
pub mod recipe;
pub mod registry;
pub mod scenario;
pub mod token_server;
pub mod vendor;

pub use scenario::Scenario;
