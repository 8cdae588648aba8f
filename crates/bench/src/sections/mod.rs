//! What is measured, a file a section.

pub mod bytes;
pub mod growth;
pub mod job;
pub mod memory;
pub mod plan;
pub mod profile;
pub mod unpack;

use anyhow::Result;

use crate::arguments::Section;
use crate::bench::Bench;
use crate::chapter::Chapter;

/// Measures a section.
///
/// # Errors
/// Where something that was there at the start fails; what is not there at all is said in the chapter.
pub fn measure(section: Section, bench: &Bench) -> Result<Chapter> {
    match section {
        Section::Job => job::measure(bench),
        Section::Unpack => unpack::measure(bench),
        Section::Bytes => bytes::measure(bench),
        Section::Memory => memory::measure(bench),
        Section::Growth => growth::measure(bench),
        Section::Plan => plan::measure(bench),
    }
}
