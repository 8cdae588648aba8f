//! The seeds, and changes to them.

use std::fs;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target)
}

/// The seeds of a target, by name.
pub fn seeds_of(target: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder(target)).expect("there are seeds");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a seed").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a seed")).collect()
}

/// One of them.
pub fn seed(target: &str, name: &str) -> Vec<u8> {
    fs::read(folder(target).join(name)).expect("a seed")
}

#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, Index),
    Cut(Index),
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        let bytes = prop_oneof![vec(any::<u8>(), 1..4), "[a-z0-9/.:@\"{},=-]{1,4}".prop_map(String::into_bytes)];
        prop_oneof![
            8 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Self::Set(at, byte)),
            4 => (any::<Index>(), bytes).prop_map(|(at, bytes)| Self::Insert(at, bytes)),
            3 => (any::<Index>(), 1..9_usize).prop_map(|(at, length)| Self::Remove(at, length)),
            2 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Self::Repeat(from, to)),
            1 => any::<Index>().prop_map(Self::Cut),
        ]
    }

    fn make(&self, bytes: &mut Vec<u8>) {
        let place = |at: &Index| at.index(bytes.len() + 1);
        match self {
            Self::Set(at, byte) => {
                let at = place(at);
                if let Some(old) = bytes.get_mut(at) {
                    *old = *byte;
                }
            }
            Self::Insert(at, more) => {
                let at = place(at);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Remove(at, length) => {
                let at = place(at);
                bytes.drain(at..bytes.len().min(at + length));
            }
            Self::Repeat(from, to) => {
                let (from, to) = (place(from), place(to));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(to..to, part);
            }
            Self::Cut(at) => bytes.truncate(place(at)),
        }
    }
}

/// A seed of the target with a few changes.
pub fn mutated(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    (proptest::sample::select(seeds_of(target)), vec(Change::any(), 1..5)).prop_map(|(mut bytes, changes)| {
        changes.iter().for_each(|change| change.make(&mut bytes));
        bytes
    })
}
