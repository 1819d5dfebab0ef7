//! Bad input to each call: the manual's errno, and nothing is changed by it.

mod world;

use std::sync::Arc;
use std::time::Duration;

use abi::error::{EBADF, EEXIST, EINVAL, ELOOP, ENODEV, ENOENT, EPERM, EPIPE};
use abi::flag::O_RDWR;
use event_protocol::cell::Direction;
use event_protocol::level::{Level, LevelFlags};
use libkq::conditions::Conditions;
use libkq::epoll::{EpollEvent, EpollFlags, EpollOp};
use libkq::event::note;
use libkq::poll::{FdSet, PollFd};
use libkq::process::{MAX_DESCRIPTORS, Process};
use libkq::user_ring::UserRing;
use libkq::{Error, EventFlags, Filter, KEvent, Result};
use world::World;

const NOW: Option<Duration> = Some(Duration::ZERO);
const CLOSED: i32 = 999;
const IN: Conditions = Conditions::IN;
const OUT: Conditions = Conditions::OUT;

/// A process with something of everything.
struct Setting {
    world: World,
    process: Process<World>,
    /// Something can be read, and nothing written.
    ready: i32,
    /// Nothing of either.
    idle: i32,
    file: i32,
    kq: i32,
    epoll: i32,
    devpoll: i32,
    /// The last of five sets, each in the one before.
    deep: i32,
}

/// What is wrong with a call, the errors that say so, and the call.
type Call<'a> = (&'a str, &'a [i32], &'a dyn Fn(&Setting) -> Result<()>);

/// All that can be seen without changing it.
#[derive(PartialEq, Debug)]
struct Picture {
    descriptors: usize,
    notes: usize,
    queues: usize,
    files: usize,
    kevents: Vec<KEvent>,
    epoll: Vec<(u64, EpollFlags)>,
    devpoll: Vec<PollFd>,
    asked: Vec<Option<Conditions>>,
    polled: Vec<PollFd>,
    selected: Vec<i32>,
}

impl Setting {
    fn new() -> Setting {
        let world = World::new();
        let process = world.process();
        let open = |name| process.open(name, O_RDWR as u64).unwrap();
        let [ready, idle, file] = ["ready", "idle", "/file/a"].map(open);
        let (kq, epoll, devpoll) =
            (process.kqueue().unwrap(), process.epoll_create(0).unwrap(), open("/dev/poll"));
        world.readable("ready", 3);
        let changes = [
            KEvent::read(ready).add().udata(1),
            KEvent::read(idle).add().udata(2),
            KEvent::write(idle).add().clear().udata(3),
            KEvent::write(ready).add().oneshot().udata(4),
            KEvent::user(7).add().trigger().udata(5),
            KEvent::user(8).add().disable().trigger().udata(6),
            KEvent::timer(9).every(Duration::from_secs(1000)).udata(7),
        ];
        process.kevent(kq, &changes, &mut [], NOW).unwrap();
        let add = |fd, events, data| {
            process.epoll_ctl(epoll, EpollOp::Add, fd, EpollEvent::new(events, data)).unwrap();
        };
        add(ready, EpollFlags::IN, 1);
        add(idle, EpollFlags::IN | EpollFlags::ONESHOT, 2);
        process.devpoll_write(devpoll, &[PollFd::new(ready, IN), PollFd::new(idle, OUT)]).unwrap();
        // A chain as long as it may be.
        let chain: Vec<i32> = (0..5).map(|_| process.epoll_create(0).unwrap()).collect();
        for pair in chain.windows(2) {
            let event = EpollEvent::new(EpollFlags::IN, 0);
            process.epoll_ctl(pair[0], EpollOp::Add, pair[1], event).unwrap();
        }
        let deep = chain[0];
        Setting { world, process, ready, idle, file, kq, epoll, devpoll, deep }
    }

