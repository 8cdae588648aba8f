//! The program: measures what was asked for, prints it, and writes the page.

#![allow(clippy::print_stdout)] // Its figures are what it is for.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use hotfix_bench::arguments::Arguments;
use hotfix_bench::bench::{Bench, progress};
use hotfix_bench::chapter::Chapter;
use hotfix_bench::page::Page;
use hotfix_bench::{hotfix, sections, stop};

fn main() -> Result<ExitCode> {
    if let Some(code) = hotfix::again(std::env::args_os()) {
        return Ok(code);
    }
    let arguments = Arguments::parse().settled();
    let folder = arguments.page_folder();
    stop::listen()?;
    let bench = Bench::new(arguments)?;
    let chapters = bench.arguments.wanted().into_iter().map(|section| {
        progress(&format!("# {section:?}"));
        let chapter = sections::measure(section, &bench)?;
        println!("{}", Page::text_of(&chapter));
        Ok(chapter)
    });
    let chapters: Vec<Chapter> = chapters.collect::<Result<_>>()?;
    let page = Page::new(&bench, chapters);
    println!("{}", page.summary());
    if let Some(folder) = folder {
        page.write(&folder)?;
        progress(&format!("written: {}", folder.join("benchmarks.md").display()));
    }
    Ok(ExitCode::SUCCESS)
}
