//! `hotfix` from outside: arguments in, exit code, output and files out. Every failure that a user can cause is here.

mod support;

mod credentials;
mod docs;
mod engine;
mod engines;
mod engines_page;
mod full_size;
mod inputs;
mod interrupt;
mod layout;
mod layout_base;
mod platform;
mod podman;
mod push;
mod report;
mod secrets;
mod sequence;
mod tool;
mod usage;
