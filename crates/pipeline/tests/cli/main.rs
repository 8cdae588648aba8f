//! `hotfix` from outside: arguments in, exit code, output and files out. Every failure that a user can cause is here.

mod support;

mod config;
mod config_errors;
mod config_examples;
mod credentials;
mod dockerfile;
mod dockerfile_example;
mod dockerfile_fixed;
mod docs;
mod engine;
mod engines;
mod engines_page;
mod from_image;
mod full_size;
mod inputs;
mod inspect;
mod interrupt;
mod layout;
mod layout_base;
mod names;
mod pages;
mod platform;
mod podman;
mod push;
mod registries;
mod registry_credentials;
mod registry_fetch;
mod registry_tls;
mod report;
mod secrets;
mod sequence;
mod server_home;
mod tool;
mod usage;
mod vendor_image;
