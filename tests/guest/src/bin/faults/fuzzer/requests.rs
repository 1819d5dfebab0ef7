//! What a fuzzer asks and shows: requests of each side, and the numbers, handles and memories in them.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use abi::Rights;
use abi::error::{EINVAL, Error, Result};
use event_protocol::activation::BankLayout;
use event_protocol::badge::SourceId;
use event_protocol::changed::memory_size;
use event_protocol::control::client::{Change, View};
use event_protocol::control::policy::Policy;
use event_protocol::control::{VERSION, client, driver, lobby};
use event_protocol::descriptor::{self, Control, Open, PathRequest};
use event_protocol::filter::Filters;
use event_protocol::park::SESSION_SIZE;
use guest_tests::Outcome;
use rt::ipc::{Transfer, encode, with_bytes_mut};
use rt::sys::{Endpoint, Memory, Notification};

use super::{Fuzzer, Side, keep};
use crate::words::Words;

impl Fuzzer {
    /// A number at which mistakes are made.
    pub(super) fn number(&mut self) -> u64 {
        let source = self.source().0;
        let any = self.random.draw();
        let small = self.random.below(70);
        *self.random.pick(&[
            0,
            1,
            2,
            small,
            small,
            small,
            1 << 15,
            1 << 16,
            1 << 31,
            1 << 32,
            u64::from(u32::MAX),
            u64::MAX,
            source,
            source,
            source ^ 1,
            source + (1 << 24),
            any,
        ])
    }

    pub(super) fn source(&mut self) -> SourceId {
        match self.sources.len() as u64 {
            0 => SourceId::new(0, 0, 1),
            count => self.sources[self.random.below(count) as usize],
        }
    }

    /// A handle of its own to be shown: of this side, if it has one.
    pub(super) fn shown(&mut self, side: Option<Side>) -> Option<Transfer> {
        let such = |(at, _): &&(Side, Endpoint)| side.is_none_or(|side| side == *at);
        let count = self.ends.iter().filter(such).count() as u64;
        let chosen = self.random.below(count.max(1)) as usize;
        let less = self.random.below(8) == 0;
        let (_, end) = self.ends.iter().filter(such).nth(chosen)?;
        let rights = Rights::WRITE | Rights::DUPLICATE | Rights::TRANSFER;
        // A lobby cannot be shown.
        Some(Transfer::copy_with(end, if less { Rights::WRITE } else { rights }))
    }

    /// The same, or now and then of a size that is wrong.
    fn some_memory(&mut self, size: usize) -> Result<Transfer> {
        let wrong = self.random.below(16) == 0;
        self.memory(if wrong { 4096 } else { size })
    }

    /// Memory that it goes on writing to.
    pub(super) fn memory(&mut self, size: usize) -> Result<Transfer> {
        let memory = Memory::create(size)?;
        let words = Words::map(&memory)?;
        keep(&mut self.random, &mut self.memory, Arc::new(words), 0);
        Ok(Transfer::moved(memory))
    }

    fn filters(&mut self) -> Filters {
        let any = self.random.draw() as u32;
        *self.random.pick(&[
            Filters::READ,
            Filters::READ | Filters::WRITE,
            Filters::READ | Filters::WRITE | Filters::HANGUP,
            Filters::from_bits_truncate(any),
        ])
    }

    pub(super) fn of_lobby(&mut self, send: &mut Vec<Transfer>) -> Outcome<lobby::Request> {
        let shard = self.random.below(u64::from(self.shards) + 1) as u32;
        Ok(match self.random.below(8) {
            0 => lobby::Request::Shard { shard },
            1 | 2 => {
                send.push(self.some_memory(SESSION_SIZE)?);
                lobby::Request::OpenSession
            }
            3..6 => {
                let cells = *self.random.pick(&[16, 64, 1024]);
                send.push(self.some_memory(memory_size(cells).ok_or(Error::new(EINVAL))?)?);
                let filters = Filters::all();
                lobby::Request::Attach { version: VERSION, name: String::from("fuzzer"), filters, cells }
            }
            6 => {
                send.extend(self.shown(Some(Side::Shown)));
                lobby::Request::Home
            }
            _ => lobby::Request::Stats,
        })
    }

