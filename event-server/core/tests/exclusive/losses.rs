//! Waiters that are chosen and never come: what they were chosen for goes on.

use abi::limits::FOREVER;
use event_core::exclusive::PATIENCE;
use event_protocol::control::client::Change;
use event_protocol::control::policy::Policy;
use event_protocol::park::End;
use proptest::prelude::*;

use crate::world::World;

/// Three that sleep, of whom one is chosen.
fn one_chosen() -> (World, usize) {
    let mut world = World::new();
    crate::asleep(&mut world, 3);
    world.publish(1, true);
    let woken = world.woken();
    assert_eq!(woken.len(), 1);
    (world, woken[0].0)
}

#[test]
fn r44_a_process_that_dies_chosen_leaves_it_to_another() {
    let (mut world, chosen) = one_chosen();
    world.dies(chosen);
    let woken = world.woken();
    assert_eq!(woken.len(), 1);
    assert_ne!(woken[0].0, chosen);
    assert_eq!(world.stats().handed_on, 1);
}

#[test]
fn r44_what_is_done_by_then_wakes_nobody() {
    let (mut world, chosen) = one_chosen();
    world.publish(0, false);
    world.dies(chosen);
    assert_eq!(world.woken(), []);
}

#[test]
fn r35_a_note_that_is_deleted_leaves_it_to_another() {
    let (mut world, chosen) = one_chosen();
    world.change(chosen, Change::Delete { bank: 0, slot: 0, generation: 1 }).unwrap();
    assert_eq!(world.woken().len(), 1);
}

#[test]
fn what_is_handed_back_goes_to_another() {
    let (mut world, chosen) = one_chosen();
    assert_eq!(world.withdraw(chosen, 0), End::Chosen);
    world.hand_back(chosen);
    let woken = world.woken();
    assert_eq!(woken.len(), 1);
    assert_ne!(woken[0].0, chosen);
}

#[test]
fn who_does_not_come_back_in_time_is_not_waited_for() {
    let (mut world, chosen) = one_chosen();
    assert_eq!(world.shard.deadline(), PATIENCE);
    world.kernel.now = PATIENCE;
    world.shard.expired(&mut world.kernel);
    let woken = world.woken();
    assert_eq!(woken.len(), 1);
    assert_ne!(woken[0].0, chosen);
}

#[test]
fn who_came_back_is_not_missed_though_it_sleeps_again_or_is_chosen_again() {
    let (mut world, chosen) = one_chosen();
    let _ = world.withdraw(chosen, 0);
    world.park(chosen, 0);
    world.kernel.now = PATIENCE;
    world.shard.expired(&mut world.kernel);
    assert_eq!((world.woken(), world.shard.deadline()), (vec![], FOREVER));
}

/// What may happen. Numbers are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Something arrives.
    Arrive,
    /// One of those that were chosen comes back, takes what there is, and sleeps again.
    Serve(usize),
    /// A thread that is awake looks, and takes one if there is one.
    Take(usize, u32),
    /// A thread that is awake looks, finds something, and does not take it.
    Decline(usize, u32),
    /// A thread that is awake begins to sleep.
    Park(usize, u32),
    /// A thread's wait ends, by its deadline if nobody chose it.
    Return(usize, u32),
    ThreadDies(usize, u32),
    ProcessDies(usize),
    Delete(usize),
    Time,
    Policy(u8),
    Own(usize, Option<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let who = || (0..PROCESSES, 0..THREADS);
    prop_oneof![
        8 => Just(Step::Arrive),
        8 => (0..8usize).prop_map(Step::Serve),
        2 => who().prop_map(|(process, thread)| Step::Take(process, thread)),
        1 => who().prop_map(|(process, thread)| Step::Decline(process, thread)),
        8 => who().prop_map(|(process, thread)| Step::Park(process, thread)),
        1 => who().prop_map(|(process, thread)| Step::Return(process, thread)),
        1 => who().prop_map(|(process, thread)| Step::ThreadDies(process, thread)),
        1 => (0..PROCESSES).prop_map(Step::ProcessDies),
        1 => (0..PROCESSES).prop_map(Step::Delete),
        1 => Just(Step::Time),
        1 => (0..6u8).prop_map(Step::Policy),
        1 => (0..PROCESSES, prop::option::of(0..6u8)).prop_map(|(process, policy)| Step::Own(process, policy)),
    ]
}

const PROCESSES: usize = 5;
const THREADS: u32 = 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Thread {
    Awake,
    Asleep,
    Dead,
}

struct Model {
    world: World,
    threads: [[Thread; THREADS as usize]; PROCESSES],
    /// Processes that have their note.
    noted: [bool; PROCESSES],
}

