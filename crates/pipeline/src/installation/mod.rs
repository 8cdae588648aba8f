//! A product that is unpacked on a machine, and may be a server there: with data of its user's own, kept by hand until now when
//! it moves from hotfixes to an update level.

pub mod archive;
pub mod backup;
mod collect;
mod databases;
pub mod folders;
pub mod manifest;
mod put_back;
pub mod restore;
mod server;
pub mod state;

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use hotfix_docker::files;
use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::pack::{CONFIG_JSON, PRODUCT_TXT, Product, Records, printable, split_product};
use crate::scrub::read_records;
use crate::step::{Kind, Problem};

pub use server::{PID_FILE, Server};

/// How long others may still be at work.
const PATIENCE: Duration = Duration::from_secs(3);

/// An unpacked product.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Its folder, absolute.
    pub home: PathBuf,
    /// `wso2am`.
    pub product: String,
    /// `4.1.0`.
    pub version: String,
}

/// Where an installation stands, by the update tool's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// None where the tool never ran; 0 where no update was ever taken.
    pub update_level: Option<u32>,
    /// How many hotfixes are applied.
    pub hotfixes: usize,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.update_level {
            Some(level) => write!(f, "level {level}")?,
            None => f.write_str("an unknown level")?,
        }
        write!(f, " with {} hotfixes", self.hotfixes)
    }
}

impl Installation {
    /// The product in the folder `home`.
    ///
    /// # Errors
    /// Where it is no folder, or holds no product.
    pub fn open(home: &Path) -> Result<Self, Problem> {
        let shown = home.display();
        let hint = "give the folder of the unpacked product, with bin, repository and updates in it";
        let metadata =
            fs::metadata(home).map_err(|error| Problem::new(format!("there is no {shown}"), hint).because(error))?;
        if !metadata.is_dir() {
            return Err(Problem::new(format!("{shown} is no folder"), hint));
        }
        let text = files::read_text(&home.join(PRODUCT_TXT)).map_err(|error| {
            Problem::new(format!("{shown} holds no product: {PRODUCT_TXT} in it cannot be read"), hint).because(error)
        })?;
        let Some((product, version)) = split_product(text.trim()) else {
            let said = printable(text.trim());
            return Err(Problem::new(
                format!("{shown} holds no product: its {PRODUCT_TXT} says '{said}'"),
                format!("{PRODUCT_TXT} must say <product>-<version>, or the update tool cannot identify the product"),
            ));
        };
        let home =
            home.canonicalize().map_err(|error| Problem::new(format!("{shown} is lost"), hint).because(error))?;
        Ok(Self { product: product.to_owned(), version: version.to_owned(), home })
    }

    /// Where it stands now.
    ///
    /// # Errors
    /// Where the update tool's records cannot be read.
    pub fn standing(&self) -> Result<Standing, Problem> {
        let path = self.home.join(CONFIG_JSON);
        let hint = "restore it from a backup, or ask the vendor: the update tool needs it too";
        let unreadable = || Problem::new(format!("{} cannot be read", path.display()), hint);
        // Of a server it can be elsewhere.
        let config = match path.canonicalize().and_then(|path| read_records(&path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Standing { update_level: None, hotfixes: 0 });
            }
            config => config.map_err(|error| unreadable().because(error))?,
        };
        let records = Records::read(&config).map_err(|error| unreadable().because(error))?;
        Ok(Standing { update_level: Some(records.update_level.unwrap_or(0)), hotfixes: records.hotfixes })
    }

    /// As what it is now; none where its level is not known.
    pub fn as_it_stands(&self) -> Option<Product> {
        let update_level = self.standing().ok()?.update_level?;
        Some(Product { name: self.product.clone(), version: self.version.clone(), update_level })
    }

    /// `wso2am-4.1.0`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.product, self.version)
    }

    /// Keeps others from working on it, as long as what is returned is not dropped, nor a process has ended that was started
    /// meanwhile: where we are killed, the update tool goes on for a moment.
    ///
    /// # Errors
    /// Where somebody does, and goes on with it.
    pub fn lock(&self) -> Result<File, Problem> {
        let home = self.home.display();
        let failed =
            |error: io::Error| Problem::new(format!("{home} cannot be locked"), "check its permissions").because(error);
        let folder = File::open(&self.home).map_err(failed)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match folder.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(PATIENCE / 50),
                Err(TryLockError::WouldBlock) => {
                    return Err(Problem::new(
                        format!("another hotfix, or an update tool that one has started, is at work on {home}"),
                        "wait until it has ended, and look with 'hotfix state'",
                    ));
                }
                // Not every file system of a network can.
                Err(TryLockError::Error(error)) => {
                    warn!("{home} cannot be locked ({error}): see to it that nobody else works on it");
                    break;
                }
            }
        }
        fcntl_setfd(&folder, FdFlags::empty()).map_err(|error| failed(error.into()))?;
        Ok(folder)
    }

    /// The server that runs from it.
    ///
    /// # Errors
    /// Where that cannot be told.
    pub fn server(&self) -> Result<Option<Server>, Problem> {
        Server::of(&self.home)
    }

    /// Sees to it that no server runs from it.
    ///
    /// # Errors
    /// Where one does.
    pub fn must_be_stopped(&self) -> Result<(), Problem> {
        match self.server()? {
            None => Ok(()),
            Some(Server { pid }) => Err(Problem::new(
                format!("a server runs from {}: process {pid}, by its wso2carbon.pid", self.home.display()),
                format!("stop it first; if process {pid} is something else, remove wso2carbon.pid"),
            )
            .of_kind(Kind::Unfit)),
        }
    }

    /// Whether it manages identities: such products keep none of the artifacts of others.
    pub(crate) fn is_identity_product(&self) -> bool {
        self.product == "wso2is" || self.product.starts_with("wso2is-")
    }

    /// Whether it is Micro Integrator, which knows no tenants.
    pub(crate) fn is_micro_integrator(&self) -> bool {
        self.product == "wso2mi" || self.product.starts_with("wso2mi-")
    }
}
