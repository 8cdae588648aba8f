//! From a WSO2 product pack and the vendor's hotfixes to a container image.
//!
//! The steps and their order stand in [`pipeline`]; what each step needs and gives is a type of its own, so that a
//! wrong order does not compile. `docs/architecture.md` maps steps to functions, types and exit codes.

pub mod below;
pub mod blocking;
pub mod cache;
pub mod changes;
mod checklist;
pub mod checksums;
pub mod cli;
pub mod credentials;
pub mod delivery;
pub mod dockerfile;
mod engine_problem;
mod fingerprint;
mod follow;
pub mod home;
pub mod host;
pub mod hotfix;
pub mod identity;
mod image;
pub mod inputs;
pub mod inspect;
pub mod installation;
pub mod interrupt;
pub mod layers;
pub mod leaks;
pub mod migration;
pub mod pack;
pub mod patching;
pub mod pipeline;
pub mod placement;
pub mod plan;
pub mod pristine;
pub mod process;
pub mod product_image;
pub mod provision;
pub mod pushing;
pub mod recipe;
pub mod recorder;
pub mod redact;
mod registry_hint;
pub mod report;
pub mod request;
mod said_once;
pub mod scrub;
pub mod source;
pub mod step;
pub mod stock;
pub mod stragglers;
pub mod tree;
pub mod unchanged;
mod unfinished;
pub mod update_tool;
pub mod vendor_image;
pub mod workspace;
