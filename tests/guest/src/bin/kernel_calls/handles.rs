//! Handles: duplicates, rights, badges, staleness.

use abi::error::{EBADF, EINVAL, EPERM};
use abi::handle::Kind;
use abi::{Handle, Message, Rights, Tag};
use guest_tests::Outcome;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::mini::{self, Plan};
use rt::sys::{self, Endpoint, Memory, Notification, Object, Thread};

use crate::Test;

pub const TESTS: &[Test] = &[
    ("a_closed_handle_is_ebadf", a_closed_handle_is_ebadf),
    ("a_stale_number_is_ebadf_though_its_slot_is_in_use", a_stale_number_is_ebadf_though_its_slot_is_in_use),
    ("a_fresh_handle_says_what_it_is", a_fresh_handle_says_what_it_is),
    ("a_duplicate_never_has_more_rights", a_duplicate_never_has_more_rights),
    ("each_right_is_needed", each_right_is_needed),
    ("badges_are_minted_once", badges_are_minted_once),
    ("receive_is_not_duplicated", receive_is_not_duplicated),
    ("a_grant_arrives_with_fewer_rights", a_grant_arrives_with_fewer_rights),
];

fn a_closed_handle_is_ebadf() -> Outcome {
    let handle = Notification::create()?.into_handle();
    sys::close(handle)?;
    refused(sys::close(handle), EBADF)?;
    refused(sys::close(Handle::NONE), EBADF)?;
    refused(sys::close(Handle(u64::MAX)), EBADF)
}

fn a_stale_number_is_ebadf_though_its_slot_is_in_use() -> Outcome {
    let stale = Notification::create()?.into_handle();
    sys::close(stale)?;
    // Whichever slot the kernel takes: with so many one of them is the old one.
    let fresh =
        (0..200).map(|_| Notification::create()).collect::<abi::error::Result<alloc::vec::Vec<_>>>()?;
    ensure(fresh.iter().any(|f| f.handle().index() == stale.index()), "the slot is in use again")?;
    ensure(fresh.iter().all(|f| f.handle() != stale), "no fresh handle has the stale number")?;
    refused(sys::signal(stale, 1), EBADF)?;
    refused(sys::info(stale), EBADF)?;
    refused(sys::close(stale), EBADF)?;
    for notification in &fresh {
        equal(notification.poll()?, 0)?;
    }
    Ok(())
}

fn a_fresh_handle_says_what_it_is() -> Outcome {
    let endpoint = Endpoint::create()?.info()?;
    equal(endpoint.kind, Kind::Endpoint as u32)?;
    let all = Rights::WRITE | Rights::RECEIVE | Rights::MINT | Rights::DUPLICATE | Rights::TRANSFER;
    equal(Rights::from_bits_truncate(endpoint.rights), all)?;
    equal(endpoint.badge, 0)?;
    equal(Notification::create()?.info()?.kind, Kind::Notification as u32)?;
    let memory = Memory::create(12288)?.info()?;
    equal((memory.kind, memory.detail), (Kind::Memory as u32, 12288))?;
    equal(sys::info(rt::start::start().process())?.kind, Kind::Process as u32)?;
    equal(sys::info(rt::thread::current())?.kind, Kind::Thread as u32)?;
    let badged = Endpoint::create()?;
    equal(badged.with_badge(Rights::all(), 0xfeed)?.info()?.badge, 0xfeed)
}

fn a_duplicate_never_has_more_rights() -> Outcome {
    let notification = Notification::create()?;
    let less = notification.restricted(Rights::READ | Rights::DUPLICATE)?;
    let again = less.restricted(Rights::all())?;
    equal(Rights::from_bits_truncate(again.info()?.rights), Rights::READ | Rights::DUPLICATE)?;
    refused(again.signal(1), EPERM)?;
    let none = less.restricted(Rights::empty())?;
    equal(none.info()?.rights, 0)?;
    refused(none.duplicate(), EPERM)
}

