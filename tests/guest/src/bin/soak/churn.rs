//! Threads that make notes in sets that others wait for, and take them away again.

use alloc::format;
use core::time::Duration;

use abi::error::{ENOENT, Error, Result};
use abi::flag::O_NONBLOCK;
use guest_tests::{Failure, Outcome};
use libkq::KEvent;

use crate::field::Worker;
use crate::sets::Mode;
use crate::shared::{Kind, NOTHING, SharedSet, change};
use crate::token::Promise;

/// One act after the other, until it is enough.
pub fn run(worker: &mut Worker) -> Outcome {
    while !worker.field.is_enough() {
        match worker.random.below(6) {
            0 => user_event(worker)?,
            1 => timer(worker)?,
            2 => oneshot(worker)?,
            3 => armed_again(worker)?,
            _ => never_true(worker)?,
        }
        worker.pause();
    }
    Ok(())
}

fn some_set(worker: &mut Worker, such: impl Fn(&SharedSet) -> bool) -> &'static SharedSet {
    loop {
        let set = worker.random.below(worker.field.sets.len() as u64) as usize;
        if such(&worker.field.sets[set]) {
            return &worker.field.sets[set];
        }
    }
}

/// A pipe of its own.
struct Pipe {
    reader: i32,
    writer: i32,
}

impl Pipe {
    fn new() -> Result<Pipe> {
        libkq::pipe(O_NONBLOCK).map(|(reader, writer)| Pipe { reader, writer })
    }

    fn fill(&self) -> Result<()> {
        libkq::write(self.writer, b"?").map(drop)
    }

    fn close(self) -> Result<()> {
        libkq::close(self.reader).and(libkq::close(self.writer))
    }
}

/// R10, R36: a note that is told once is told once, or deleted before that: one of the two.
fn told_or_deleted(worker: &mut Worker, token: u64, delete: Option<Result<()>>, what: &str) -> Outcome {
    let tokens = &worker.field.tokens;
    match delete {
        Some(Ok(())) if tokens.was_told(token) => {
            return Err(Failure::new(format!("{what}: told, and then there was one to delete")));
        }
        Some(Ok(())) => {}
        Some(Err(error)) if error.errno != ENOENT => return Err(error.into()),
        _ => {
            worker.doing("waiting that somebody is told", token);
            if !worker.until(|| tokens.was_told(token)) && !worker.field.has_failed() {
                return Err(Failure::new(format!("{what}: lost: nobody was told of {token:#x}")));
            }
        }
    }
    tokens.retire(token, true);
    Ok(())
}

/// R27: each trigger of a one-shot user event is told to one thread.
fn user_event(worker: &mut Worker) -> Outcome {
    let set = some_set(worker, SharedSet::is_queue);
    let slot = worker.slot()?;
    let token = worker.field.tokens.issue(slot, Promise::Once, NOTHING);
    let event = KEvent::user(slot).udata(token as usize);
    worker.doing("a user event in shared set", set.number as u64);
    let trigger_at_once = worker.one_in(2);
    let add = if trigger_at_once { event.add().oneshot().trigger() } else { event.add().oneshot() };
    change(set.set, add)?;
    if worker.one_in(3) {
        worker.pause();
    }
    if !trigger_at_once {
        change(set.set, event.trigger())?;
    }
    let delete = worker.one_in(2).then(|| change(set.set, event.delete()));
    told_or_deleted(worker, token, delete, "user event")?;
    worker.give_back(slot);
    Ok(())
}

/// R25: a timer that runs once is told once.
fn timer(worker: &mut Worker) -> Outcome {
    let set = some_set(worker, SharedSet::is_queue);
    let slot = worker.slot()?;
    let token = worker.field.tokens.issue(slot, Promise::Once, NOTHING);
    let event = KEvent::timer(slot).udata(token as usize);
    worker.doing("a timer in shared set", set.number as u64);
    change(set.set, event.after(Duration::from_micros(worker.random.below(2000))))?;
    let delete = worker.one_in(2).then(|| {
        rt::thread::sleep(worker.random.below(1_000_000));
        change(set.set, event.delete())
    });
    told_or_deleted(worker, token, delete, "timer")?;
    worker.give_back(slot);
    Ok(())
}

