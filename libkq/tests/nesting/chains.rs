//! Sets in sets: what they tell, which there can be, and how they go.

use abi::error::{EINVAL, ELOOP};
use libkq::conditions::Conditions;
use libkq::epoll::{EpollEvent, EpollFlags, EpollOp};
use libkq::poll::{FdSet, PollFd};
use libkq::{Error, KEvent};

use crate::setting::{IN, NOW, setting};

#[test]
fn r37_a_queue_can_be_read_when_it_has_something_to_tell_and_data_is_how_much() {
    let s = setting();
    let (outer, inner) = (s.kqueue(), s.watching("a"));
    s.change(outer, KEvent::read(inner).add().udata(3)).unwrap();
    assert_eq!(s.take(outer), []);
    s.world.readable("a", 9);
    s.change(inner, KEvent::user(1).add().trigger()).unwrap();
    let events = s.take(outer);
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].ident, events[0].data, events[0].udata), (inner as usize, 2, 3));
    // Looking from outside takes nothing.
    assert_eq!(s.take(inner).len(), 2);
    s.world.drained_to("a", 0);
    s.change(inner, KEvent::user(1).delete()).unwrap();
    assert_eq!(s.take(outer), []);
    s.world.readable("a", 1);
    assert_eq!(s.take(outer)[0].data, 1);
}

#[test]
fn r37_five_sets_in_a_chain_and_no_more() {
    let s = setting();
    let sets = [s.kqueue(), s.epoll(), s.kqueue(), s.epoll(), s.watching("a"), s.kqueue()];
    let put = |outer: usize, inner: usize| match outer {
        1 | 3 => s.add(sets[outer], sets[inner], IN),
        _ => s.change(sets[outer], KEvent::read(sets[inner]).add()),
    };
    // Built from both ends, so that heights and depths count.
    put(0, 1).unwrap();
    put(3, 4).unwrap();
    put(2, 3).unwrap();
    put(1, 2).unwrap();
    assert_eq!(s.change(sets[5], KEvent::read(sets[0]).add()), Err(Error::new(ELOOP)));
    assert_eq!(put(4, 5), Err(Error::new(ELOOP)));
    s.world.readable("a", 1);
    assert_eq!(s.take(sets[0])[0].ident, sets[1] as usize);
    // What is taken out counts no more.
    s.process.epoll_ctl(sets[1], EpollOp::Delete, sets[2], EpollEvent::default()).unwrap();
    assert_eq!(s.take(sets[0]), []);
    s.change(sets[5], KEvent::read(sets[0]).add()).unwrap();
    put(4, 5).unwrap_err();
}

#[test]
fn r37_sets_with_too_many_chains_between_them_are_refused_and_looks_are_short() {
    let s = setting();
    let layers = [(); 4].map(|()| [(); 12].map(|()| s.epoll()));
    let refused = layers.windows(2).map(|pair| {
        let edges = pair[0].iter().flat_map(|&outer| pair[1].map(|inner| (outer, inner)));
        edges.filter(|&(outer, inner)| {
            let added = s.add(outer, inner, IN);
            assert!(added.is_ok() || added == Err(Error::new(EINVAL)));
            added.is_err()
        })
    });
    let refused: Vec<usize> = refused.map(Iterator::count).collect();
    // 12 x 12 chains are few, 12 x 12 x 12 are too many.
    assert_eq!(refused[..2], [0, 0]);
    assert!(refused[2] > 0 && refused[2] < 144, "{refused:?}");
    let inner = s.watching("a");
    s.add(layers[1][0], inner, IN).unwrap();
    s.world.readable("a", 1);
    assert_eq!(s.told(layers[0][0]), [layers[1][0]]);
}

#[test]
fn r37_as_many_sets_in_one_as_a_process_has() {
    let s = setting();
    let outer = s.kqueue();
    for _ in 0..libkq::nesting::WAYS - 1 {
        s.change(outer, KEvent::read(s.epoll()).add()).unwrap();
    }
    assert_eq!(s.change(outer, KEvent::read(s.epoll()).add()), Err(Error::new(EINVAL)));
}

