//! Tables of a machine, whole and damaged.

use firmware::madt::{IoApic, Override, Topology};
use firmware::mcfg::ConfigWindow;
use firmware::pvh::{RegionKind, StartInfo};
use firmware::{Error, PhysicalMemory};
use proptest::prelude::*;

/// Memory that begins at an address.
#[derive(Clone)]
struct Memory {
    base: u64,
    bytes: Vec<u8>,
}

impl PhysicalMemory for Memory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let out = Error::OutOfRange { address, length: buffer.len() };
        let start = usize::try_from(address.checked_sub(self.base).ok_or(out)?).map_err(|_| out)?;
        let end = start.checked_add(buffer.len()).ok_or(out)?;
        buffer.copy_from_slice(self.bytes.get(start..end).ok_or(out)?);
        Ok(())
    }
}

const BASE: u64 = 0x1000;
const START_INFO: usize = 0;
const MODULES: usize = 64;
const MAP: usize = 128;
const RSDP: usize = 512;
const ROOT: usize = 640;
const OTHER: usize = 768;
const MADT: usize = 896;

fn at(offset: usize) -> u64 {
    BASE + offset as u64
}

impl Memory {
    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Makes the bytes of a table add up to 0.
    fn sum(&mut self, offset: usize, length: usize, checksum: usize) {
        self.bytes[offset + checksum] = 0;
        let sum = self.bytes[offset..offset + length].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        self.bytes[offset + checksum] = sum.wrapping_neg();
    }

    fn table(&mut self, offset: usize, signature: &[u8; 4], body: &[u8]) {
        self.put(offset, signature);
        self.put(offset + 4, &(36 + body.len() as u32).to_le_bytes());
        self.put(offset + 36, body);
        self.sum(offset, 36 + body.len(), 9);
    }
}

fn madt_body(entries: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::from(0xfee0_0000_u32.to_le_bytes());
    body.extend(1_u32.to_le_bytes());
    entries.iter().for_each(|entry| body.extend(*entry));
    body
}