    fn picture(&self) -> Picture {
        let process = &self.process;
        let mut events = [KEvent::default(); 16];
        let count = process.kevent(self.kq, &[], &mut events, NOW).unwrap();
        let mut kevents = events[..count].to_vec();
        kevents.sort_by_key(|event| event.udata);
        let mut events = [EpollEvent::default(); 16];
        let count = process.epoll_wait(self.epoll, &mut events, NOW).unwrap();
        let epoll = events[..count].iter().map(|event| (event.data(), event.events())).collect();
        let mut list = [PollFd::default(); 16];
        let count = process.devpoll_poll(self.devpoll, &mut list, NOW, None).unwrap();
        let mut devpoll = list[..count].to_vec();
        devpoll.sort_by_key(|entry| entry.fd);
        let asked = (0..20).map(|fd| process.devpoll_is_polled(self.devpoll, fd).unwrap()).collect();
        let all = IN | OUT;
        let mut polled = vec![PollFd::new(self.ready, all), PollFd::new(self.idle, all)];
        process.poll(&mut polled, NOW, None).unwrap();
        let mut read: FdSet = [self.ready, self.idle].into_iter().collect();
        process.select(20, [Some(&mut read), None, None], NOW, None).unwrap();
        Picture {
            descriptors: process.open_descriptors(),
            notes: self.world.notes(),
            queues: self.world.queues(),
            files: self.world.files(),
            kevents,
            epoll,
            devpoll,
            asked,
            polled,
            selected: read.iter().collect(),
        }
    }