impl Model {
    fn new(mut world: World) -> Model {
        for _ in 0..PROCESSES {
            let process = world.process(THREADS, true);
            (0..THREADS).for_each(|thread| world.park(process, thread));
        }
        Model { world, threads: [[Thread::Asleep; THREADS as usize]; PROCESSES], noted: [true; PROCESSES] }
    }

    fn step(&mut self, step: Step) {
        let world = &mut self.world;
        let thread = |process: usize, thread: u32| self.threads[process][thread as usize];
        match step {
            Step::Arrive => world.publish(world.amount() + 1, true),
            Step::Serve(which) => {
                let all =
                    (0..PROCESSES).flat_map(|process| (0..THREADS).map(move |thread| (process, thread)));
                let came = |&(process, number): &(usize, u32)| {
                    thread(process, number) == Thread::Asleep && world.is_chosen(process, number)
                };
                let chosen: Vec<(usize, u32)> = all.filter(came).collect();
                if let Some(&(process, number)) = chosen.get(which % chosen.len().max(1)) {
                    let _ = world.withdraw(process, number);
                    world.publish(0, false);
                    world.park(process, number);
                }
            }
            Step::Take(process, number) => {
                if thread(process, number) == Thread::Awake && world.amount() > 0 {
                    world.publish(world.amount() - 1, false);
                }
            }
            Step::Decline(process, number) => {
                if thread(process, number) == Thread::Awake {
                    world.hand_back(process);
                }
            }
            Step::Park(process, number) => {
                if thread(process, number) != Thread::Awake {
                    return;
                }
                world.park(process, number);
                if self.noted[process] && world.amount() > 0 {
                    // Found before it slept.
                    if world.withdraw(process, number) == End::Chosen {
                        world.hand_back(process);
                    }
                } else {
                    self.threads[process][number as usize] = Thread::Asleep;
                }
            }
            Step::Return(process, number) => {
                if thread(process, number) == Thread::Asleep {
                    let _ = world.withdraw(process, number);
                    self.threads[process][number as usize] = Thread::Awake;
                }
            }
            Step::ThreadDies(process, number) => {
                let before = thread(process, number);
                self.threads[process][number as usize] = Thread::Dead;
                if before != Thread::Dead {
                    if before == Thread::Asleep {
                        let _ = world.withdraw(process, number);
                    }
                    world.hand_back(process);
                }
            }
            Step::ProcessDies(process) => {
                if self.threads[process] != [Thread::Dead; THREADS as usize] || self.noted[process] {
                    world.dies(process);
                }
                self.threads[process] = [Thread::Dead; THREADS as usize];
                self.noted[process] = false;
            }
            Step::Delete(process) => {
                if self.noted[process] {
                    self.noted[process] = false;
                    world.change(process, Change::Delete { bank: 0, slot: 0, generation: 1 }).unwrap();
                }
            }
            Step::Time => {
                world.kernel.now += PATIENCE;
                world.shard.expired(&mut world.kernel);
            }
            Step::Policy(number) => world.shard.set_policy(Policy::from_number(number).unwrap()),
            Step::Own(process, policy) => {
                if self.noted[process] {
                    let policy = policy.and_then(Policy::from_number);
                    let prefer = Change::Prefer { bank: 0, slot: 0, generation: 1, policy };
                    world.change(process, prefer).unwrap();
                }
            }
        }
    }

    /// Nobody sleeps while there is something and nobody is up who will look.
    fn check(&self) {
        let audit = self.world.shard.audit();
        assert_eq!((audit.fault, audit.adrift), (None, 0));
        if self.world.amount() == 0 {
            return;
        }
        let all = || {
            (0..PROCESSES)
                .filter(|&process| self.noted[process])
                .flat_map(|process| (0..THREADS).map(move |thread| (process, thread)))
        };
        let state = |(process, thread): (usize, u32)| match self.threads[process][thread as usize] {
            Thread::Asleep if self.world.is_chosen(process, thread) => Thread::Awake,
            other => other,
        };
        let up = all().any(|one| state(one) == Thread::Awake);
        let asleep = all().filter(|&one| state(one) == Thread::Asleep).count();
        assert!(up || asleep == 0, "{asleep} sleep though {} wait", self.world.amount());
    }
}

proptest! {
    #[test]
    fn r44_whoever_dies_or_declines_somebody_comes(
        watches: bool,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut model = Model::new(if watches { World::of_watches() } else { World::new() });
        for step in steps {
            model.step(step);
            model.check();
        }
        (0..PROCESSES).for_each(|process| model.world.dies(process));
        let stats = model.world.stats();
        assert_eq!((stats.notes, stats.knotes, stats.clients), (0, 0, 0));
        model.world.sweep();
        model.world.sweep();
        assert_eq!(model.world.stats().sources, u64::from(!watches), "nobody watches");
        model.world.driver_dies();
    }
}
