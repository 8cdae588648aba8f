//! `hotfix` from outside: arguments in, exit code, output and files out. Every failure that a user can cause is here.

mod support;

mod credentials;
mod dockerfile;
mod dockerfile_example;
mod docs;
mod engine;
mod full_size;
mod inputs;
mod interrupt;
mod layout;
mod layout_base;
mod push;
mod report;
mod secrets;
mod sequence;
mod tool;
mod usage;
