//! A pack of an installation, for an image: what the vendor's would be at its level, with what its user has put there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::journal::FOLDER;
use crate::credentials::Credentials;
use crate::host::UPDATE_TOOLS;
use crate::installation::{Installation, PID_FILE};
use crate::leaks::Secrets;
use crate::pack::{CONFIG_JSON, LOGS, PRODUCT_TXT, leads_out, printable, safe_name};
use crate::scrub::{Private, read_records, scrub, tokens_in};
use crate::step::Problem;
use crate::tree::{BIN, Kind, Node, Tree, scan_all};
use crate::update_tool::SETUP_SCRIPT;

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
    let path = pack_path(installation, level, folder);
    let failed = |error: io::Error| unpackable(installation, folder, error);
    let mut zip = ZipWriter::new(File::create_new(&path).map_err(failed)?);
    let (top, private) = (installation.name(), private(installation, credentials));
    each(installation, credentials, cancel, |inner, node| {
        add(&mut zip, home, (&top, inner), node, &private).map_err(failed)
    })?;
    zip.finish().map_err(|error| failed(error.into()))?;
    Ok(path)
}

/// Whether everything in `installation` can be in an image.
///
/// # Errors
/// As [`pack_of`]: whatever could not be packed.
pub fn check_packable(
    installation: &Installation,
    credentials: &Credentials,
    cancel: &CancellationToken,
) -> Result<(), Problem> {
    each(installation, credentials, cancel, |inner, node| {
        if node.kind == Kind::Other {
            warn!("{} is no file, folder or link, and is in no image", printable(inner));
        }
        Ok(())
    })
}

/// Writes a pack with just what a plan looks at: which product at which level, and the update tool.
///
/// # Errors
/// Where a file cannot be read or written.
pub fn outline_of(installation: &Installation, level: u32, folder: &Path) -> Result<PathBuf, Problem> {
    let path = pack_path(installation, level, folder);
    let written = || -> io::Result<()> {
        let mut zip = ZipWriter::new(File::create_new(&path)?);
        let top = installation.name();
        let mut put = |inner: &str, content: &[u8]| {
            zip.start_file(format!("{top}/{inner}"), SimpleFileOptions::default().unix_permissions(0o755))?;
            zip.write_all(content)
        };
        put(PRODUCT_TXT, top.as_bytes())?;
        put(CONFIG_JSON, serde_json::json!({ "update-level": level.to_string() }).to_string().as_bytes())?;
        for name in UPDATE_TOOLS.into_iter().chain([SETUP_SCRIPT]) {
            let inner = format!("{BIN}/{name}");
            // That it is there is enough.
            if installation.home.join(&inner).is_file() {
                put(&inner, b"")?;
            }
        }
        zip.finish()?;
        Ok(())
    };
    written().map_err(|error| unpackable(installation, folder, error))?;
    Ok(path)
}

fn pack_path(installation: &Installation, level: u32, folder: &Path) -> PathBuf {
    folder.join(format!("{}.{level}.zip", installation.name()))
}

fn unpackable(installation: &Installation, folder: &Path, error: io::Error) -> Problem {
    let what = format!("{} cannot be packed into {}", installation.home.display(), folder.display());
    Problem::new(what, "check permissions, and the disk of the workspace").because(error)
}

/// Hands everything that goes into an image to `take`, once it was looked at.
fn each(
    installation: &Installation,
    credentials: &Credentials,
    cancel: &CancellationToken,
    mut take: impl FnMut(&str, &Node) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let home = &installation.home;
    let tokens = tokens_in(&read_records(&home.join(CONFIG_JSON)).unwrap_or_default());
    let secrets = Secrets::new(credentials, &tokens);
    let tree = scan_all(home).map_err(|error| {
        let what = format!("{} cannot be in an image", home.display());
        Problem::new(what, "check its permissions; rename what has a name that is not UTF-8").because(error)
    })?;
    for (inner, node) in tree.iter().filter(|(inner, _)| is_packed(inner)) {
        if cancel.is_cancelled() {
            return Err(Problem::new("stopped while the product was read for an image", "run the same command again"));
        }
        check_name(inner, node, &tree)?;
        check(home, inner, node, &secrets)?;
        take(inner, node)?;
    }
    Ok(())
}

fn is_packed(path: &str) -> bool {
    let is_in = |folder: &str| Path::new(path).starts_with(folder);
    let is_log = is_in(LOGS) || is_in(SERVER_LOGS) && path != SERVER_LOGS;
    !is_log && !is_in(FOLDER) && path != PID_FILE
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
fn check_name(path: &str, node: &Node, tree: &Tree) -> Result<(), Problem> {
    safe_name(path.as_bytes()).map_err(|reason| {
        Problem::new(
            format!("{} cannot be in an image: its name {reason}", printable(path)),
            "rename it, or move it away",
        )
    })?;
    let link_at = |path: &str| match &tree.get(path)?.kind {
        Kind::Symlink(target) => Some(target.as_str()),
        _ => None,
    };
    match &node.kind {
        Kind::Symlink(target) if leads_out(path, target, link_at) => Err(Problem::new(
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
            let clean =
                scrub(&read_records(&path)?, private).map_err(|problem| io::Error::other(problem.to_string()))?;
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
