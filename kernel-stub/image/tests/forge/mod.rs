//! Makes ELF files, right and wrong ones.

/// `PT_LOAD`.
pub const LOAD: u32 = 1;
/// `PF_R | PF_W`.
pub const RW: u32 = 6;
/// `PF_R | PF_X`.
pub const RX: u32 = 5;

/// A program header.
#[derive(Clone, Copy, Default)]
pub struct Header {
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub address: u64,
    pub length: u64,
    pub size: u64,
    pub alignment: u64,
}

/// A file to be.
#[derive(Clone)]
pub struct Forge {
    pub ident: [u8; 16],
    pub kind: u16,
    pub machine: u16,
    pub entry: u64,
    pub offset: u64,
    pub header_size: u16,
    pub count: Option<u16>,
    pub headers: Vec<Header>,
}

impl Forge {
    /// A right one: constants, code, data with zeros after it, and a header of no interest.
    pub fn program() -> Forge {
        let segment = |flags, offset, address, length, size| Header {
            kind: LOAD,
            flags,
            offset,
            address,
            length,
            size,
            alignment: 4096,
        };
        Forge {
            ident: *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0",
            kind: 2,
            machine: 62,
            entry: 0x20_1010,
            offset: 64,
            header_size: 56,
            count: None,
            headers: vec![
                segment(4, 0, 0x20_0000, 0x200, 0x200),
                segment(RX, 0x1010, 0x20_1010, 0x100, 0x100),
                segment(RW, 0x2fe0, 0x20_3fe0, 0x20, 0x3000),
                Header { kind: 4, ..Header::default() },
            ],
        }
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.ident);
        bytes.extend_from_slice(&self.kind.to_le_bytes());
        bytes.extend_from_slice(&self.machine.to_le_bytes());
        bytes.extend_from_slice(&1u32.to_le_bytes());
        bytes.extend_from_slice(&self.entry.to_le_bytes());
        bytes.extend_from_slice(&self.offset.to_le_bytes());
        bytes.extend_from_slice(&0u64.to_le_bytes());
        bytes.extend_from_slice(&0u32.to_le_bytes());
        let count = self.count.unwrap_or(self.headers.len() as u16);
        for half in [64, self.header_size, count, 0, 0, 0] {
            bytes.extend_from_slice(&half.to_le_bytes());
        }
        for header in &self.headers {
            bytes.extend_from_slice(&header.kind.to_le_bytes());
            bytes.extend_from_slice(&header.flags.to_le_bytes());
            for word in [header.offset, header.address, 0, header.length, header.size, header.alignment] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        while bytes.len() < 0x3000 {
            bytes.push(bytes.len() as u8);
        }
        bytes
    }
}
