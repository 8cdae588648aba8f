//! Paths as they are given, before anybody opens or makes them.

use std::path::{Path, PathBuf};

use clap::Arg;
use clap::builder::{PathBufValueParser, TypedValueParser, ValueParser};

use crate::request::Output;
use crate::source::IMAGE_PREFIX;

/// What a path can have before it where it is a value.
const PREFIXES: [&str; 3] = [IMAGE_PREFIX, "oci:", "file:"];

/// The argument, which takes no `~` for a folder if it takes a path.
pub(super) fn checked(arg: Arg) -> Arg {
    let takes_path = arg.get_value_parser().type_id() == ValueParser::path_buf().type_id();
    if takes_path { arg.value_parser(PathBufValueParser::new().try_map(path)) } else { arg }
}

/// Text that can be a path with something before it.
pub(super) fn place(text: &str) -> Result<String, String> {
    check(text).map(|()| text.to_owned())
}

/// Where the image goes.
pub(super) fn output(text: &str) -> Result<Output, String> {
    check(text)?;
    let output = text.parse()?;
    match &output {
        Output::Layout(folder) if has_tag(folder) => Err("expected oci:DIR: the tag is given by --tag".to_owned()),
        _ => Ok(output),
    }
}

/// Whether it is as other options take a layout and a tag in it, and no folder that is there.
fn has_tag(folder: &Path) -> bool {
    let shown = folder.to_string_lossy();
    shown.rsplit_once(':').is_some_and(|(_, tag)| !tag.contains('/')) && !folder.exists()
}

fn path(path: PathBuf) -> Result<PathBuf, String> {
    check(&path.to_string_lossy()).map(|()| path)
}

/// A shell leaves a `~` alone in quotes and after a colon, and a file or a variable has no shell. Nobody means a folder of that name.
fn check(text: &str) -> Result<(), String> {
    let path = PREFIXES.iter().fold(text, |path, prefix| path.strip_prefix(prefix).unwrap_or(path));
    if path == "~" || path.starts_with("~/") {
        return Err("~ is not your home here: write the folder out or use $HOME (a folder called ~ is ./~)".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_written_out() {
        for text in ["~", "~/x", "oci:~/x", "image:oci:~/x:1", "file:~/x"] {
            assert!(place(text).is_err() && path(text.into()).is_err(), "{text}");
        }
        for text in ["./~/x", "~x", "a~/b", "oci:./~", "x/~/y", "registry.example.org/a:1"] {
            assert!(place(text).is_ok() && path(text.into()).is_ok(), "{text}");
        }
    }
}