    /// Each call fails with one of its errors and changes nothing that can be seen; and what cannot be seen, the notes
    /// that wait for something, is told as it would have been.
    fn refuses(&self, calls: &[Call<'_>]) {
        let before = self.picture();
        assert_eq!((before.kevents.len(), before.epoll.len(), before.devpoll.len()), (2, 1, 1));
        for (name, errnos, call) in calls {
            match call(self) {
                Err(error) if errnos.contains(&error.errno) => {}
                other => panic!("{name}: {other:?}, not one of {errnos:?}"),
            }
            assert_eq!(self.picture(), before, "{name}");
        }
        self.world.level("idle", Level::new(2), Level::new(5));
        self.world.writable("ready", 6);
        let udata = |events: &[KEvent]| events.iter().map(|event| event.udata).collect::<Vec<_>>();
        assert_eq!(udata(&self.picture().kevents), [1, 2, 3, 4, 5]);
        // The edge and the one-shot were told.
        let after = self.picture();
        assert_eq!(udata(&after.kevents), [1, 2, 5]);
        assert_eq!((after.epoll.len(), after.devpoll.len()), (1, 2));
        self.process.kevent(self.kq, &[KEvent::user(8).enable().udata(6)], &mut [], NOW).unwrap();
        assert_eq!(udata(&self.picture().kevents), [1, 2, 5, 6]);
    }

    fn change(&self, change: KEvent) -> Result<()> {
        self.process.kevent(self.kq, &[change], &mut [], NOW).map(drop)
    }

    fn control(&self, set: i32, op: EpollOp, fd: i32, events: EpollFlags) -> Result<()> {
        self.process.epoll_ctl(set, op, fd, EpollEvent::new(events, 77))
    }

    fn write(&self, list: &[PollFd]) -> Result<()> {
        self.process.devpoll_write(self.devpoll, list)
    }

    fn select(&self, nfds: i32, numbers: &[i32]) -> Result<()> {
        let mut sets = [0; 3].map(|_| numbers.iter().copied().collect::<FdSet>());
        let before = sets.clone();
        let result = self.process.select(nfds, sets.each_mut().map(Some), NOW, None).map(drop);
        assert_eq!(sets, before, "R47");
        result
    }
}

#[test]
fn kevent_refuses_and_changes_nothing() {
    let s = Setting::new();
    let on = |fd: i32, filter, fflags| KEvent { fflags, udata: 99, ..KEvent::new(fd as usize, filter) };
    let flagged = |flags| KEvent { udata: 99, ..KEvent::read(s.ready).with(flags) };
    s.refuses(&[
        ("a closed queue", &[EBADF], &|s| s.process.kevent(CLOSED, &[], &mut [], NOW).map(drop)),
        ("a negative queue", &[EBADF], &|s| s.process.kevent(-1, &[], &mut [], NOW).map(drop)),
        ("a file as a queue", &[EBADF], &|s| s.process.kevent(s.ready, &[], &mut [], NOW).map(drop)),
        ("an epoll set as a queue", &[EBADF], &|s| s.process.kevent(s.epoll, &[], &mut [], NOW).map(drop)),
        ("a closed number", &[EBADF], &|s| s.change(KEvent::read(CLOSED).add())),
        ("a negative number", &[EBADF], &|s| s.change(KEvent::write(-1).add())),
        ("a number beyond all", &[EBADF], &|s| s.change(KEvent::new(usize::MAX, Filter::READ).add())),
        ("a number of 33 bits", &[EBADF], &|s| {
            s.change(KEvent::new(1 << 32 | s.ready as usize, Filter::READ).add())
        }),
        ("filter 0", &[EINVAL], &|s| s.change(on(s.ready, Filter(0), 0).add())),
        ("an unknown filter", &[EINVAL], &|s| s.change(on(s.ready, Filter(i16::MIN), 0).add())),
        ("the filter of the library's own notes", &[EINVAL], &|s| {
            s.change(on(0, Filter(i16::MIN + 1), 0).add())
        }),
        ("a positive filter", &[EINVAL], &|s| s.change(on(s.ready, Filter(1), 0).add())),
        ("add and delete", &[EINVAL], &|s| s.change(flagged(EventFlags::ADD | EventFlags::DELETE))),
        ("enable and disable", &[EINVAL], &|s| s.change(flagged(EventFlags::ENABLE | EventFlags::DISABLE))),
        ("what is not there", &[ENOENT], &|s| s.change(on(s.file, Filter::VNODE, 1).enable())),
        ("to delete what is not there", &[ENOENT], &|s| s.change(KEvent::user(99).delete())),
        ("unknown notes of a descriptor", &[EINVAL], &|s| s.change(on(s.ready, Filter::READ, 0x8000).add())),
        ("unknown notes of an edge", &[EINVAL], &|s| s.change(on(s.idle, Filter::WRITE, 0x10).add())),
        ("unknown notes of a file", &[EINVAL], &|s| s.change(on(s.file, Filter::VNODE, 0x8000_0000).add())),
        ("no notes of a file", &[EINVAL], &|s| s.change(on(s.file, Filter::VNODE, 0).add())),
        ("files of what is none", &[EINVAL], &|s| s.change(on(s.ready, Filter::VNODE, note::WRITE).add())),
        ("urgent data of what has none", &[EINVAL], &|s| {
            s.change(on(s.ready, Filter::EXCEPT, note::OOB).add())
        }),
        ("a negative period", &[EINVAL], &|s| {
            s.change(KEvent { data: -1, udata: 99, ..KEvent::timer(9).add() })
        }),
        ("two units", &[EINVAL], &|s| {
            s.change(KEvent { data: 1, udata: 99, fflags: 3, ..KEvent::timer(9).add() })
        }),
        ("a new timer of a negative period", &[EINVAL], &|s| {
            s.change(KEvent { data: i64::MIN, ..KEvent::timer(10).add() })
        }),
        ("signal 0", &[EINVAL], &|s| s.change(KEvent::new(0, Filter::SIGNAL).add())),
        ("signal 65", &[EINVAL], &|s| s.change(KEvent::new(65, Filter::SIGNAL).add())),
        ("itself", &[EINVAL], &|s| s.change(KEvent::read(s.kq).add())),
        ("a chain of six", &[ELOOP, EINVAL], &|s| s.change(KEvent::read(s.deep).add())),
        ("writing to a set", &[EINVAL], &|s| s.change(KEvent::write(s.epoll).add())),
        ("counts beyond the list", &[EINVAL], &|s| {
            s.process.kevent_in_place(s.kq, &mut [flagged(EventFlags::DELETE)], 2, 1, NOW).map(drop)
        }),
        ("room beyond the list", &[EINVAL], &|s| {
            s.process.kevent_in_place(s.kq, &mut [flagged(EventFlags::DELETE)], 1, 2, NOW).map(drop)
        }),
    ]);
}

/// R2: the same with room for the answers, and what comes behind is done.
#[test]
fn kevent_answers_bad_changes_and_goes_on() {
    let s = Setting::new();
    let changes = [
        KEvent::read(CLOSED).add().udata(1),
        KEvent::new(1, Filter(77)).add().udata(2),
        KEvent::user(50).add().udata(3),
        KEvent::user(51).delete().udata(4),
    ];
    let mut events = [KEvent::default(); 8];
    let count = s.process.kevent(s.kq, &changes, &mut events, NOW).unwrap();
    let answers: Vec<_> =
        events[..count].iter().map(|event| (event.udata, event.flags, event.data)).collect();
    let refused = |udata, errno: i32| (udata, EventFlags::ERROR, i64::from(errno));
    assert_eq!(answers, [refused(1, EBADF), refused(2, EINVAL), refused(4, ENOENT)]);
    s.change(KEvent::user(50).delete()).unwrap();
}

#[test]
fn kevent_refuses_broken_pipes_and_what_is_gone() {
    let world = World::new();
    let process = world.process();
    let (kq, pipe, gone) =
        (process.kqueue().unwrap(), process.open("/pipe/a", 0).unwrap(), process.open("gone", 0).unwrap());
    let change = |change| process.kevent(kq, &[change], &mut [], NOW).map(drop);
    change(KEvent::read(gone).add().disable()).unwrap();
    world.publish("/pipe/a", Direction::Write, Level::new(0).with(LevelFlags::EOF), true);
    world.driver_dies("gone");
    assert_eq!(change(KEvent::write(pipe).add()), Err(Error::new(EPIPE)), "R21");
    assert_eq!(change(KEvent::write(gone).add()), Err(Error::new(ENODEV)), "R57");
    assert_eq!(change(KEvent::read(gone).add()), Err(Error::new(ENODEV)), "R57");
    assert_eq!(world.notes(), 1);
}

#[test]
fn epoll_refuses_and_changes_nothing() {
    let s = Setting::new();
    let exclusive = EpollFlags::IN | EpollFlags::EXCLUSIVE;
    let wait = |s: &Setting, set, room: usize| {
        s.process.epoll_wait(set, &mut vec![EpollEvent::default(); room], NOW).map(drop)
    };
    s.refuses(&[
        ("unknown flags", &[EINVAL], &|s| s.process.epoll_create(1).map(drop)),
        ("all flags", &[EINVAL], &|s| s.process.epoll_create(u64::MAX).map(drop)),
        ("an operation 0", &[EINVAL], &|_| EpollOp::try_from(0).map(drop)),
        ("an operation 4", &[EINVAL], &|_| EpollOp::try_from(4).map(drop)),
        ("a negative operation", &[EINVAL], &|_| EpollOp::try_from(-1).map(drop)),
        ("a closed set", &[EBADF], &|s| s.control(CLOSED, EpollOp::Add, s.ready, EpollFlags::IN)),
        ("a closed number", &[EBADF], &|s| s.control(s.epoll, EpollOp::Add, CLOSED, EpollFlags::IN)),
        ("a negative number", &[EBADF], &|s| s.control(s.epoll, EpollOp::Modify, -1, EpollFlags::IN)),
        ("a file as a set", &[EINVAL], &|s| s.control(s.idle, EpollOp::Add, s.ready, EpollFlags::IN)),
        ("a queue as a set", &[EINVAL], &|s| s.control(s.kq, EpollOp::Add, s.ready, EpollFlags::IN)),
        ("itself", &[EINVAL], &|s| s.control(s.epoll, EpollOp::Add, s.epoll, EpollFlags::IN)),
        ("a chain of six", &[ELOOP, EINVAL], &|s| s.control(s.epoll, EpollOp::Add, s.deep, EpollFlags::IN)),
        ("what is there", &[EEXIST], &|s| s.control(s.epoll, EpollOp::Add, s.ready, EpollFlags::OUT)),
        ("to change what is not there", &[ENOENT], &|s| {
            s.control(s.epoll, EpollOp::Modify, s.kq, EpollFlags::IN)
        }),
        ("to delete what is not there", &[ENOENT], &|s| {
            s.control(s.epoll, EpollOp::Delete, s.kq, EpollFlags::IN)
        }),
        ("what is always ready", &[EPERM], &|s| s.control(s.epoll, EpollOp::Add, s.file, EpollFlags::IN)),
        ("to change what is always ready", &[EPERM, ENOENT], &|s| {
            s.control(s.epoll, EpollOp::Modify, s.file, EpollFlags::IN)
        }),
        ("exclusive when changing", &[EINVAL], &|s| s.control(s.epoll, EpollOp::Modify, s.ready, exclusive)),
        ("exclusive and once", &[EINVAL], &|s| {
            s.control(s.epoll, EpollOp::Add, s.kq, exclusive | EpollFlags::ONESHOT)
        }),
        ("exclusive of a set", &[EINVAL], &|s| s.control(s.epoll, EpollOp::Add, s.kq, exclusive)),
        ("no room", &[EINVAL], &|s| wait(s, s.epoll, 0)),
        ("waiting at a file", &[EINVAL], &|s| wait(s, s.ready, 1)),
        ("waiting at a queue", &[EINVAL], &|s| wait(s, s.kq, 1)),
        ("waiting at a closed number", &[EBADF], &|s| wait(s, CLOSED, 1)),
        ("waiting at a negative number", &[EBADF], &|s| wait(s, i32::MIN, 1)),
    ]);
}

#[test]
fn devpoll_refuses_and_changes_nothing() {
    let s = Setting::new();
    let remove = |fd| PollFd::new(fd, Conditions::REMOVE);
    let both = |fd| PollFd::new(fd, Conditions::REMOVE | IN);
    let poll = |s: &Setting, set| s.process.devpoll_poll(set, &mut [PollFd::default()], NOW, None).map(drop);
    s.refuses(&[
        ("a closed set", &[EBADF], &|s| s.process.devpoll_write(CLOSED, &[]).map(drop)),
        ("a file as a set", &[EINVAL, EBADF], &|s| s.process.devpoll_write(s.ready, &[remove(s.ready)])),
        ("an epoll set as a set", &[EINVAL, EBADF], &|s| {
            s.process.devpoll_write(s.epoll, &[remove(s.ready)])
        }),
        ("to remove and ask", &[EINVAL], &|s| s.write(&[both(s.ready)])),
        ("to remove and ask behind what is right", &[EINVAL], &|s| {
            s.write(&[PollFd::new(s.ready, OUT), remove(s.idle), both(s.ready)])
        }),
        ("itself", &[EINVAL], &|s| s.write(&[PollFd::new(s.devpoll, IN)])),
        ("a chain of six", &[ELOOP, EINVAL], &|s| s.write(&[PollFd::new(s.deep, IN)])),
        ("half an entry", &[EINVAL], &|s| s.process.write(s.devpoll, &[0; 12]).map(drop)),
        ("a byte", &[EINVAL], &|s| s.process.write(s.devpoll, &[0]).map(drop)),
        ("polling a file", &[EINVAL], &|s| poll(s, s.ready)),
        ("polling a queue", &[EINVAL], &|s| poll(s, s.kq)),
        ("polling a closed number", &[EBADF], &|s| poll(s, CLOSED)),
        ("asking a queue", &[EINVAL], &|s| s.process.devpoll_is_polled(s.kq, s.ready).map(drop)),
        ("asking of a negative number", &[ENOENT], &|s| s.process.devpoll_is_polled(s.devpoll, -1).map(drop)),
        ("reading a set", &[EBADF, EINVAL], &|s| s.process.read(s.devpoll, &mut [0]).map(drop)),
    ]);
}

/// A number whose new owner cannot be in the set keeps its entry, and stands for nothing.
#[test]
fn devpoll_keeps_what_it_cannot_adopt() {
    let s = Setting::new();
    let number = s.process.open("b", 0).unwrap();
    s.write(&[PollFd::new(number, IN)]).unwrap();
    s.process.close(number).unwrap();
    assert_eq!(s.process.dup2(s.devpoll, number), Ok(number));
    let invalid = PollFd { fd: number, events: IN, revents: Conditions::NVAL };
    for _ in 0..2 {
        assert!(s.picture().devpoll.contains(&invalid));
        assert_eq!(s.process.devpoll_is_polled(s.devpoll, number), Ok(Some(IN)));
    }
    s.process.close(number).unwrap();
    assert!(s.picture().devpoll.contains(&invalid));
}

#[test]
fn poll_and_select_refuse_and_change_nothing() {
    let s = Setting::new();
    s.refuses(&[
        ("too many entries", &[EINVAL], &|s| {
            let mut list = vec![PollFd { revents: OUT, ..PollFd::new(s.ready, IN) }; MAX_DESCRIPTORS + 1];
            let result = s.process.poll(&mut list, NOW, None).map(drop);
            assert!(list.iter().all(|entry| entry.revents == OUT));
            result
        }),
        ("a negative count", &[EINVAL], &|s| s.select(-1, &[s.ready])),
        ("the least count", &[EINVAL], &|s| s.select(i32::MIN, &[s.ready])),
        ("a closed number", &[EBADF], &|s| s.select(CLOSED + 1, &[s.ready, CLOSED])),
        ("a number beyond all", &[EBADF], &|s| s.select(i32::MAX, &[s.ready, 1 << 20])),
    ]);
}

#[test]
fn descriptors_refuse_and_change_nothing() {
    let s = Setting::new();
    s.refuses(&[
        ("closing what is closed", &[EBADF], &|s| s.process.close(CLOSED)),
        ("closing a negative number", &[EBADF], &|s| s.process.close(i32::MIN)),
        ("duplicating what is closed", &[EBADF], &|s| s.process.dup(CLOSED).map(drop)),
        ("a negative duplicate", &[EBADF], &|s| s.process.dup2(s.ready, -1).map(drop)),
        ("a duplicate beyond all", &[EBADF], &|s| s.process.dup2(s.ready, i32::MAX).map(drop)),
        ("a duplicate of what is closed", &[EBADF], &|s| s.process.dup2(CLOSED, s.idle).map(drop)),
        ("reading a queue", &[EBADF], &|s| s.process.read(s.kq, &mut [0]).map(drop)),
        ("writing to an epoll set", &[EBADF], &|s| s.process.write(s.epoll, &[0]).map(drop)),
        ("reading what is closed", &[EBADF], &|s| s.process.read(CLOSED, &mut [0]).map(drop)),
        ("a pipe with unknown flags", &[EINVAL], &|s| s.process.pipe(1).map(drop)),
        ("a socket with unknown flags", &[EINVAL], &|s| {
            s.process.socket(libkq::process::SocketType::Stream, 2).map(drop)
        }),
        ("a pair with unknown flags", &[EINVAL], &|s| {
            s.process.socketpair(libkq::process::SocketType::Stream, 1 << 40).map(drop)
        }),
        ("to accept with unknown flags", &[EINVAL], &|s| s.process.accept(s.ready, 1).map(drop)),
        ("a socket of type 0", &[EINVAL], &|_| libkq::process::SocketType::try_from(0).map(drop)),
        ("a ring beyond all", &[EINVAL], &|s| {
            UserRing::new(s.process.queue(s.kq)?, usize::MAX).map(|_: UserRing<World>| ())
        }),
        ("a ring of a set", &[EBADF], &|s| s.process.queue(s.epoll).map(|queue| drop(Arc::clone(&queue)))),
    ]);
}

/// The longest timeouts are waits, and those of what is ready are none.
#[test]
fn the_longest_timeouts_are_no_error() {
    let s = Setting::new();
    for timeout in [Duration::MAX, Duration::from_nanos(u64::MAX), Duration::from_secs(u64::MAX >> 1)] {
        let timeout = Some(timeout);
        assert_eq!(s.process.kevent(s.kq, &[], &mut [KEvent::default()], timeout), Ok(1));
        assert_eq!(s.process.epoll_wait(s.epoll, &mut [EpollEvent::default()], timeout), Ok(1));
        assert_eq!(s.process.devpoll_poll(s.devpoll, &mut [PollFd::default()], timeout, None), Ok(1));
        assert_eq!(s.process.poll(&mut [PollFd::new(s.ready, IN)], timeout, None), Ok(1));
        let mut set: FdSet = [s.ready].into_iter().collect();
        assert_eq!(s.process.select(s.ready + 1, [Some(&mut set), None, None], timeout, None), Ok(1));
    }
}
