//! What processes do.

use libkq::devpoll::PATH as DEV_POLL;
use libkq::{EpollEvent, EpollFlags, EventFlags, Filter, KEvent, PollFd};

use super::answer::{self, Answer};
use super::files::path_of;
use super::parked::{self, Parked, Resolved};
use super::{NESTED_EDGES, NOW, Run};
use crate::rules::Rules;
use crate::rules::process::{Process as Known, What};
use crate::script::{Act, PROCESSES, SetKind};

impl Run {
    pub(super) fn act(&mut self, process: usize, act: Act) {
        if !matches!(act, Act::Look(_) | Act::Open(_) | Act::Dup(_) | Act::Dup2(..) | Act::Pass(_)) {
            self.adopt(process);
        }
        if matches!(act, Act::Open(_) | Act::Make(_) | Act::Dup(_) | Act::Dup2(..) | Act::Pass(_)) {
            self.before_a_number_is_open();
        }
        let real = self.members[process].process.clone();
        match act {
            Act::Open(path) => {
                let fd = real.open(&path_of(path), 0).unwrap();
                let what = What::File(self.files[path]);
                assert_eq!(fd, self.known(process).open(what), "the lowest free number");
            }
            Act::Make(kind) => self.make(process, kind),
            Act::Dup(fd) => {
                if self.would_be_adopted(process, fd, self.known_lowest(process)) {
                    return;
                }
                assert_eq!(real.dup(fd).ok(), self.known(process).dup(fd), "dup({fd})");
            }
            Act::Dup2(fd, to) => {
                if self.would_be_adopted(process, fd, to) {
                    return;
                }
                assert_eq!(real.dup2(fd, to).ok(), self.known(process).dup2(fd, to), "dup2({fd}, {to})");
                self.run();
            }
            Act::Close(fd) => {
                assert_eq!(real.close(fd).is_ok(), self.known(process).close(fd), "close({fd})");
                self.run();
            }
            Act::Pass(fd) => self.pass(process, fd),
            Act::Kevent(nth, changes, room) => {
                if let Some(kq) = self.nth_set(process, Some(SetKind::Kqueue), nth) {
                    self.kevent(process, kq, changes, room);
                }
            }
            Act::Control(nth, op, fd, flags, data) => {
                let Some(epfd) = self.nth_set(process, Some(SetKind::Epoll), nth) else { return };
                let nested = !NESTED_EDGES && self.is_set(process, fd);
                let flags = if nested { flags.difference(EpollFlags::ET) } else { flags };
                let event = EpollEvent::new(flags, data);
                let Rules { processes, files, .. } = &mut self.rules;
                let known = processes[process].as_mut().expect("alive");
                let expected = known.control(epfd, op, fd, event, files);
                let done = real.epoll_ctl(epfd, op, fd, event);
                answer::same(done, expected, &format!("epoll_ctl({epfd}, {op:?}, {fd}, {event:?})"));
            }
            Act::Write(nth, list) => self.write(process, nth, list),
            Act::IsPolled(nth, fd) => {
                let Some(set) = self.nth_set(process, Some(SetKind::DevPoll), nth) else { return };
                let known = self.known(process);
                let own = known.table[&set];
                let wanted = known.devpoll(own).entries.get(&fd).copied();
                assert_eq!(real.devpoll_is_polled(set, fd).ok().flatten(), wanted);
            }
            Act::Look(call) => {
                let Some(call) = parked::resolve(self, process, call) else { return };
                if !matches!(call, Resolved::DevPoll(..)) {
                    self.adopt(process);
                }
                let answer = Answer::of(&real, &call, NOW);
                answer::check(&mut self.rules, process, &call, answer);
            }
            Act::Park(call, timeout) => {
                if let Some(call) = parked::resolve(self, process, call) {
                    // What asks about no set may ask about nothing.
                    let timeout = if call.is_of_set() { timeout } else { timeout.or(Some(1000)) };
                    let parked = Parked::begin(self, process, call, timeout);
                    self.parked.push(parked);
                    // Its time begins when it calls.
                    self.run();
                }
            }
            Act::Attempt(signal) => {
                self.world.attempt(self.members[process].number, signal);
                self.rules.attempt(process, signal as usize);
            }
            Act::Die => self.die(process),
        }
    }

    /// Who was woken since a number is not open looks before it is.
    fn before_a_number_is_open(&mut self) {
        let sets = self.rules.processes.iter_mut().flatten().flat_map(Known::sets);
        if sets.into_iter().any(|what| matches!(what, What::DevPoll(set) if !set.stale.is_empty())) {
            self.run();
        }
    }

