//! The process in which it all happens.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::flag::O_NONBLOCK;
use guest_tests::{Failure, Outcome};
use libkq::process_calls::Child;
use rt::clock;
use rt::thread::{Builder, JoinHandle};

use crate::field::{Field, PATIENCE, SLOTS_OF_WORKER, Worker};
use crate::record::{Channel, Kind};
use crate::shared::{CHANNELS_OF_SET, SETS, SharedSet};
use crate::{PROGRAM, books, churn, consumer, peer, producer, shared};

/// Channels that everybody may watch.
const COMMON: usize = 12;
/// Of these, those that another process passes on.
const RELAYS: usize = 2;
/// Turns of the one who watches, without progress, after which something was lost.
const TURNS: u32 = 100;
/// Nanoseconds of a turn.
const TURN: u64 = 100_000_000;

/// How many threads do what.
struct Crew {
    producers: usize,
    /// In each shared set.
    residents: usize,
    churners: usize,
    consumers: usize,
}

impl Crew {
    /// So many threads in all.
    fn of(threads: usize) -> Crew {
        let residents = if threads >= 48 { 2 } else { 1 };
        let left = threads - residents * SETS.len();
        let (producers, churners) = (left / 6, left / 6);
        Crew { producers, residents, churners, consumers: left - producers - churners }
    }
}

/// Soaks for so many nanoseconds.
pub fn run(threads: usize, duration: u64, seed: u64) -> Outcome {
    let crew = Crew::of(threads);
    let before = books::living()?;
    let (field, peer) = open(&crew, threads, seed)?;
    let begin = clock::now_ns();
    let crew_threads = start(field, &crew, seed)?;
    let watched = watch(field, begin + duration);
    if watched.is_err() {
        dump(field);
        return watched;
    }
    for thread in crew_threads {
        thread.join()?;
    }
    field.verdict()?;
    let records: u64 = field.channels.iter().map(Channel::count).sum();
    let (events, acts) = (field.events.load(Ordering::SeqCst), field.acts.load(Ordering::SeqCst));
    let time = (clock::now_ns() - begin) / 1_000_000;
    rt::log!("soak: {threads} threads, {records} records, {events} events, {acts} acts in {time} ms");
    close(field)?;
    peer::end(&peer)?;
    books::are_balanced(before)
}

/// Channels and shared sets, with the notes that stay to the end. They live as long as the process.
fn open(crew: &Crew, threads: usize, seed: u64) -> Outcome<(&'static Field, Child)> {
    let count = COMMON + SETS.len() * CHANNELS_OF_SET + crew.consumers;
    let channels = (0..count).map(|number| Channel::open(number, Kind::ALL[number % Kind::ALL.len()]));
    let mut channels = channels.collect::<Result<Vec<_>, _>>()?;
    let relays = channels[..RELAYS].iter_mut().map(Channel::relay).collect::<Result<Vec<_>, _>>()?;
    let peer = peer::start(PROGRAM, seed, &relays)?;
    let sets = SETS.iter().enumerate().map(|(number, &kind)| SharedSet::open(number, kind));
    let sets = sets.collect::<Result<Vec<_>, _>>()?;
    let (stop, full) = (libkq::pipe(O_NONBLOCK)?, libkq::pipe(O_NONBLOCK)?);
    libkq::write(full.1, b"?")?;
    let field = Box::leak(Box::new(Field::new(channels, COMMON, sets, threads, stop, full)));
    let mut slot = threads * SLOTS_OF_WORKER;
    for set in &field.sets {
        set.fill(field, || {
            slot += 1;
            slot
        })?;
    }
    Ok((field, peer))
}

fn start(field: &'static Field, crew: &Crew, seed: u64) -> Outcome<Vec<JoinHandle<()>>> {
    let mut threads = Vec::new();
    let mut add = |role: &'static str, body: Box<dyn FnOnce(&mut Worker) -> Outcome + Send>| {
        let worker = Worker::new(field, threads.len(), role, seed);
        threads.push(Builder::new().name(role).spawn(move || worker.run(body))?);
        Ok::<(), Failure>(())
    };
    for set in 0..SETS.len() {
        for _ in 0..crew.residents {
            add("resident", Box::new(move |worker| shared::reside(worker, set)))?;
        }
    }
    let own = COMMON + SETS.len() * CHANNELS_OF_SET;
    for consumer in 0..crew.consumers {
        add("consumer", Box::new(move |worker| consumer::run(worker, own + consumer)))?;
    }
    for _ in 0..crew.producers {
        add("producer", Box::new(producer::run))?;
    }
    for _ in 0..crew.churners {
        add("churner", Box::new(churn::run))?;
    }
    Ok(threads)
}

/// Looks until all have ended: first that nothing stands still, then that what was written is read, then that everybody
/// hears that it is over.
fn watch(field: &Field, end: u64) -> Outcome {
    let mut still = 0;
    let mut stop_told = None;
    let mut longest = 0;
    loop {
        rt::thread::sleep(TURN);
        let now = clock::now_ns();
        let stuck_for = field.channels.iter().map(Channel::stuck_for).max().unwrap_or(0);
        longest = longest.max(stuck_for);
        let stuck = stuck_for > PATIENCE;
        still = if stuck { still + 1 } else { 0 };
        if still > TURNS {
            return Err(Failure::new("lost: a channel has records that nobody was told of"));
        }
        let failed = field.has_failed();
        if now >= end || failed {
            field.enough.store(true, Ordering::SeqCst);
        }
        let ended = field.workers.iter().filter(|worker| worker.has_ended()).count();
        match stop_told {
            None => {
                let unread = field.channels.iter().any(|channel| channel.outstanding() > 0);
                let writers = field.workers.iter().any(|worker| worker.writes() && !worker.has_ended());
                if now >= end && !unread && !writers || failed {
                    libkq::write(field.stop.1, b".")?;
                    stop_told = Some((now, 0));
                }
                if now > end.saturating_add(3 * PATIENCE) {
                    return Err(Failure::new("lost: it does not come to an end"));
                }
            }
            Some(_) if ended == field.workers.len() => {
                rt::log!("soak: nothing waited longer than {} ms to be read", longest / 1_000_000);
                return Ok(());
            }
            Some((since, turns)) if now > since + PATIENCE && turns > TURNS => {
                return Err(Failure::new("lost: somebody was not told that it is over"));
            }
            Some((since, turns)) => stop_told = Some((since, turns + 1)),
        }
    }
}

/// Who waits for what.
fn dump(field: &Field) {
    for (number, worker) in field.workers.iter().enumerate() {
        if !worker.has_ended() {
            rt::log!("soak: {number} {}", worker.describe());
        }
    }
    for channel in &field.channels {
        if channel.outstanding() > 0 {
            rt::log!("soak: {}", channel.describe());
        }
    }
    if let Err(failure) = field.verdict() {
        rt::log!("soak: {failure}");
    }
}

fn close(field: &Field) -> Outcome {
    for channel in &field.channels {
        channel.close()?;
    }
    for set in &field.sets {
        libkq::close(set.set)?;
    }
    for fd in [field.stop.0, field.stop.1, field.full.0, field.full.1] {
        libkq::close(fd)?;
    }
    let open = libkq::process().open_descriptors();
    if open == 0 { Ok(()) } else { Err(Failure::new(alloc::format!("{open} numbers are open at the end"))) }
}
