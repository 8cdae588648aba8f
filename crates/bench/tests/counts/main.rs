//! What a hotfix costs, in counts that do not depend on time: bytes sent, files written and read, peak memory. Seconds are
//! the business of the program.

mod bytes;
mod files;
mod memory;
mod program;
mod support;
mod trace;
