//! What registries and token servers say, read with no network around: nobody knows who wrote it.

pub use crate::copy::{Parts, parts_of};
pub use crate::fetch::{Unfit, choose, index_in};
pub use crate::oci_layout::{Index, Manifest};
pub use crate::retry::retry_after;
pub use crate::tags::next_page;
pub use crate::token::{Challenge, TokenAnswer};
pub use crate::transport::message_in;
