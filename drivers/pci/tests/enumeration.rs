//! What is found on a bus: functions that make sense, and those that do not.

mod space;

use pci::bar::{Bar, decode};
use pci::config::ConfigSpace;
use pci::enumeration::{Device, Found, Kind, MOST, enumerate};
use pci::fault::Fault;
use pci::routing;
use pci_protocol::Address;
use proptest::collection::vec;
use proptest::prelude::*;
use space::{Function, Space};

fn host() -> Function {
    Function::new(0x8086, 0x29c0, 0x060000)
}

fn at(bus: u8, device: u8) -> Address {
    Address::new(bus, device, 0)
}

/// The machine of the guest tests: a host bridge, a port with a source, and a chip of several functions.
fn machine() -> Space {
    let mut chip = Function::new(0x8086, 0x2918, 0x060100);
    chip.bytes[0x0e] = 0x80;
    let mut ports = Function::new(0x8086, 0x2922, 0x010601);
    ports.set(0x20, 0xc041);
    ports.writable[0x20] = 0xe0;
    ports.writable[0x21] = 0xff;
    ports.bytes[0x3d] = 1;
    Space::default()
        .with(at(0, 0), host())
        .with(at(0, 1), Function::bridge(3))
        .with(at(3, 0), Function::source(0xfe80_0000))
        .with(Address::new(0, 31, 0), chip)
        .with(Address::new(0, 31, 2), ports)
}

fn device(found: &[Found], address: Address) -> Device {
    match found.iter().find(|found| found.address == address).expect("it is there").kind {
        Ok(Kind::Device(device)) => device,
        other => panic!("{other:?}"),
    }
}

fn fault(function: Function) -> Option<Fault> {
    let mut space = Space::default().with(at(0, 2), function);
    enumerate(&mut space, 0)[0].kind.err()
}

#[test]
fn every_function_is_found_with_what_it_has() {
    let mut space = machine();
    let before = space.clone();
    let found = enumerate(&mut space, 255);
    let addresses: Vec<String> = found.iter().map(|found| found.address.to_string()).collect();
    assert_eq!(addresses, ["00:00.0", "00:01.0", "00:1f.0", "00:1f.2", "03:00.0"]);
    assert_eq!([0, 1, 2].map(|at| found[at].kind), [Ok(Kind::Bridge); 3]);
    let source = device(&found, at(3, 0));
    let bar = |base, length, is_wide| Some(Bar { base, length, is_memory: true, is_wide });
    assert_eq!(
        source.bars,
        [None, bar(0xfe80_0000, 0x1000, false), None, None, bar(0xfe90_0000, 0x4000, true), None]
    );
    let messages = source.capabilities.messages.unwrap();
    assert_eq!((messages.entries, messages.table, messages.pending), (2, (1, 0), (1, 0x800)));
    assert_eq!((source.capabilities.reset.is_some(), source.pin), (true, None));
    let ports = device(&found, Address::new(0, 31, 2));
    assert_eq!(ports.bars[4], Some(Bar { base: 0xc040, length: 32, is_memory: false, is_wide: false }));
    assert_eq!(ports.pin, Some(1));
    // Everything is as it was.
    for (address, function) in &before.functions {
        assert_eq!(function.bytes, space.at(*address).bytes, "{address}");
    }
}

#[test]
fn a_function_does_not_answer_while_it_is_measured() {
    let mut space = Space::default().with(at(0, 2), Function::source(0xfe80_0000));
    space.functions.get_mut(&at(0, 2)).unwrap().bytes[4] = 7;
    enumerate(&mut space, 0);
    let of_bars = |&&(_, offset, _): &&(Address, u16, u32)| (0x10..0x28).contains(&offset);
    let first = space.writes.iter().position(|write| of_bars(&write)).unwrap();
    let last = space.writes.iter().rposition(|write| of_bars(&write)).unwrap();
    assert_eq!(space.writes[..first], [(at(0, 2), 4, 4)], "memory and ports off, mastering as it was");
    assert_eq!(space.writes[last + 1..], [(at(0, 2), 4, 7)], "and on again");
}

