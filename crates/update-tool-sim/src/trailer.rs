//! The behaviour at the end of an executable: JSON, its length (8 bytes, little-endian), and a magic of 8 bytes.
//! Executables are loaded by their headers, so bytes after their end do no harm.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::behaviour::ToolBehaviour;

const MAGIC: &[u8; 8] = b"SIMTOOL\x01";
const FOOTER: u64 = 16;

/// The executable without its trailer, if it has one, and with one for `behaviour`.
pub(crate) fn append(mut executable: Vec<u8>, behaviour: &ToolBehaviour) -> Vec<u8> {
    if let Some(start) = start_of_json(&executable) {
        executable.truncate(start);
    }
    let json = serde_json::to_vec(behaviour).expect("a behaviour has string keys only");
    executable.extend_from_slice(&json);
    executable.extend_from_slice(&(json.len() as u64).to_le_bytes());
    executable.extend_from_slice(MAGIC);
    executable
}

/// Changes how the tool `executable` behaves, as it is in an unpacked product.
///
/// # Panics
/// Where there is none, or it cannot be written.
pub fn change_behaviour(executable: &Path, change: impl FnOnce(&mut ToolBehaviour)) {
    let mut behaviour = read(executable).expect("a tool").unwrap_or_default();
    change(&mut behaviour);
    let bytes = append(std::fs::read(executable).expect("readable"), &behaviour);
    let permissions = std::fs::metadata(executable).expect("there").permissions();
    // Another file: the one that is there may still run.
    std::fs::remove_file(executable).expect("writable");
    std::fs::write(executable, bytes).expect("writable");
    std::fs::set_permissions(executable, permissions).expect("writable");
}

/// The behaviour that `executable` carries; `None` without a trailer.
pub(crate) fn read(executable: &Path) -> io::Result<Option<ToolBehaviour>> {
    let mut file = File::open(executable)?;
    let size = file.metadata()?.len();
    if size < FOOTER {
        return Ok(None);
    }
    let mut footer = [0; FOOTER as usize];
    file.seek(SeekFrom::Start(size - FOOTER))?;
    file.read_exact(&mut footer)?;
    let Some(length) = length_of_json(&footer).filter(|length| *length <= size - FOOTER) else {
        return Ok(None);
    };
    file.seek(SeekFrom::Start(size - FOOTER - length))?;
    let behaviour = serde_json::from_reader(file.take(length))?;
    Ok(Some(behaviour))
}

fn start_of_json(executable: &[u8]) -> Option<usize> {
    let end = executable.len().checked_sub(FOOTER as usize)?;
    let length = usize::try_from(length_of_json(&executable[end..])?).ok()?;
    end.checked_sub(length)
}

fn length_of_json(footer: &[u8]) -> Option<u64> {
    let (length, magic) = footer.split_at_checked(8)?;
    if magic != MAGIC {
        return None;
    }
    Some(u64::from_le_bytes(length.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_trailer_replaces_the_first() {
        let first = append(b"program".to_vec(), &ToolBehaviour::default());
        let louder = ToolBehaviour { loud: true, ..ToolBehaviour::default() };
        let second = append(first, &louder);
        assert_eq!(second, append(b"program".to_vec(), &louder));
        assert_eq!(start_of_json(&second), Some("program".len()));
    }

    #[test]
    fn no_trailer_is_not_an_error() {
        assert_eq!(start_of_json(b"program, longer than a footer"), None);
        assert_eq!(start_of_json(b""), None);
    }
}
