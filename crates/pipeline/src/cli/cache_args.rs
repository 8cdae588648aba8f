//! What the command line says of the cache.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Args, Subcommand};

use super::args::size;
use crate::cache::default_folder;
use crate::request::CacheRequest;

/// The cache of unpacked packs.
#[derive(Debug, Args)]
pub struct CacheOptions {
    /// Where unpacked packs are kept, to be used again [default: $XDG_CACHE_HOME/hotfix, else ~/.cache/hotfix]
    #[arg(long, value_name = "DIR", help_heading = "Cache")]
    cache_dir: Option<PathBuf>,
    /// Bound on all of them; those not used for longest go first
    #[arg(long, value_name = "SIZE", default_value = "20GB", value_parser = size, help_heading = "Cache")]
    cache_size: ByteSize,
}

impl CacheOptions {
    /// The cache that is asked for; none where no folder for it is known.
    pub fn request(&self) -> Option<CacheRequest> {
        let folder = self.cache_dir.clone().or_else(default_folder)?;
        Some(CacheRequest { folder, is_wanted: self.cache_dir.is_some(), limit: self.cache_size.as_u64() })
    }
}

/// `hotfix cache`.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Show the unpacked packs
    List {
        /// The cache
        #[command(flatten)]
        cache: CacheDir,
    },
    /// Remove the unpacked packs that no run uses
    Prune {
        /// The cache
        #[command(flatten)]
        cache: CacheDir,
        /// Only as many as it takes to get below this size, those not used for longest first [default: all]
        #[arg(long, value_name = "SIZE", value_parser = size)]
        keep_size: Option<ByteSize>,
    },
}

/// Where the cache is.
#[derive(Debug, Args)]
pub struct CacheDir {
    /// Folder of the cache [default: $XDG_CACHE_HOME/hotfix, else ~/.cache/hotfix]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

impl CacheDir {
    /// The folder; none where there is neither a name for it nor a home.
    pub fn folder(&self) -> Option<PathBuf> {
        self.cache_dir.clone().or_else(default_folder)
    }
}
