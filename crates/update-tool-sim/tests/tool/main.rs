//! Runs the real executable, out of packs that the builders wrote.

mod config_and_log;
mod credentials;
mod docker;
mod faults;
mod hotfixes;
mod packs;
mod product;
mod samples;
mod self_update;
mod setup_script;
mod updates;
