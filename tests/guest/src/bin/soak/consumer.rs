//! Threads with sets of their own: each watches a channel that nobody else watches, and some that others watch too.

use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::error::{ENOENT, Error};
use guest_tests::{Failure, Outcome};

use crate::field::{STOP, Worker};
use crate::record::Channel;
use crate::sets::{self, Mode, Set, Told};
use crate::shared::Way;
use crate::token::Promise;

/// A note in the set.
struct Watch {
    channel: usize,
    /// A duplicate of the channel's number, this thread's own.
    fd: i32,
    mode: Mode,
    slot: usize,
    token: u64,
    /// How often it was told, and what had been written when it was made.
    tells: u64,
    written: u64,
}

/// One set after the other, of whatever interface, and visits to sets that others wait for too.
pub fn run(worker: &mut Worker, own: usize) -> Outcome {
    while !visit_or_session(worker, own)? {}
    Ok(())
}

fn visit_or_session(worker: &mut Worker, own: usize) -> Outcome<bool> {
    let field = worker.field;
    if worker.one_in(5) {
        // Its own channel waits meanwhile: not for ever.
        let set = worker.random.below(field.sets.len() as u64) as usize;
        let rounds = 1 + worker.random.below(8);
        for _ in 0..rounds {
            let timeout = worker.timeout().unwrap_or(core::time::Duration::from_millis(3));
            if field.sets[set].round(worker, Some(timeout))? == Way::Stop {
                return Ok(true);
            }
        }
    }
    let set = sets::any(&mut worker.random)?;
    session(worker, &*set, own)
}

/// True when all is over.
fn session(worker: &mut Worker, set: &dyn Set, own: usize) -> Outcome<bool> {
    let field = worker.field;
    let mut watches: Vec<Watch> = Vec::new();
    worker.doing("adding to a set of", set.name().len() as u64);
    set.add(field.stop.0, Mode::Level, STOP)?;
    watch(worker, set, &mut watches, own)?;
    for _ in 0..worker.random.below(4) {
        watch_common(worker, set, &mut watches)?;
    }
    let rounds = 4 + worker.random.below(60);
    let mut over = false;
    for _ in 0..rounds {
        if worker.one_in(4) {
            change(worker, set, &mut watches, own)?;
        }
        over = round(worker, set, &mut watches, own)?;
        if over {
            break;
        }
    }
    while let Some(watch) = watches.pop() {
        unwatch(worker, set, watch)?;
    }
    Ok(over)
}

fn watch_common(worker: &mut Worker, set: &dyn Set, watches: &mut Vec<Watch>) -> Outcome {
    let channel = worker.random.below(worker.field.common as u64) as usize;
    // A number of its own for each: two notes on one channel in one set are as good as any.
    watch(worker, set, watches, channel)
}

fn watch(worker: &mut Worker, set: &dyn Set, watches: &mut Vec<Watch>, channel: usize) -> Outcome {
    let field = worker.field;
    let mode = *worker.random.pick(set.modes());
    let (fd, written) = (libkq::dup(field.channels[channel].reader)?, field.channels[channel].written());
    let slot = worker.slot()?;
    let token = field.tokens.issue(slot, promise(mode), channel as u64);
    set.add(fd, mode, token)?;
    watches.push(Watch { channel, fd, mode, slot, token, tells: 0, written });
    Ok(())
}

fn promise(mode: Mode) -> Promise {
    if mode.is_once() { Promise::Once } else { Promise::Many }
}

/// Takes a note out, in one of the ways that there are, and closes its number.
fn unwatch(worker: &mut Worker, set: &dyn Set, watch: Watch) -> Outcome {
    let told = worker.field.tokens.was_told(watch.token);
    // A number whose notes stay may be closed only after them: another thread's file has it next.
    if set.forgets_closed() && worker.one_in(2) {
        libkq::close(watch.fd)?;
    } else {
        match set.remove(watch.fd) {
            // R10: it is gone with its only event.
            Err(Error { errno: ENOENT, .. }) if watch.mode == Mode::Oneshot && told => {}
            removed => removed?,
        }
        libkq::close(watch.fd)?;
    }
    worker.field.tokens.retire(watch.token, true);
    worker.give_back(watch.slot);
    Ok(())
}