    /// Asks the /dev/poll sets that do not know yet that a number is open again.
    fn adopt(&mut self, process: usize) {
        for fd in self.known(process).stale() {
            let own = self.known(process).table[&fd];
            let call = Resolved::DevPoll(fd, own, 64);
            let answer = Answer::of(&self.members[process].process, &call, NOW);
            answer::check(&mut self.rules, process, &call, answer);
        }
    }

    fn make(&mut self, process: usize, kind: SetKind) {
        if self.has_entry(process, self.known_lowest(process)) {
            return;
        }
        let real = &self.members[process].process;
        let (fd, what) = match kind {
            SetKind::Kqueue => (real.kqueue(), What::Kqueue(Default::default())),
            SetKind::Epoll => (real.epoll_create(0), What::Epoll(Default::default())),
            SetKind::DevPoll => (real.open(DEV_POLL, 0), What::DevPoll(Default::default())),
        };
        assert_eq!(fd.unwrap(), self.known(process).open(what));
    }

    fn known_lowest(&self, process: usize) -> i32 {
        self.rules.processes[process].as_ref().map_or(0, Known::lowest)
    }

    fn is_set(&self, process: usize, fd: i32) -> bool {
        let Some(known) = &self.rules.processes[process] else { return false };
        known.table.get(&fd).is_some_and(|&description| !matches!(known.what(description), What::File(_)))
    }

    /// Whether any /dev/poll set has an entry for a number.
    fn has_entry(&mut self, process: usize, fd: i32) -> bool {
        let sets = self.known(process).sets();
        sets.into_iter().any(|what| matches!(what, What::DevPoll(set) if set.entries.contains_key(&fd)))
    }

    /// A /dev/poll set adopts a number that is open again only when it is asked next. Until then nobody says that there is
    /// a ring, and who looks at it from around is told that the number is not open.
    fn would_be_adopted(&mut self, process: usize, fd: i32, to: i32) -> bool {
        if fd == to || !self.has_entry(process, to) {
            return false;
        }
        let watched = self.parked.iter().any(|parked| !parked.is_of_set());
        let known = self.known(process);
        let nested = |&description: &u64| match known.what(description) {
            What::DevPoll(set) => set.entries.contains_key(&to) && known.is_nested(description),
            _ => false,
        };
        watched || known.table.values().any(nested) || self.is_set(process, fd)
    }

    fn pass(&mut self, process: usize, fd: i32) {
        let Some(known) = &self.rules.processes[process] else { return };
        let Some(&description) = known.table.get(&fd) else { return };
        let &What::File(file) = known.what(description) else { return };
        if self.rules.files[file].gone {
            return;
        }
        let other = (process + 1) % PROCESSES;
        let to = &self.members[other].process;
        let received = to.platform().receive_file(self.numbers[file]).unwrap();
        assert_eq!(to.insert(received, 0).unwrap(), self.known(other).open(What::File(file)));
    }

    fn kevent(&mut self, process: usize, kq: i32, mut changes: Vec<KEvent>, room: usize) {
        for change in &mut changes {
            let on_set = change.filter == Filter::READ && self.is_set(process, change.ident as i32);
            if !NESTED_EDGES && on_set {
                change.flags.remove(EventFlags::CLEAR);
            }
        }
        let mut events = vec![KEvent::default(); room];
        let real = self.members[process].process.kevent(kq, &changes, &mut events, NOW);
        answer::kevent(&mut self.rules, process, kq, &changes, room, real.map(|count| &events[..count]));
    }

    fn write(&mut self, process: usize, nth: usize, list: Vec<(i32, libkq::Conditions)>) {
        let Some(fd) = self.nth_set(process, Some(SetKind::DevPoll), nth) else { return };
        let list: Vec<PollFd> = list.into_iter().map(|(fd, events)| PollFd::new(fd, events)).collect();
        let known = self.known(process);
        let own = known.table[&fd];
        let expected = known.devpoll_write(own, &list);
        let done = self.members[process].process.devpoll_write(fd, &list);
        answer::same(done, expected, &format!("write({fd}, {list:?})"));
    }

    /// The number of the so manieth open set of this kind.
    pub(super) fn nth_set(&self, process: usize, kind: Option<SetKind>, nth: usize) -> Option<i32> {
        let known = self.rules.processes[process].as_ref()?;
        let such = |&(_, &description): &(&i32, &u64)| {
            let own = match known.what(description) {
                What::File(_) => return false,
                What::Kqueue(_) => SetKind::Kqueue,
                What::Epoll(_) => SetKind::Epoll,
                What::DevPoll(_) => SetKind::DevPoll,
            };
            kind.is_none_or(|kind| kind == own)
        };
        let all: Vec<i32> = known.table.iter().filter(such).map(|(&fd, _)| fd).collect();
        (!all.is_empty()).then(|| all[nth % all.len()])
    }
}