#[test]
fn functions_beside_the_first_are_there_only_if_it_says_so() {
    let mut space = Space::default().with(at(0, 2), Function::source(0xfe80_0000));
    space = space.with(Address::new(0, 2, 1), Function::source(0xfea0_0000));
    assert_eq!(enumerate(&mut space, 0).len(), 1);
    space.functions.get_mut(&at(0, 2)).unwrap().bytes[0x0e] = 0x80;
    assert_eq!(enumerate(&mut space, 0).len(), 2);
    space.functions.remove(&at(0, 2));
    assert_eq!(enumerate(&mut space, 0).len(), 0, "without the first there are no others");
}

#[test]
fn bridges_that_lead_astray_are_named() {
    let mut space = Space::default()
        .with(at(0, 1), Function::bridge(1))
        .with(at(0, 2), Function::bridge(1))
        .with(at(0, 3), Function::bridge(200))
        .with(at(0, 4), Function::bridge(0))
        .with(at(1, 0), Function::bridge(1))
        .with(at(1, 1), Function::bridge(2))
        .with(at(2, 0), Function::source(0xfe80_0000));
    let found = enumerate(&mut space, 127);
    let kinds: Vec<_> = found.iter().map(|found| (found.address, found.kind.err())).collect();
    let expected = [
        (at(0, 1), None),
        (at(0, 2), Some(Fault::Bus(1))),
        (at(0, 3), Some(Fault::Bus(200))),
        (at(0, 4), None),
        (at(1, 0), Some(Fault::Bus(1))),
        (at(1, 1), None),
        (at(2, 0), None),
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn what_makes_no_sense_is_named() {
    let source = || Function::source(0xfe80_0000);
    let mut header = source();
    header.bytes[0x0e] = 2;
    assert_eq!(fault(header), Some(Fault::Header(2)));
    let mut pin = source();
    pin.bytes[0x3d] = 5;
    assert_eq!(fault(pin), Some(Fault::Pin(5)));
    let mut within = source();
    within.bytes[0x34] = 0x3c;
    assert_eq!(fault(within), Some(Fault::CapabilityPlace(0x3c)));
    let mut circle = source();
    circle.bytes[0x41] = 0x40;
    assert_eq!(fault(circle), Some(Fault::CapabilityCircle));
    // A table that does not fit into its BAR, is in none, or in ports.
    for messages in [
        Function::messages(2, 1, 0xff8, 0x800),
        Function::messages(2048, 1, 0, 0x800),
        Function::messages(2, 1, 0, 0x1000),
        Function::messages(2, 0, 0, 0x800),
        Function::messages(2, 5, 0, 0x800),
        Function::messages(2, 7, 0, 0x800),
    ] {
        assert_eq!(fault(source().capabilities(&[&messages])), Some(Fault::InterruptTable), "{messages:?}");
    }
    let mut kind = source();
    kind.bytes[0x10] = 2;
    kind.writable[0x13] = 0xff;
    assert_eq!(fault(kind), Some(Fault::BarKind(0)));
    let mut none = Function::new(1, 1, 0);
    none.bytes[0x24] = 4;
    none.writable[0x27] = 0xff;
    assert_eq!(fault(none), Some(Fault::BarKind(5)), "a last BAR has no upper half");
    let crooked = source().bar(1, 0xfe80_1000, 0x10000);
    assert_eq!(fault(crooked), Some(Fault::BarPlace(1)), "not at a multiple of its size");
    assert_eq!(fault(source()), None);
}

#[test]
fn functions_that_overlap_are_nobodys() {
    let mut space = Space::default()
        .with(at(0, 2), Function::source(0xfe80_0000))
        .with(at(0, 3), Function::source(0xfe80_0000).bar(1, 0xfea0_0000, 0x1000))
        .with(at(0, 4), Function::source(0xfec0_0000))
        // Two that share a page, though not a byte.
        .with(at(0, 5), Function::new(1, 1, 0).bar(0, 0xfef0_0000, 0x100))
        .with(at(0, 6), Function::new(1, 1, 0).bar(0, 0xfef0_0100, 0x100))
        // Those that the firmware has given no address do not meet there.
        .with(at(0, 7), Function::new(1, 1, 0).bar(0, 0, 0x1000))
        .with(at(0, 8), Function::new(1, 1, 0).bar(0, 0, 0x1000));
    let faults: Vec<_> = enumerate(&mut space, 0).iter().map(|found| found.kind.err()).collect();
    let overlap = |bar| Some(Fault::BarOverlap(bar));
    assert_eq!(faults, [overlap(4), overlap(4), None, overlap(0), overlap(0), None, None]);
}

#[test]
fn pins_lead_to_the_lines_of_q35() {
    assert_eq!([0, 1, 2, 3, 4].map(|device| routing::line(device, 1)), [20, 21, 22, 23, 20].map(Some));
    assert_eq!([1, 2, 3, 4].map(|pin| routing::line(2, pin)), [22, 23, 20, 21].map(Some));
    assert_eq!((routing::line(31, 1), routing::line(30, 4)), (Some(16), Some(19)));
    assert_eq!([0, 5, 255].map(|pin| routing::line(2, pin)), [None; 3]);
    assert_eq!(routing::line(32, 1), None);
}

proptest! {
    /// Functions of any bytes: found or faulty, and every BAR that is left can be.
    #[test]
    fn any_bytes_are_understood_or_refused(
        functions in vec((0..4u8, 0..32u8, 0..8u8, vec(any::<u8>(), 256), vec(any::<u8>(), 256)), 1..12),
        plausible in any::<bool>(),
    ) {
        let mut space = Space::default();
        for (bus, device, function, mut bytes, mut writable) in functions {
            if plausible {
                // Else nearly all end at their header.
                bytes[0x0e] &= 0x81;
                bytes[0x3d] &= 3;
                writable[..4].fill(0);
            }
            space = space.with(Address::new(bus, device, function), Function { bytes, writable });
        }
        let found = enumerate(&mut space, 3);
        prop_assert!(found.len() <= MOST && found.is_sorted_by(|a, b| a.address < b.address));
        for found in found {
            let Ok(Kind::Device(device)) = found.kind else { continue };
            for bar in device.bars.into_iter().flatten() {
                prop_assert!(bar.length.is_power_of_two() && bar.base.is_multiple_of(bar.length));
                prop_assert!(bar.base + bar.length <= 1 << 52);
            }
            for (bar, offset, length) in device.capabilities.messages.iter().flat_map(|m| m.parts()) {
                let bar = device.bars[usize::from(bar)].expect("in a BAR");
                prop_assert!(bar.is_memory && offset + length <= bar.length);
            }
        }
    }

    #[test]
    fn any_bar_is_a_range_or_refused(low in any::<(u32, u32)>(), high in any::<Option<(u32, u32)>>()) {
        if let Ok(Some(bar)) = decode(0, low, high) {
            prop_assert!(bar.length.is_power_of_two() && bar.base.is_multiple_of(bar.length));
        }
    }

    #[test]
    fn a_bar_is_what_it_was_made_as(size in 4..31u32, place in any::<u32>(), wide in any::<bool>()) {
        let length = 1u64 << size;
        let base = u64::from(place) << if wide { 16 } else { 0 } & !(length - 1) & ((1 << 51) - 1);
        let base = base & !(length - 1);
        let function = Function::new(1, 1, 0);
        let function = match wide {
            true => function.wide_bar(2, base, length),
            false => function.bar(2, base as u32, length as u32),
        };
        let mut space = Space::default().with(at(0, 0), function);
        let found = enumerate(&mut space, 0);
        let bars = device(&found, at(0, 0)).bars;
        let base = if wide { base } else { base & 0xffff_ffff };
        prop_assert_eq!(bars[2], Some(Bar { base, length, is_memory: true, is_wide: wide }));
    }
}

#[test]
fn nothing_answers_where_nothing_is() {
    assert!(enumerate(&mut Space::default(), 255).is_empty());
    assert_eq!(Space::default().read(at(9, 9), 0), u32::MAX);
}
