//! What is read from a stream.

/// Something that happened to a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// To which.
    pub pid: u32,
    /// What: bits of [`note`](crate::note).
    pub what: u32,
    /// With [`CHILD`](crate::note::CHILD) alone, the parent; with [`EXIT`](crate::note::EXIT), the wait status.
    pub data: i64,
}

impl Record {
    /// Bytes of a record.
    pub const SIZE: usize = 16;

    /// As bytes.
    pub fn to_bytes(self) -> [u8; Record::SIZE] {
        let mut bytes = [0; Record::SIZE];
        bytes[..4].copy_from_slice(&self.pid.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.what.to_le_bytes());
        bytes[8..].copy_from_slice(&self.data.to_le_bytes());
        bytes
    }

    /// From bytes; every record's length of bytes is one.
    pub fn from_bytes(bytes: &[u8; Record::SIZE]) -> Record {
        let [a, b, c, d, e, f, g, h, data @ ..] = *bytes;
        Record {
            pid: u32::from_le_bytes([a, b, c, d]),
            what: u32::from_le_bytes([e, f, g, h]),
            data: i64::from_le_bytes(data),
        }
    }

    /// Those of a read; what is left over at the end is none.
    pub fn all(bytes: &[u8]) -> impl Iterator<Item = Record> + '_ {
        bytes.as_chunks().0.iter().map(Record::from_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_come_back(records in prop::collection::vec((any::<u32>(), any::<u32>(), any::<i64>()), 0..9), rest in 0usize..16) {
            let records: Vec<Record> = records.into_iter().map(|(pid, what, data)| Record { pid, what, data }).collect();
            let mut bytes: Vec<u8> = records.iter().flat_map(|record| record.to_bytes()).collect();
            bytes.extend(std::iter::repeat_n(7, rest));
            prop_assert_eq!(Record::all(&bytes).collect::<Vec<_>>(), records);
        }
    }
}
