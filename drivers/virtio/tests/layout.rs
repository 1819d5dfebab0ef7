//! Where the structures of a device are, as its configuration space says.

use proptest::collection::vec;
use proptest::prelude::*;
use virtio::Fault;
use virtio::layout::{Place, read};

/// The capabilities of a modern device of QEMU: an interrupt table, then the five structures.
fn config() -> Vec<u8> {
    let mut config = vec![0; 256];
    config[6] = 0x10;
    config[0x34] = 0x98;
    let mut structure = |at: usize, next: u8, kind: u8, bar: u8, offset: u32, length: u32, more: u32| {
        config[at..at + 5].copy_from_slice(&[9, next, if kind == 2 { 20 } else { 16 }, kind, bar]);
        config[at + 8..at + 12].copy_from_slice(&offset.to_le_bytes());
        config[at + 12..at + 16].copy_from_slice(&length.to_le_bytes());
        config[at + 16..at + 20].copy_from_slice(&more.to_le_bytes());
    };
    structure(0x40, 0, 1, 4, 0, 0x1000, 0);
    structure(0x50, 0x40, 3, 4, 0x1000, 0x1000, 0);
    structure(0x60, 0x50, 4, 4, 0x2000, 0x1000, 0);
    structure(0x70, 0x60, 2, 4, 0x3000, 0x1000, 4);
    structure(0x84, 0x70, 5, 0, 0, 0, 0);
    config[0x98..0x9a].copy_from_slice(&[0x11, 0x84]);
    config
}

#[test]
fn the_structures_are_found() {
    let layout = read(&config()).unwrap();
    let place = |offset| Place { bar: 4, offset, length: 0x1000 };
    assert_eq!((layout.common, layout.status, layout.config), (place(0), place(0x1000), Some(place(0x2000))));
    assert_eq!((layout.notify, layout.multiplier), (place(0x3000), 4));
}

#[test]
fn what_is_missing_or_too_small_is_named() {
    for (kind, what) in [(1, "common structure"), (2, "notification structure"), (3, "interrupt status")] {
        let mut config = config();
        let at = config.windows(4).position(|c| c[0] == 9 && c[3] == kind).unwrap();
        config[at + 3] = 77;
        assert_eq!(read(&config), Err(Fault::NoStructure(what)));
        config[at + 3] = kind;
        config[at + 12..at + 16].fill(0);
        assert_eq!(read(&config), Err(Fault::BadStructure(what)), "no bytes");
        config[at + 12] = 0xff;
        config[at + 4] = 6;
        assert_eq!(read(&config), Err(Fault::BadStructure(what)), "no such BAR");
        config[at + 4] = 4;
        config[at + 8..at + 12].fill(0xff);
        assert_eq!(read(&config), Err(Fault::BadStructure(what)), "beyond all offsets");
    }
    let mut none = config();
    none[6] = 0;
    assert_eq!(read(&none), Err(Fault::NoStructure("notification structure")));
    assert!(read(&[]).is_err() && read(&config()[..100]).is_err());
    // One that leads to itself.
    let mut circle = config();
    circle[0x41] = 0x98;
    assert!(read(&circle).is_ok(), "everything was found before it was noticed");
}

proptest! {
    #[test]
    fn bytes_of_any_kind_are_read_or_refused(mut config in vec(any::<u8>(), 0..300), has in any::<bool>()) {
        if let (true, Some(status)) = (has, config.get_mut(6)) {
            *status |= 0x10;
        }
        if let Ok(layout) = read(&config) {
            for place in [layout.common, layout.notify, layout.status] {
                prop_assert!(place.bar < 6 && place.offset.checked_add(place.length).is_some());
            }
        }
    }

    #[test]
    fn changed_bytes_are_read_or_refused(changes in vec((0..256usize, any::<u8>()), 1..6)) {
        let mut config = config();
        changes.into_iter().for_each(|(at, byte)| config[at] = byte);
        if let Ok(layout) = read(&config) {
            prop_assert!(layout.common.length >= 0x38);
        }
    }
}
