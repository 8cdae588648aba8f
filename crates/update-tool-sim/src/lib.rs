//! A stand-in for the vendor's update tool, and builders of the product packs and hotfixes that it works on.
//! Tests, examples and benchmarks use it; it is never published, and the product knows nothing of it.
//!
//! Three parts:
//! - [`tool`]: the executable itself. How it behaves, and misbehaves, is a [`ToolBehaviour`] appended to its own
//!   file, because a pack is what a test hands over: nothing else reaches the tool, whatever the pipeline under
//!   test does to its environment, its arguments and its folder.
//! - [`PackBuilder`] and [`HotfixBuilder`]: zips as the vendor's are, or deliberately not.
//! - [`samples`]: three hotfixes that fit the default pack, or a pack of the full size ([`Listing`]).
//!
//! The stand-in does what is publicly known of the vendor's tool. The wording of what it prints, the format of
//! its `hotfix.json` ([`HotfixManifest`]) and the entries of `hotfixes` in `config.json` are its own inventions:
//! nothing may depend on them.
//!
//! The builders are for tests, so they panic, saying why, instead of returning errors.

mod archive;
mod behaviour;
mod config_json;
mod executable;
mod filler;
mod hotfix;
mod hotfix_manifest;
mod journal;
mod listing;
mod machine;
mod pack;
pub mod samples;
mod setup_script;
pub mod tool;
mod trailer;

pub use behaviour::{Fault, FileUpdate, ToolBehaviour, Update};
pub use config_json::{ConfigGeneration, fresh_config};
pub use executable::executable;
pub use hotfix::HotfixBuilder;
pub use hotfix_manifest::{Behave, HotfixManifest, TextPatch};
pub use journal::{Call, calls};
pub use listing::{Listing, ListingEntry};
pub use machine::tool_file_name;
pub use pack::PackBuilder;
pub use setup_script::SetupScript;
pub use trailer::change_behaviour;