/// Something happens to the set between two waits.
fn change(worker: &mut Worker, set: &dyn Set, watches: &mut Vec<Watch>, own: usize) -> Outcome {
    let at = worker.random.below(watches.len() as u64) as usize;
    match worker.random.below(4) {
        0 if watches.len() < 8 => watch_common(worker, set, watches),
        1 | 2 => {
            let gone = watches.swap_remove(at);
            let channel = gone.channel;
            unwatch(worker, set, gone)?;
            if channel == own { watch(worker, set, watches, own) } else { Ok(()) }
        }
        _ if watches[at].mode.is_once() => again(worker, set, &mut watches[at]),
        _ => Ok(()),
    }
}

/// Arms a note with a new token: what the old one was told of is told no more.
fn again(worker: &mut Worker, set: &dyn Set, watch: &mut Watch) -> Outcome {
    let tokens = &worker.field.tokens;
    tokens.retire(watch.token, true);
    watch.token = tokens.issue(watch.slot, promise(watch.mode), watch.channel as u64);
    set.rearm(watch.fd, watch.mode, watch.token)?;
    Ok(())
}

/// Waits once and does what was told. True when all is over.
fn round(worker: &mut Worker, set: &dyn Set, watches: &mut Vec<Watch>, own: usize) -> Outcome<bool> {
    let field = worker.field;
    let (most, timeout) = (1 + worker.random.below(4) as usize, worker.timeout());
    let began = worker.doing(set.name(), own as u64);
    let told = set.wait(most, timeout)?;
    worker.doing("doing what was told by", own as u64);
    field.events.fetch_add(told.len() as u64, Ordering::Relaxed);
    if told.is_empty() && timeout.is_none() && !set.name().contains(" in ") {
        return Err(Failure::new(format!("{}: nothing, without a timeout", set.name())));
    }
    for told in told {
        let at = match told {
            Told::Token(STOP) => return Ok(true),
            Told::Number(number) if number == field.stop.0 => return Ok(true),
            Told::Token(token) => {
                field.tokens.told(token, began)?;
                watches.iter().position(|watch| watch.token == token)
            }
            Told::Number(number) => watches.iter().position(|watch| watch.fd == number),
        };
        let Some(at) = at else {
            return Err(Failure::new(format!("{}: told {told:?}, which it does not watch", set.name())));
        };
        let watch = &mut watches[at];
        let channel = &field.channels[watch.channel];
        watch.tells += 1;
        // R15, R40: an edge is a write: one since the note was made, the one that was under way then, or what was there.
        // The same of a channel that is passed on would be of what the other process writes.
        if watch.mode.is_edge() && watch.channel == own {
            let edges = channel.written().saturating_sub(watch.written) + 2;
            if watch.tells > edges {
                return Err(Failure::new(format!("{}: {} tells of {edges} edges", set.name(), watch.tells)));
            }
        }
        let taken = drain(worker, channel, watch.fd, watch.mode)?;
        // R11: nobody else reads it, and one note of this set alone tells of it. So it is so.
        if watch.channel == own && taken == 0 {
            return Err(Failure::new(format!(
                "{}: told of channel {own} ({:?}), and there is nothing to read",
                set.name(),
                watch.mode
            )));
        }
        if !watch.mode.is_once() {
            continue;
        }
        // Its own it must go on watching.
        if watch.channel == own || worker.one_in(2) {
            again(worker, set, &mut watches[at])?;
        } else {
            let gone = watches.swap_remove(at);
            unwatch(worker, set, gone)?;
        }
    }
    Ok(false)
}

/// Reads as much as the note obliges to. Returns how many records that were.
pub fn drain(worker: &mut Worker, channel: &Channel, fd: i32, mode: Mode) -> Outcome<usize> {
    let all = mode.is_edge() || worker.one_in(3);
    let records = if worker.one_in(8) { 64 } else { 1 + worker.random.below(4) as usize };
    channel.take(&worker.field.channels, fd, records, all)
}