#[test]
fn r37_rings_are_refused_and_r38_a_set_in_itself() {
    let s = setting();
    let (a, b, c) = (s.kqueue(), s.epoll(), s.kqueue());
    assert_eq!(s.change(a, KEvent::read(a).add()), Err(Error::new(EINVAL)));
    let copy = s.process.dup(a).unwrap();
    assert_eq!(s.change(a, KEvent::read(copy).add()), Err(Error::new(EINVAL)));
    assert_eq!(s.add(b, b, IN), Err(Error::new(EINVAL)));
    s.change(a, KEvent::read(b).add()).unwrap();
    s.add(b, c, IN).unwrap();
    assert_eq!(s.change(c, KEvent::read(a).add()), Err(Error::new(ELOOP)));
    assert_eq!(s.change(c, KEvent::read(b).add()), Err(Error::new(ELOOP)));
    assert_eq!(s.add(b, a, IN), Err(Error::new(ELOOP)));
    // Only reading is something that a set knows.
    let refused = s.change(c, KEvent::write(a).add());
    assert_eq!(refused, Err(Error::new(EINVAL)));
}

#[test]
fn r37_one_shots_and_switches_work_for_sets_too() {
    let s = setting();
    let (outer, inner) = (s.kqueue(), s.watching("a"));
    s.world.readable("a", 1);
    s.change(outer, KEvent::read(inner).add().dispatch()).unwrap();
    assert_eq!((s.take(outer).len(), s.take(outer).len()), (1, 0));
    s.change(outer, KEvent::read(inner).enable()).unwrap();
    assert_eq!((s.take(outer).len(), s.take(outer).len()), (1, 0));
    s.change(outer, KEvent::read(inner).delete()).unwrap();
    s.change(outer, KEvent::read(inner).add().oneshot()).unwrap();
    assert_eq!((s.take(outer).len(), s.take(outer).len()), (1, 0));
    let ep = s.epoll();
    s.add(ep, inner, IN | EpollFlags::ONESHOT).unwrap();
    assert_eq!((s.told(ep), s.told(ep)), (vec![inner], vec![]));
    s.process.epoll_ctl(ep, EpollOp::Modify, inner, EpollEvent::new(IN, 4)).unwrap();
    assert_eq!((s.told(ep), s.told(ep)), (vec![4], vec![4]));
}

#[test]
fn r37_poll_select_and_dev_poll_see_sets() {
    let s = setting();
    let inner = s.watching("a");
    let dp = s.process.open("/dev/poll", 0).unwrap();
    s.process.devpoll_write(dp, &[PollFd::new(inner, Conditions::IN)]).unwrap();
    let poll = || {
        let mut list = [PollFd::new(inner, Conditions::IN | Conditions::OUT)];
        (s.process.poll(&mut list, NOW, None).unwrap(), list[0].revents)
    };
    let select = || {
        let mut set: FdSet = [inner].into_iter().collect();
        s.process.select(inner + 1, [Some(&mut set), None, None], NOW, None).unwrap()
    };
    let devpoll = || s.process.devpoll_poll(dp, &mut [PollFd::default(); 2], NOW, None).unwrap();
    for round in 1..4 {
        assert_eq!((poll(), select(), devpoll()), ((0, Conditions::empty()), 0, 0));
        s.world.readable("a", round);
        assert_eq!((poll(), select(), devpoll()), ((1, Conditions::IN), 1, 1));
        s.world.drained_to("a", 0);
    }
    s.process.close(inner).unwrap();
    assert_eq!(poll(), (1, Conditions::NVAL));
    assert_eq!(devpoll(), 1);
}

#[test]
fn r31_a_set_that_is_closed_is_in_no_set_any_more() {
    let s = setting();
    let (outer, ep, inner) = (s.kqueue(), s.epoll(), s.watching("a"));
    s.change(outer, KEvent::read(inner).add()).unwrap();
    s.add(ep, inner, IN).unwrap();
    s.world.readable("a", 1);
    s.process.close(inner).unwrap();
    assert_eq!((s.take(outer), s.told(ep)), (vec![], vec![]));
    assert_eq!(s.process.kqueue(), Ok(inner));
    assert_eq!((s.take(outer), s.told(ep)), (vec![], vec![]));
}
