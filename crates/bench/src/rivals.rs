//! Programs that unpack zips.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::child;

/// A program that unpacks zips, found on this machine.
#[derive(Debug, Clone)]
pub struct Rival {
    /// Its name, as people know it.
    pub name: &'static str,
    /// What it says of its version.
    pub version: String,
    program: PathBuf,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unzip,
    Bsdtar,
    SevenZip,
    Ripunzip,
}

/// Name, where it comes from, what it may be called, and how to ask it for its version.
const KNOWN: [(Kind, &str, &str, &[&str], &str); 4] = [
    (Kind::Unzip, "unzip", "Debian: unzip", &["unzip"], "-v"),
    (Kind::Bsdtar, "bsdtar", "Debian: libarchive-tools", &["bsdtar"], "--version"),
    (Kind::SevenZip, "7z", "Debian: 7zip", &["7z", "7zz"], "i"),
    (Kind::Ripunzip, "ripunzip", "cargo install ripunzip", &["ripunzip"], "--version"),
];

impl Rival {
    /// Those that are here, and a line for each that is not. ripunzip is built by cargo where it is missing.
    pub fn find() -> (Vec<Self>, Vec<String>) {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (kind, name, source, programs, version) in KNOWN {
            let mut program = programs.iter().map(PathBuf::from).find(|program| starts(program, version));
            let mut why = String::new();
            if program.is_none() && kind == Kind::Ripunzip {
                match built_ripunzip() {
                    Ok(built) => program = Some(built),
                    Err(error) => why = format!(": {error:#}"),
                }
            }
            match program {
                Some(program) => found.push(Self { name, version: said_version(&program, version), program, kind }),
                None => missing.push(format!("{name} is absent ({source}){why}")),
            }
        }
        (found, missing)
    }

    /// The command that unpacks `pack` into the folder `target`, which is there.
    pub fn command(&self, pack: &Path, target: &Path) -> Command {
        let mut command = Command::new(&self.program);
        match self.kind {
            Kind::Unzip => command.arg("-q").arg(pack).arg("-d").arg(target),
            Kind::Bsdtar => command.arg("-xf").arg(pack).arg("-C").arg(target),
            Kind::SevenZip => {
                let mut output = std::ffi::OsString::from("-o");
                output.push(target);
                command.args(["x", "-y", "-bd", "-bso0"]).arg(output).arg(pack)
            }
            Kind::Ripunzip => command.args(["-q", "unzip-file", "-d"]).arg(target).arg(pack),
        };
        command
    }

    /// The command as people type it.
    pub fn shown(&self) -> &'static str {
        match self.kind {
            Kind::Unzip => "unzip -q PACK -d TARGET",
            Kind::Bsdtar => "bsdtar -xf PACK -C TARGET",
            Kind::SevenZip => "7z x -y -bd -bso0 -oTARGET PACK",
            Kind::Ripunzip => "ripunzip -q unzip-file -d TARGET PACK",
        }
    }
}

fn starts(program: &Path, argument: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(argument).output().is_ok()
}

/// `UnZip 6.00`, out of all that it says.
fn said_version(program: &Path, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output().map(|output| output.stdout).unwrap_or_default();
    up_to_number(&String::from_utf8_lossy(&output))
}

/// The words of a text up to the first that is a version.
fn up_to_number(text: &str) -> String {
    let is_version = |word: &str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    let words: Vec<&str> = text.split_whitespace().collect();
    let end = words.iter().position(|word| is_version(word)).map_or(0, |end| end + 1);
    words[..end].join(" ")
}

/// ripunzip in a folder below cargo's target folder.
#[allow(clippy::print_stderr)] // It takes minutes, and nobody should wonder.
fn built_ripunzip() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find the own executable")?;
    let target = own.ancestors().nth(2).context("the own executable is in no target folder")?;
    let tools = target.join("bench-tools");
    let program = tools.join("bin/ripunzip");
    if !program.exists() {
        eprintln!("building ripunzip, which takes some minutes");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["install", "--quiet", "--locked", "ripunzip", "--root"]).arg(&tools);
        child::run(command.arg("--target-dir").arg(tools.join("target")))?;
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        assert_eq!(up_to_number("UnZip 6.00 of 20 April 2009, by Debian."), "UnZip 6.00");
        assert_eq!(up_to_number("\n7-Zip (z) 26.02 (x64) : Copyright"), "7-Zip (z) 26.02");
        assert_eq!(up_to_number("nothing"), "");
    }
}
