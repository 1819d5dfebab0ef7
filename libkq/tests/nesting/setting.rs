//! A process with sets.

use std::time::Duration;

use libkq::epoll::{EpollEvent, EpollFlags, EpollOp};
use libkq::process::Process;
use libkq::{Error, KEvent};

use crate::world::World;

pub const NOW: Option<Duration> = Some(Duration::ZERO);

pub const IN: EpollFlags = EpollFlags::IN;

pub struct Setting {
    pub world: World,
    pub process: Process<World>,
}

pub fn setting() -> Setting {
    let world = World::new();
    let process = world.process();
    Setting { world, process }
}

impl Setting {
    pub fn kqueue(&self) -> i32 {
        self.process.kqueue().unwrap()
    }

    pub fn epoll(&self) -> i32 {
        self.process.epoll_create(0).unwrap()
    }

    pub fn change(&self, kq: i32, change: KEvent) -> Result<(), Error> {
        self.process.kevent(kq, &[change], &mut [], NOW).map(drop)
    }

    pub fn add(&self, ep: i32, fd: i32, events: EpollFlags) -> Result<(), Error> {
        self.process.epoll_ctl(ep, EpollOp::Add, fd, EpollEvent::new(events, fd as u64))
    }

    pub fn take(&self, kq: i32) -> Vec<KEvent> {
        let mut events = [KEvent::default(); 8];
        let count = self.process.kevent(kq, &[], &mut events, NOW).unwrap();
        events[..count].to_vec()
    }

    pub fn told(&self, ep: i32) -> Vec<i32> {
        let mut events = [EpollEvent::default(); 8];
        let count = self.process.epoll_wait(ep, &mut events, NOW).unwrap();
        events[..count].iter().map(|event| event.data() as i32).collect()
    }

    /// A queue with a note on a file.
    pub fn watching(&self, name: &str) -> i32 {
        let kq = self.kqueue();
        let fd = self.process.open(name, 0).unwrap();
        self.change(kq, KEvent::read(fd).add()).unwrap();
        kq
    }
}
