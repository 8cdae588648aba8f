//! A pack of an installation, for an image: what the vendor's would be at its level, with what its user has put there.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::journal::FOLDER;
use crate::credentials::Credentials;
use crate::installation::{Installation, PID_FILE};
use crate::leaks::Secrets;
use crate::pack::{CONFIG_JSON, LOGS, printable, safe_name, stays_inside};
use crate::scrub::{Private, scrub, tokens_in};
use crate::step::Problem;
use crate::tree::{Kind, Node, scan_all};

/// Of the server itself.
const SERVER_LOGS: &str = "repository/logs";

/// Writes a pack of `installation` at `level` into `folder`, which is private: without logs, with the update tool's records cleaned.
///
/// # Errors
/// Where a file cannot be read or written, or holds what nobody may have.
pub fn pack_of(
    installation: &Installation,
    level: u32,
    folder: &Path,
    credentials: &Credentials,
    cancel: &CancellationToken,
) -> Result<PathBuf, Problem> {
    let home = &installation.home;
    let path = folder.join(format!("{}.{level}.zip", installation.name()));
    let failed = |error: io::Error| {
        let what = format!("{} cannot be packed into {}", home.display(), path.display());
        Problem::new(what, "check permissions, and the disk of the workspace").because(error)
    };
    let tokens = tokens_in(&fs::read(home.join(CONFIG_JSON)).unwrap_or_default());
    let secrets = Secrets::new(credentials, &tokens);
    let tree = scan_all(home).map_err(failed)?;
    let mut zip = ZipWriter::new(File::create_new(&path).map_err(failed)?);
    let top = installation.name();
    for (inner, node) in tree.iter().filter(|(inner, node)| is_packed(inner, node)) {
        if cancel.is_cancelled() {
            return Err(Problem::new("stopped while the product was packed", "run the same command again"));
        }
        check_name(inner, node)?;
        check(home, inner, node, &secrets)?;
        add(&mut zip, home, (&top, inner), node, &private(installation, credentials)).map_err(failed)?;
    }
    zip.finish().map_err(|error| failed(error.into()))?;
    Ok(path)
}

fn is_packed(path: &str, node: &Node) -> bool {
    let is_in = |folder: &str| Path::new(path).starts_with(folder);
    let is_log = is_in(LOGS) || is_in(SERVER_LOGS) && node.kind != Kind::Directory;
    !is_log && !is_in(FOLDER) && path != PID_FILE && node.kind != Kind::Other
}

fn private(installation: &Installation, credentials: &Credentials) -> Private {
    use secrecy::ExposeSecret;
    let mut private = Private::default();
    private.add(credentials.username.as_str());
    private.add(credentials.password.expose_secret());
    private.add(installation.home.to_string_lossy());
    if let Some(home) = std::env::var_os("HOME").filter(|home| home != "/") {
        private.add(home.to_string_lossy());
    }
    private
}

/// What no pack has, no image of one can have.
fn check_name(path: &str, node: &Node) -> Result<(), Problem> {
    safe_name(path.as_bytes()).map_err(|reason| {
        Problem::new(
            format!("{} cannot be in an image: its name {reason}", printable(path)),
            "rename it, or move it away",
        )
    })?;
    match &node.kind {
        Kind::Symlink(target) if !stays_inside(path, target) => Err(Problem::new(
            format!("{} cannot be in an image: it leads out of the product, to {}", printable(path), printable(target)),
            "put what it leads to into its place, or mount that where the image runs",
        )),
        _ => Ok(()),
    }
}

/// Everybody who has the image could read it there.
fn check(home: &Path, path: &str, node: &Node, secrets: &Secrets) -> Result<(), Problem> {
    if node.kind != Kind::File || path == CONFIG_JSON {
        return Ok(());
    }
    let unreadable = |error| {
        Problem::new(format!("{} cannot be read", home.join(path).display()), "check its permissions").because(error)
    };
    let found = File::open(home.join(path)).and_then(|file| secrets.are_in(file)).map_err(unreadable)?;
    match found {
        false => Ok(()),
        true => Err(Problem::new(
            format!("{} holds the update tool's password, user name or a token", printable(path)),
            "remove it there: everybody who has the image could read it",
        )),
    }
}

fn add(
    zip: &mut ZipWriter<File>,
    home: &Path,
    (top, inner): (&str, &str),
    node: &Node,
    private: &Private,
) -> io::Result<()> {
    let path = home.join(inner);
    let name = format!("{top}/{inner}");
    let metadata = path.symlink_metadata()?;
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(time(&metadata))
        .large_file(metadata.len() > u64::from(u32::MAX) / 2)
        .unix_permissions(metadata.permissions().mode() & 0o777);
    match &node.kind {
        Kind::Directory => zip.add_directory(name, options)?,
        Kind::Symlink(target) => zip.add_symlink(name, target, options)?,
        Kind::File if inner == CONFIG_JSON => {
            let clean = scrub(&fs::read(&path)?, private).map_err(|problem| io::Error::other(problem.to_string()))?;
            zip.start_file(name, options)?;
            io::copy(&mut clean.as_slice(), zip)?;
        }
        Kind::File => {
            zip.start_file(name, options)?;
            io::copy(&mut File::open(&path)?, zip)?;
        }
        Kind::Other => {}
    }
    Ok(())
}

/// As zips have it, in UTC; what they cannot say is 1980.
fn time(metadata: &fs::Metadata) -> DateTime {
    let seconds = std::os::unix::fs::MetadataExt::mtime(metadata);
    let Ok(time) = jiff::Timestamp::from_second(seconds) else { return DateTime::default() };
    let time = time.to_zoned(TimeZone::UTC);
    let part = |number: i8| u8::try_from(number).unwrap_or_default();
    let year = u16::try_from(time.year()).unwrap_or_default();
    let made = DateTime::from_date_and_time(
        year,
        part(time.month()),
        part(time.day()),
        part(time.hour()),
        part(time.minute()),
        part(time.second()),
    );
    made.unwrap_or_default()
}
