//! Zips byte by byte, as no writer of zips makes them (APPNOTE.TXT 6.3).

/// An entry: what its header before the data says, and what the directory says, unless they are set apart.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: Vec<u8>,
    /// In the header before the data.
    pub local_name: Option<Vec<u8>>,
    pub data: Vec<u8>,
    /// Unpacked length in the header before the data and in the directory.
    pub size: u32,
    /// Only in the header before the data.
    pub local_size: Option<u32>,
    pub crc: u32,
    pub method: u16,
    pub flags: u16,
    /// File type and permissions.
    pub mode: u32,
    /// Where its data are said to be, in place of where they are: at those of the entry of this number.
    pub at_that_of: Option<usize>,
    /// Only in the directory, or only before the data.
    pub in_directory: bool,
    pub extra: Vec<u8>,
}

impl Entry {
    /// A file, stored.
    pub fn file(name: impl Into<Vec<u8>>, data: &[u8]) -> Self {
        Self {
            name: name.into(),
            local_name: None,
            data: data.to_vec(),
            size: u32::try_from(data.len()).expect("small"),
            local_size: None,
            crc: crc32(data),
            method: 0,
            flags: 0,
            mode: 0o100_644,
            at_that_of: None,
            in_directory: true,
            extra: Vec::new(),
        }
    }

    pub fn link(name: &str, target: &str) -> Self {
        Self { mode: 0o120_777, ..Self::file(name, target.as_bytes()) }
    }

    fn local(&self) -> Vec<u8> {
        let name = self.local_name.as_ref().unwrap_or(&self.name);
        let mut bytes = b"PK\x03\x04".to_vec();
        push16(&mut bytes, &[20, self.flags, self.method, 0, 0x21]);
        push32(&mut bytes, &[self.crc, length(&self.data), self.local_size.unwrap_or(self.size)]);
        push16(&mut bytes, &[short(name), 0]);
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&self.data);
        bytes
    }

    fn central(&self, at: u32) -> Vec<u8> {
        let mut bytes = b"PK\x01\x02".to_vec();
        push16(&mut bytes, &[0x031e, 20, self.flags, self.method, 0, 0x21]);
        push32(&mut bytes, &[self.crc, length(&self.data), self.size]);
        push16(&mut bytes, &[short(&self.name), short(&self.extra), 0, 0, 0]);
        push32(&mut bytes, &[self.mode << 16, at]);
        bytes.extend_from_slice(&self.name);
        bytes.extend_from_slice(&self.extra);
        bytes
    }
}

/// The zip of `entries`, which says that it has `count` of them.
pub fn zip_that_says(entries: &[Entry], count: u16, comment: &[u8]) -> Vec<u8> {
    let (mut bytes, mut places) = (Vec::new(), Vec::new());
    for entry in entries {
        let at = entry.at_that_of.map_or(length(&bytes), |other| places[other]);
        places.push(at);
        if entry.at_that_of.is_none() {
            bytes.extend(entry.local());
        }
    }
    let start = length(&bytes);
    for (entry, at) in entries.iter().zip(places).filter(|(entry, _)| entry.in_directory) {
        bytes.extend(entry.central(at));
    }
    let size = length(&bytes) - start;
    bytes.extend_from_slice(b"PK\x05\x06");
    push16(&mut bytes, &[0, 0, count, count]);
    push32(&mut bytes, &[size, start]);
    push16(&mut bytes, &[short(comment)]);
    bytes.extend_from_slice(comment);
    bytes
}

pub fn zip(entries: &[Entry]) -> Vec<u8> {
    let count = entries.iter().filter(|entry| entry.in_directory).count();
    zip_that_says(entries, u16::try_from(count).expect("few"), b"")
}

/// CRC-32 (ISO 3309), bit by bit.
pub fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

fn push16(bytes: &mut Vec<u8>, numbers: &[u16]) {
    numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
}

fn push32(bytes: &mut Vec<u8>, numbers: &[u32]) {
    numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("small")
}

fn short(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).expect("short")
}
