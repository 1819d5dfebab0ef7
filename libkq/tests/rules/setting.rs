//! A process with one queue and one file, and what tests do with them.

use std::time::Duration;

use libkq::process::Process;
use libkq::{Error, KEvent};

use crate::world::World;

pub const NOW: Option<Duration> = Some(Duration::ZERO);
pub const SECOND: u64 = 1_000_000_000;

/// A process with one queue and one file.
pub struct Setting {
    pub world: World,
    pub process: Process<World>,
    pub kq: i32,
    pub fd: i32,
}

pub fn setting() -> Setting {
    let world = World::new();
    let process = world.process();
    let kq = process.kqueue().unwrap();
    let fd = process.open("a", 0).unwrap();
    Setting { world, process, kq, fd }
}

impl Setting {
    pub fn change(&self, changes: &[KEvent]) {
        assert_eq!(self.process.kevent(self.kq, changes, &mut [], NOW), Ok(0));
    }

    pub fn refused(&self, change: KEvent, errno: i32) {
        assert_eq!(self.process.kevent(self.kq, &[change], &mut [], NOW), Err(Error::new(errno)));
    }

    /// All that is ready now, up to `room`.
    pub fn take(&self, room: usize) -> Vec<KEvent> {
        let mut events = vec![KEvent::default(); room];
        let count = self.process.kevent(self.kq, &[], &mut events, NOW).unwrap();
        events.truncate(count);
        events
    }

    pub fn take_one(&self) -> KEvent {
        let events = self.take(8);
        assert_eq!(events.len(), 1, "{events:?}");
        events[0]
    }

    pub fn nothing(&self) {
        assert_eq!(self.take(8), []);
    }
}
