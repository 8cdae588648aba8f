//! Measures `hotfix` against what it replaces, side by side in one run.
//!
//! The program `bench` makes packs of full size, runs rival and `hotfix` alternately, and writes `docs/benchmarks.md`.
//! What is measured is in [`sections`], a file each; all of them get a [`bench::Bench`] and give a [`chapter::Chapter`]. The
//! rest is shared with the tests that count bytes, files and memory.

pub mod arguments;
pub mod bench;
pub mod chapter;
pub mod child;
pub mod engine;
pub mod figures;
pub mod hotfix;
pub mod inputs;
pub mod machine;
pub mod page;
pub mod plot;
pub mod proxy;
pub mod registry;
pub mod rivals;
pub mod script;
pub mod sections;
pub mod stop;
pub mod table;
