//! FIFOs against a model that knows nothing of queues, levels or engines: a string, and who has which end.

#[path = "../../sdk/tests/fake/mod.rs"]
mod fake;

use abi::error::{EAGAIN, ENXIO, EPIPE, Error};
use abi::flag::{O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};
use driver_sdk::{FileId, LevelFlags, PathRequest};
use event_protocol::descriptor::PIPE_BUF;
use fake::{Bench, Got};
use pipe::conduit::CAPACITY;
use pipe::pipes::Pipes;
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Step {
    Open(usize),
    Close(usize),
    Read(usize, u64),
    Write(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop::sample::select(vec![O_RDONLY, O_WRONLY, O_RDWR]).prop_map(Step::Open),
        2 => (0usize..6).prop_map(Step::Close),
        4 => (0usize..6, 1u64..=3968).prop_map(|(file, length)| Step::Read(file, length)),
        8 => (0usize..6, 1usize..=3968).prop_map(|(file, length)| Step::Write(file, length)),
    ]
}

struct Model {
    bytes: VecDeque<u8>,
    files: Vec<(FileId, bool, bool, bool)>,
}

impl Model {
    fn readers(&self) -> usize {
        self.files.iter().filter(|file| file.1).count()
    }

    fn writers(&self) -> usize {
        self.files.iter().filter(|file| file.2).count()
    }

    fn check(&self, bench: &mut Bench<Pipes>) -> Result<(), TestCaseError> {
        for &(file, reads, writes, seen_writer) in &self.files {
            let source = bench.source(file);
            if reads {
                let at_end = self.writers() == 0 && seen_writer;
                prop_assert_eq!(source.read.amount, self.bytes.len() as i64);
                prop_assert_eq!(source.read.flags.contains(LevelFlags::EOF), at_end);
                let hung_up = at_end && self.bytes.is_empty();
                prop_assert_eq!(source.read.flags.contains(LevelFlags::HANGUP), hung_up);
            }
            if writes {
                let space = if self.readers() > 0 { CAPACITY - self.bytes.len() } else { 0 };
                prop_assert_eq!(source.write.amount, space as i64);
                prop_assert_eq!(source.write.flags.contains(LevelFlags::EOF), self.readers() == 0);
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_fifo_is_a_string_with_two_kinds_of_ends(steps in prop::collection::vec(step(), 0..120)) {
        let mut bench = Bench::new(Pipes::new());
        bench.path(PathRequest::MakeFifo { path: "/run/fifo/x".into(), mode: 0 }).unwrap();
        let mut model = Model { bytes: VecDeque::new(), files: vec![] };
        let mut next = 0u8;
        for step in steps {
            match step {
                Step::Open(flags) => {
                    let (reads, writes) = (flags & O_RDONLY != 0, flags & O_WRONLY != 0);
                    match bench.open("/run/fifo/x", flags | O_NONBLOCK, 1) {
                        Ok(file) => {
                            let met = writes || model.writers() > 0;
                            if writes {
                                model.files.iter_mut().for_each(|file| file.3 = true);
                            }
                            model.files.push((file, reads, writes, met));
                        }
                        Err(error) => {
                            prop_assert_eq!(error, Error::new(ENXIO));
                            prop_assert!(!reads && model.readers() == 0);
                        }
                    }
                }
                Step::Close(at) if !model.files.is_empty() => {
                    let at = at % model.files.len();
                    let (file, ..) = model.files.swap_remove(at);
                    bench.close(file);
                    if model.files.is_empty() {
                        model.bytes.clear();
                    }
                }
                Step::Read(at, length) if model.readers() > 0 => {
                    let readers: Vec<_> = model.files.iter().filter(|file| file.1).collect();
                    let file = readers[at % readers.len()].0;
                    let wanted = model.bytes.len().min(length as usize);
                    let expected = match wanted {
                        0 if model.writers() == 0 => Got::Count(0),
                        0 => Got::Errno(EAGAIN),
                        _ => Got::Data(model.bytes.drain(..wanted).collect(), 0),
                    };
                    // Not shown: it is long.
                    prop_assert!(bench.try_read(file, length) == expected, "{} of {} bytes", length, wanted);
                }
                Step::Write(at, length) if model.writers() > 0 => {
                    let writers: Vec<_> = model.files.iter().filter(|file| file.2).collect();
                    let file = writers[at % writers.len()].0;
                    let bytes: Vec<u8> = (0..length).map(|n| next.wrapping_add(n as u8)).collect();
                    let space = CAPACITY - model.bytes.len();
                    let expected = match space.min(length) {
                        _ if model.readers() == 0 => Err(EPIPE),
                        0 => Err(EAGAIN),
                        count if count < length && length <= PIPE_BUF => Err(EAGAIN),
                        count => Ok(count),
                    };
                    match (bench.try_write(file, &bytes), expected) {
                        (Got::Count(count), Ok(expected)) => {
                            prop_assert_eq!(count, expected as u64);
                            model.bytes.extend(&bytes[..expected]);
                            next = next.wrapping_add(expected as u8);
                        }
                        (Got::Errno(errno), Err(expected)) => prop_assert_eq!(errno, expected),
                        other => prop_assert!(false, "{:?}", other),
                    }
                }
                _ => {}
            }
            model.check(&mut bench)?;
        }
    }
}
