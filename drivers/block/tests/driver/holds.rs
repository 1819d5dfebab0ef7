//! A disk beside plain memory.

use crate::desk::{Desk, FLUSH, data};
use crate::fake::Got;
use abi::error::EAGAIN;
use block::disk::SLOTS;
use event_protocol::descriptor::NONBLOCK;
use proptest::prelude::*;

proptest! {
    /// Reads, writes and a device that does what it has in any order: everybody sees what was written last, and so does the disk
    /// in the end.
    #[test]
    fn a_disk_holds_what_was_written_last(
        steps in prop::collection::vec((0..6u8, 0..160_000u64, 1..3968usize, any::<prop::sample::Index>()), 1..120),
    ) {
        let sectors = 8 * (SLOTS as u64 / 2) + 8 * 8 - 3;
        let mut desk = Desk::new(sectors, FLUSH);
        let mut model = desk.bytes.clone();
        let files = [desk.open(), desk.open()];
        let mut reads: Vec<(u64, Vec<u8>)> = Vec::new();
        for (number, (step, offset, length, which)) in steps.into_iter().enumerate() {
            let offset = offset.min(model.len() as u64 - 1);
            let length = length.min(model.len() - offset as usize);
            let range = offset as usize..offset as usize + length;
            let file = files[which.index(2)];
            match step {
                0 | 1 => {
                    // A write is done when it is answered: until then its bytes are nobody's.
                    model[range.clone()].fill(number as u8);
                    let got = desk.write_at(file, &model[range], offset);
                    prop_assert_eq!(got, Got::Count(length as u64));
                }
                2 => prop_assert_eq!(desk.read_at(file, offset, length as u64), data(&model[range])),
                3 => {
                    let token = desk.begin_read(file, offset, length as u64, NONBLOCK);
                    match desk.bench.got(token) {
                        Some(Got::Errno(EAGAIN)) => {}
                        got => prop_assert_eq!(got, Some(data(&model[range]))),
                    }
                }
                4 => {
                    desk.look();
                    if !desk.asked.is_empty() {
                        desk.work(which.index(desk.asked.len()));
                        desk.interrupt();
                    }
                }
                _ if reads.is_empty() => {
                    let token = desk.begin_read(file, offset, length as u64, 0);
                    reads.push((token, model[range].to_vec()));
                    desk.run();
                    for (token, expected) in reads.drain(..) {
                        prop_assert_eq!(desk.bench.got(token), Some(data(&expected)));
                    }
                }
                _ => {}
            }
        }
        prop_assert_eq!(desk.sync(files[0]), Ok(()));
        prop_assert!(desk.bytes == model);
    }
}