    pub(super) fn of_client(&mut self, send: &mut Vec<Transfer>) -> Outcome<client::Request> {
        let queue = self.random.below(3) as u32;
        let source = self.source();
        Ok(match self.random.below(16) {
            0 => {
                let notification = Notification::create()?;
                send.push(Transfer::moved(notification));
                client::Request::RegisterWaiter { number: self.random.below(4) as u32 }
            }
            1 => client::Request::ReleaseWaiter { number: self.random.below(4) as u32 },
            2 | 3 => {
                let layout = BankLayout::new(64, self.shards).ok_or(Error::new(EINVAL))?;
                send.push(self.some_memory(layout.size())?);
                match self.random.below(3) {
                    0 => client::Request::GrowQueue { queue, slots: 64 },
                    _ => client::Request::CreateQueue { queue, slots: 64 },
                }
            }
            4 => client::Request::CloseQueue { queue },
            5 => client::Request::Meet { shard: self.random.below(u64::from(self.shards) + 1) as u32 },
            6..9 => {
                send.extend(self.shown(Some(Side::Shown)));
                client::Request::Adopt
            }
            9 => client::Request::Release { source },
            10 => client::Request::HandBack { queue },
            11 => client::Request::Reopen { source },
            _ => {
                let count = 1 + self.random.below(5);
                let changes = (0..count).map(|_| self.change()).collect();
                client::Request::Change { queue, failures_allowed: self.random.below(4) as u32, changes }
            }
        })
    }

    fn change(&mut self) -> Change {
        let (source, filters) = (self.source(), self.filters());
        let (bank, slot, generation) = (self.random.below(2) as u8, self.random.below(66) as u32, 1);
        let exclusive = self.random.below(2) == 0;
        let view = *self.random.pick(&[View::Kevent, View::Poll, View::Select, View::Epoll, View::DevPoll]);
        let policy =
            *self.random.pick(&[None, Some(Policy::All), Some(Policy::RoundRobin), Some(Policy::Auto)]);
        match self.random.below(8) {
            0..4 => Change::Add { source, bank, slot, generation, filters, view, exclusive },
            4 => Change::Modify { bank, slot, generation, filters, exclusive },
            5 => Change::Prefer { bank, slot, generation, policy },
            6 => Change::PreferAll { source, policy },
            _ => Change::Delete { bank, slot, generation },
        }
    }

    pub(super) fn of_driver(&mut self, send: &mut Vec<Transfer>) -> driver::Request {
        let (source, filters, shared) = (self.source(), self.filters(), self.random.below(2) == 0);
        let low_water = (self.random.below(3) as u32, 1);
        let request = match self.random.below(10) {
            0..4 => driver::Request::CreateSource { filters, shared, low_water },
            4 | 5 => {
                let kept = vec![7; self.random.below(300) as usize];
                driver::Request::CreateDurable { filters, shared, low_water, kept }
            }
            6 => driver::Request::DestroySource { source, errno: self.number() as u32 },
            7 => driver::Request::Bequeath,
            8 => driver::Request::Orphans { after: None },
            _ => match self.random.below(2) {
                0 => driver::Request::Settled,
                _ => driver::Request::Claim { source },
            },
        };
        if !shared {
            send.extend(self.shown(Some(Side::Shown)));
        }
        request
    }

    /// What clients ask of drivers.
    pub(super) fn of_descriptor(
        &mut self,
        label: &mut u32,
        words: &mut [u64; 4],
        send: &mut Vec<Transfer>,
    ) -> Outcome<usize> {
        use descriptor::label as labels;
        *label = *self.random.pick(&[
            labels::OPEN,
            labels::OPEN,
            labels::OPEN,
            labels::READ,
            labels::WRITE,
            labels::CONTROL,
            labels::WATCH,
            labels::SEND,
            labels::RECEIVE,
            labels::PATH,
        ]);
        words[0] = *self.random.pick(&[0, 1, 100, 3968, 3969, u64::MAX]);
        Ok(match *label {
            labels::OPEN => {
                send.extend(self.shown(Some(Side::Shown)));
                let flags = abi::flag::O_RDWR as u64 | *self.random.pick(&[0, 0, descriptor::DURABLE]);
                encode(&Open { path: String::from("/dev/template"), flags })?
            }
            labels::CONTROL => {
                let controls = [Control::Describe, Control::Available, Control::Stat, Control::Disarm];
                encode(self.random.pick(&controls))?
            }
            labels::PATH => encode(&PathRequest::Unlink { path: String::from("/dev/template") })?,
            _ => {
                send.extend(self.shown(None));
                with_bytes_mut(100, |bytes| bytes.fill(b'x'));
                100
            }
        })
    }
}