/// A machine with two usable processors of three, one I/O APIC and one override. `wide`: with an XSDT.
fn machine(wide: bool) -> Memory {
    let mut memory = Memory { base: BASE, bytes: vec![0; 2048] };
    memory.put(START_INFO, &0x336e_c578_u32.to_le_bytes());
    memory.put(START_INFO + 4, &1_u32.to_le_bytes());
    memory.put(START_INFO + 12, &1_u32.to_le_bytes());
    memory.put(START_INFO + 16, &at(MODULES).to_le_bytes());
    memory.put(START_INFO + 32, &at(RSDP).to_le_bytes());
    memory.put(START_INFO + 40, &at(MAP).to_le_bytes());
    memory.put(START_INFO + 48, &4_u32.to_le_bytes());
    memory.put(MODULES, &0x7000_0000_u64.to_le_bytes());
    memory.put(MODULES + 8, &0x1234_u64.to_le_bytes());
    for (index, (start, length, kind)) in
        [(0, 0x9fc00, 1), (0x10_0000, 0x100_0000, 1), (0x5000, 0, 1), (0x110_0000, 0x1000, 3_u32)]
            .into_iter()
            .enumerate()
    {
        memory.put(MAP + index * 24, &u64::to_le_bytes(start));
        memory.put(MAP + index * 24 + 8, &u64::to_le_bytes(length));
        memory.put(MAP + index * 24 + 16, &kind.to_le_bytes());
    }
    memory.put(RSDP, b"RSD PTR ");
    if wide {
        memory.put(RSDP + 15, &[2]);
        memory.put(RSDP + 20, &36_u32.to_le_bytes());
        memory.put(RSDP + 24, &at(ROOT).to_le_bytes());
        memory.table(ROOT, b"XSDT", &[at(OTHER).to_le_bytes(), at(MADT).to_le_bytes()].concat());
        memory.sum(RSDP, 20, 8);
        memory.sum(RSDP, 36, 32);
    } else {
        memory.put(RSDP + 16, &(at(ROOT) as u32).to_le_bytes());
        let pointers = [(at(OTHER) as u32).to_le_bytes(), (at(MADT) as u32).to_le_bytes()].concat();
        memory.table(ROOT, b"RSDT", &pointers);
        memory.sum(RSDP, 20, 8);
    }
    memory.table(OTHER, b"FACP", &[7; 20]);
    let body = madt_body(&[
        &[0, 8, 0, 0, 1, 0, 0, 0],
        &[0, 8, 1, 1, 0, 0, 0, 0],
        &[0, 8, 2, 5, 1, 0, 0, 0],
        &[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
        &[2, 10, 0, 9, 20, 0, 0, 0, 0xf, 0],
        &[4, 6, 0xff, 0, 0, 1],
    ]);
    memory.table(MADT, b"APIC", &body);
    memory
}

#[test]
fn the_start_information_is_read() {
    let info = StartInfo::read(&machine(true), at(START_INFO)).expect("valid");
    assert_eq!(info.module, Some(0x7000_0000..0x7000_1234));
    assert_eq!(info.rsdp, at(RSDP));
    // The empty region is left out.
    let regions: Vec<_> =
        info.regions.iter().map(|region| (region.start, region.end(), region.kind)).collect();
    assert_eq!(
        regions,
        [
            (0, 0x9fc00, RegionKind::Usable),
            (0x10_0000, 0x110_0000, RegionKind::Usable),
            (0x110_0000, 0x110_1000, RegionKind::Acpi),
        ]
    );
}

#[test]
fn both_kinds_of_root_table_lead_to_the_same_topology() {
    for wide in [false, true] {
        let topology = Topology::read(&machine(wide), at(RSDP)).expect("valid");
        assert_eq!(topology.local_apic, 0xfee0_0000);
        assert_eq!(topology.processors, [0, 5]);
        assert_eq!(topology.io_apics, [IoApic { address: 0xfec0_0000, first: 0 }]);
        assert_eq!(topology.overrides, [Override { isa: 9, interrupt: 20, active_low: true, level: true }]);
    }
}

#[test]
fn a_64_bit_address_of_the_local_apics_overrides() {
    let mut memory = machine(true);
    let entry = [&[5, 12, 0, 0][..], &0x1_fee0_0000_u64.to_le_bytes()].concat();
    memory.table(MADT, b"APIC", &madt_body(&[&[0, 8, 0, 0, 1, 0, 0, 0], &entry]));
    assert_eq!(Topology::read(&memory, at(RSDP)).expect("valid").local_apic, 0x1_fee0_0000);
}

#[test]
fn processors_beyond_the_limit_are_left_alone() {
    let mut memory = machine(true);
    let entries: Vec<[u8; 8]> = (0..20).map(|id| [0, 8, id, id, 1, 0, 0, 0]).collect();
    let entries: Vec<&[u8]> = entries.iter().map(|entry| &entry[..]).collect();
    memory.table(MADT, b"APIC", &madt_body(&entries));
    assert_eq!(Topology::read(&memory, at(RSDP)).expect("valid").processors.len(), 16);
}

#[test]
fn what_is_missing_or_impossible_has_its_own_error() {
    let good = machine(true);
    assert_eq!(Topology::read(&good, 0), Err(Error::Missing { what: "ACPI root pointer" }));
    assert_eq!(StartInfo::read(&good, at(MAP)), Err(Error::BadMagic { address: at(MAP) }));
    assert_eq!(StartInfo::read(&good, u64::MAX), Err(Error::OutOfRange { address: u64::MAX, length: 56 }));

    let mut memory = good.clone();
    memory.put(START_INFO + 48, &u32::MAX.to_le_bytes());
    assert_eq!(StartInfo::read(&memory, at(START_INFO)), Err(Error::TooMany { what: "regions of memory" }));

    let mut memory = good.clone();
    memory.put(MAP + 8, &u64::MAX.to_le_bytes());
    memory.put(MAP, &1_u64.to_le_bytes());
    assert_eq!(StartInfo::read(&memory, at(START_INFO)), Err(Error::BadLength { address: at(MAP) }));

    let mut memory = good.clone();
    memory.bytes[MADT + 40] ^= 1;
    assert_eq!(Topology::read(&memory, at(RSDP)), Err(Error::BadChecksum { address: at(MADT) }));

    let mut memory = good.clone();
    memory.put(MADT, b"CIPA");
    assert_eq!(Topology::read(&memory, at(RSDP)), Err(Error::Missing { what: "ACPI table" }));

    for length in [0, 1, 200] {
        let mut memory = good.clone();
        memory.table(MADT, b"APIC", &madt_body(&[&[0, length, 0, 0, 1, 0, 0, 0]]));
        assert_eq!(
            Topology::read(&memory, at(RSDP)),
            Err(Error::BadLength { address: at(MADT) }),
            "{length}"
        );
    }

    let mut memory = good.clone();
    memory.table(MADT, b"APIC", &madt_body(&[]));
    assert_eq!(Topology::read(&memory, at(RSDP)), Err(Error::Missing { what: "processor" }));
}

/// An entry that says it is shorter than its kind is refused, not read into the next one.
/// A machine whose second table is an MCFG with these entries: address, segment, first and last bus.
fn with_config(entries: &[(u64, u16, u8, u8)]) -> Memory {
    let mut memory = machine(true);
    let mut body = vec![0; 8];
    for &(address, segment, first, last) in entries {
        body.extend(address.to_le_bytes());
        body.extend(segment.to_le_bytes());
        body.extend([first, last, 0, 0, 0, 0]);
    }
    memory.table(OTHER, b"MCFG", &body);
    memory
}

#[test]
fn configuration_space_is_where_the_table_says() {
    let read = |entries: &[_]| ConfigWindow::read(&with_config(entries), at(RSDP));
    let window = ConfigWindow { address: 0xb000_0000, first: 0, last: 255 };
    assert_eq!(read(&[(0xb000_0000, 0, 0, 255)]), Ok(window));
    // Other segments, and parts without bus 0, are not what is looked for.
    assert_eq!(
        read(&[(0xa000_0000, 1, 0, 255), (0xc000_0000, 0, 8, 9), (0xb000_0000, 0, 0, 255)]),
        Ok(window)
    );
    let missing = Error::Missing { what: "configuration space of PCI bus 0" };
    assert_eq!(read(&[]), Err(missing));
    assert_eq!(read(&[(0xb000_0000, 1, 0, 255)]), Err(missing));
    for address in [0, 0xb000_1000, u64::MAX << 20, 1 << 52] {
        assert_eq!(read(&[(address, 0, 0, 255)]), Err(Error::OutOfRange { address, length: 1 << 20 }));
    }
    assert_eq!(ConfigWindow::read(&machine(true), at(RSDP)), Err(Error::Missing { what: "ACPI table" }));
}

#[test]
fn short_entries_are_refused() {
    for (kind, length) in [(0, 7), (1, 11), (2, 9), (5, 11)] {
        let mut memory = machine(true);
        let mut entry = vec![0_u8; length];
        (entry[0], entry[1]) = (kind, length as u8);
        memory.table(MADT, b"APIC", &madt_body(&[&entry, &[0, 8, 0, 0, 1, 0, 0, 0]]));
        let place = at(MADT) + 44;
        assert_eq!(
            Topology::read(&memory, at(RSDP)),
            Err(Error::BadLength { address: place }),
            "kind {kind}"
        );
    }
}

proptest! {
    /// Nothing in memory makes the readers panic or go on for ever.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..512), address in any::<u64>()) {
        let memory = Memory { base: BASE, bytes };
        for address in [BASE, address] {
            let _ = StartInfo::read(&memory, address);
            let _ = Topology::read(&memory, address);
        }
    }

    /// The same for tables that are nearly right, with their checksums made right again.
    #[test]
    fn damaged_tables_are_survived(
        wide in any::<bool>(),
        damage in prop::collection::vec((0..1024_usize, any::<u8>()), 1..6),
    ) {
        let mut memory = machine(wide);
        for (place, value) in damage {
            memory.bytes[place] = value;
        }
        for table in [ROOT, OTHER, MADT] {
            let mut length = [0; 4];
            length.copy_from_slice(&memory.bytes[table + 4..table + 8]);
            let length = u32::from_le_bytes(length) as usize;
            if table + length <= memory.bytes.len() && length > 9 {
                memory.sum(table, length, 9);
            }
        }
        memory.sum(RSDP, 20, 8);
        memory.sum(RSDP, 36, 32);
        if let Ok(info) = StartInfo::read(&memory, at(START_INFO)) {
            prop_assert!(info.regions.iter().all(|region| region.length > 0 && region.start <= region.end()));
        }
        if let Ok(topology) = Topology::read(&memory, at(RSDP)) {
            prop_assert!(!topology.processors.is_empty());
        }
    }
}
