//! The life of a hotfix: which environment runs which hotfixes, and how they get from one to the next. There is no server and
//! no database: an environment is a tag in a registry, what an image holds is in its labels, and what labels cannot say is in a
//! [ledger]. Knows nothing of packs and engines.

pub mod compare;
pub mod error;
pub mod facts;
pub mod gates;
mod graft;
mod holding;
pub mod hotfix_id;
mod html;
pub mod images;
pub mod labels;
pub mod ledger;
pub mod memory;
mod moving;
pub mod printable;
pub mod promote;
pub mod propagate;
mod repository;
pub mod rollback;
pub mod settings;
pub mod show;
pub mod status;
pub mod world;

pub use error::{Error, Result};
