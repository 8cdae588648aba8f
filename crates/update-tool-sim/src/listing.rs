//! The shape of two real packs: every path and every size, without the contents.

use std::str::FromStr;

/// A real pack whose shape is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// `wso2am-4.1.0`: 4786 files, 624 MB.
    Wso2am410,
    /// `wso2is-7.1.0`: 8483 files, 602 MB.
    Wso2is710,
}

/// A file of a [`Listing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListingEntry {
    /// Size in bytes.
    pub size: u64,
    /// Path within the product, without the top folder.
    pub path: &'static str,
}

impl Listing {
    /// The name of the product.
    #[must_use]
    pub fn product(self) -> &'static str {
        match self {
            Self::Wso2am410 => "wso2am",
            Self::Wso2is710 => "wso2is",
        }
    }

    /// The version of the product.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::Wso2am410 => "4.1.0",
            Self::Wso2is710 => "7.1.0",
        }
    }

    /// Every file, in the order of the listing.
    pub fn entries(self) -> impl Iterator<Item = ListingEntry> {
        let text = match self {
            Self::Wso2am410 => include_str!("../listings/wso2am-4.1.0.tsv"),
            Self::Wso2is710 => include_str!("../listings/wso2is-7.1.0.tsv"),
        };
        text.lines().map(|line| parse(line).unwrap_or_else(|| panic!("a line of a listing is not understood: {line}")))
    }
}

/// Size, tab, path that begins with the top folder.
fn parse(line: &'static str) -> Option<ListingEntry> {
    let (size, path) = line.split_once('\t')?;
    let (_top, path) = path.split_once('/')?;
    Some(ListingEntry { size: u64::from_str(size).ok()?, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_have_the_right_number_of_files_and_bytes() {
        for (listing, files, bytes) in
            [(Listing::Wso2am410, 4786, 623_582_728), (Listing::Wso2is710, 8483, 602_180_542)]
        {
            assert_eq!(listing.entries().count(), files);
            assert_eq!(listing.entries().map(|entry| entry.size).sum::<u64>(), bytes);
        }
    }
}