fn each_right_is_needed() -> Outcome {
    let but = |right: Rights| Rights::all() - right;
    let notification = Notification::create()?;
    refused(notification.restricted(but(Rights::WRITE))?.signal(1), EPERM)?;
    refused(notification.restricted(but(Rights::READ))?.poll(), EPERM)?;
    refused(notification.restricted(but(Rights::READ))?.wait(0), EPERM)?;
    refused(notification.restricted(but(Rights::DUPLICATE))?.duplicate(), EPERM)?;
    refused(notification.restricted(but(Rights::MINT))?.with_badge(Rights::all(), 1), EPERM)?;

    let endpoint = Endpoint::create()?;
    let words = Message { tag: Tag::words(1), words: [0; 4] };
    refused(endpoint.restricted(but(Rights::WRITE))?.call(words, 0), EPERM)?;
    refused(endpoint.duplicate()?.recv(0), EPERM)?;
    refused(endpoint.restricted(but(Rights::MINT))?.with_badge(Rights::all(), 1), EPERM)?;

    let memory = Memory::create(4096)?;
    use abi::flag::MapFlags;
    for (right, protection) in [
        (Rights::READ, MapFlags::PROT_READ),
        (Rights::WRITE, MapFlags::PROT_READ | MapFlags::PROT_WRITE),
        (Rights::EXECUTE, MapFlags::PROT_READ | MapFlags::PROT_EXEC),
    ] {
        let less = memory.restricted(but(right))?;
        refused(less.map(0, 4096, protection), EPERM)?;
        memory.map(0, 4096, protection)?;
    }

    let child = Plan::new(mini::spins()).create()?;
    let process = child.process.restricted(but(Rights::CONTROL))?;
    refused(process.kill(0), EPERM)?;
    refused(process.grant(notification.handle(), Rights::all()), EPERM)?;
    process.status()?;
    refused(child.process.restricted(but(Rights::READ))?.status(), EPERM)?;
    refused(notification.watch_exit(&child.process.restricted(but(Rights::READ))?, 1), EPERM)?;
    let untransferable = notification.restricted(but(Rights::TRANSFER))?;
    refused(child.process.grant(untransferable.handle(), Rights::all()), EPERM)?;
    let thread: Thread = child.thread.restricted(but(Rights::CONTROL))?;
    refused(thread.start(), EPERM)?;
    refused(thread.suspend(), EPERM)?;
    refused(thread.kill(), EPERM)?;
    refused(thread.set_priority(1), EPERM)?;
    refused(thread.set_affinity(1), EPERM)
}

fn badges_are_minted_once() -> Outcome {
    let endpoint = Endpoint::create()?;
    let badged = endpoint.with_badge(Rights::all(), 7)?;
    refused(badged.with_badge(Rights::all(), 8), EPERM)?;
    equal(badged.duplicate()?.info()?.badge, 7)?;
    let notification = Notification::create()?;
    let badged = notification.with_badge(Rights::all(), 0b101)?;
    refused(badged.with_badge(Rights::all(), 1), EPERM)?;
    refused(Memory::create(4096)?.with_badge(Rights::all(), 1), EINVAL).or_else(|_| {
        // Memory has no MINT right, so that reason is as good.
        refused(Memory::create(4096)?.with_badge(Rights::all(), 1), EPERM)
    })
}

fn receive_is_not_duplicated() -> Outcome {
    let endpoint = Endpoint::create()?;
    let duplicate = endpoint.duplicate()?;
    ensure(
        !Rights::from_bits_truncate(duplicate.info()?.rights).contains(Rights::RECEIVE),
        "a duplicate cannot receive",
    )
}

fn a_grant_arrives_with_fewer_rights() -> Outcome {
    let child = Plan::new(mini::waits()).create()?;
    let notification = Notification::create()?;
    let there = child.process.grant(notification.handle(), Rights::READ)?;
    ensure(!there.is_none(), "the grant names the handle there")?;
    child.set(0, there.0);
    child.thread.start()?;
    guest_tests::a_moment();
    equal(child.process.status()?.state, abi::status::State::Alive as u32)?;
    child.process.kill(3)?;
    equal(child.ended()?.code, 3)?;
    refused(child.process.grant(notification.handle(), Rights::READ), abi::error::ESRCH)
}