/// R10: one of many waiters is told of a one-shot note, or it is deleted, or its number is closed.
fn oneshot(worker: &mut Worker) -> Outcome {
    let set = some_set(worker, SharedSet::is_queue);
    let pipe = Pipe::new()?;
    let slot = worker.slot()?;
    let tokens = &worker.field.tokens;
    let token = tokens.issue(slot, Promise::Once, NOTHING);
    worker.doing("a one-shot note in shared set", set.number as u64);
    let before = worker.one_in(2);
    if before {
        pipe.fill()?;
    }
    set.watch(pipe.reader, Mode::Oneshot, token)?;
    if !before {
        pipe.fill()?;
    }
    if worker.one_in(3) {
        pipe.close()?;
        // Whether it was told before that, nobody knows.
        tokens.retire(token, false);
    } else {
        let delete = worker.one_in(2).then(|| set.unwatch(pipe.reader));
        told_or_deleted(worker, token, delete, "one-shot note")?;
        pipe.close()?;
    }
    worker.give_back(slot);
    Ok(())
}

/// R16, R39: a note that is silent after it was told is told once more each time that it is armed.
fn armed_again(worker: &mut Worker) -> Outcome {
    let set = some_set(worker, |set| set.kind != Kind::DevPoll);
    let mode = if set.is_queue() { Mode::Dispatch } else { Mode::Oneshot };
    let pipe = Pipe::new()?;
    pipe.fill()?;
    let slot = worker.slot()?;
    let tokens = &worker.field.tokens;
    let mut token = tokens.issue(slot, Promise::Once, NOTHING);
    worker.doing("a note that is armed in shared set", set.number as u64);
    set.watch(pipe.reader, mode, token)?;
    for _ in 0..worker.random.below(4) {
        told_or_deleted(worker, token, None, "armed note")?;
        token = tokens.issue(slot, Promise::Once, NOTHING);
        set.rearm(pipe.reader, mode, token)?;
    }
    if worker.one_in(2) {
        set.unwatch(pipe.reader)?;
        pipe.close()?;
    } else {
        pipe.close()?;
    }
    // Whether the last one was told before that, nobody knows.
    tokens.retire(token, false);
    worker.give_back(slot);
    Ok(())
}

/// R31, R35: a note on a pipe without bytes, which is deleted, closed, or whose number becomes a pipe with bytes.
fn never_true(worker: &mut Worker) -> Outcome {
    let set = some_set(worker, |set| set.kind != Kind::DevPoll);
    let pipe = Pipe::new()?;
    let slot = worker.slot()?;
    let field = worker.field;
    let token = field.tokens.issue(slot, Promise::None, NOTHING);
    let mode = *worker.random.pick(&[Mode::Level, Mode::Edge, Mode::Oneshot]);
    worker.doing("a note that is never true in shared set", set.number as u64);
    set.watch(pipe.reader, mode, token)?;
    if worker.one_in(2) {
        worker.pause();
    }
    match worker.random.below(3) {
        0 => {
            match set.unwatch(pipe.reader) {
                Err(Error { errno: ENOENT }) => {
                    return Err(Failure::new("a note that was never told is gone"));
                }
                deleted => deleted?,
            }
            // True only now.
            pipe.fill()?;
        }
        1 => {
            // R31: the number is another file's, which has bytes.
            libkq::dup2(field.full.0, pipe.reader)?;
        }
        _ => {
            libkq::close(pipe.reader)?;
            let other = Pipe::new()?;
            other.fill()?;
            worker.pause();
            other.close()?;
            libkq::close(pipe.writer)?;
            worker.pause();
            field.tokens.retire(token, true);
            worker.give_back(slot);
            return Ok(());
        }
    }
    worker.pause();
    pipe.close()?;
    worker.pause();
    field.tokens.retire(token, true);
    worker.give_back(slot);
    Ok(())
}
