//! Whom to wake, by what it costs: the policies under several workloads, `bench policies`.
//!
//! W workers, processes on one CPU after the other, wait in queues of their own for one pipe, as for a listener, and each for a pipe
//! of its own. A sender writes items; who reads one handles it and says so. Who is told of one that another has read was late.
//!
//! A line a row, `policy WORKLOAD POLICY WORKERS CPUS` and figures `name=value`, all but the last seven by item:
//!
//! | figure | |
//! |---|---|
//! | `cost` | ns from the first item until all sleep again; with counted instructions, those of all CPUs |
//! | `time` | ns until the last is done |
//! | `work` | of `cost`, the work of handlers and sender, which is the same whoever is woken |
//! | `span` | how long that work would have taken had CPUs that were busy at once not taken turns |
//! | `wakes`, `handed`, `switches`, `entries`, `ipis`, `late` | hundredths |
//! | `median`, `worst` | ns from an item's sending until its handling |
//! | `top` | the busiest worker's part of the items, hundredths of a percent |
//! | `cpu` | the same of the busiest CPU |
//! | `items` | how many |

mod board;
mod sender;
mod worker;
mod workload;

use alloc::vec;
use alloc::vec::Vec;

use abi::Rights;
use guest_tests::child::{self, Role};
use guest_tests::failure::ensure;
use guest_tests::{Failure, Outcome, books, soon};
use libkq::Descriptor;
use libkq::flag::O_NONBLOCK;
use rt::clock;
use rt::init::Child;
use rt::ipc::Transfer;
use rt::sys::Notification;

use crate::PROGRAM;
use crate::wakeup::{Crew, Policy, WIDEST};
use board::{Board, Item};
use sender::{Sender, calm};
pub use worker::worker;
use workload::Workload;

/// Measures what the arguments name: `workloads=A,B`, `policies=A,B`, `workers=1,2`, `rounds=N`.
pub fn all(start: &rt::Start) -> Outcome {
    let arguments = || (2..).map(|at| start.arg(at)).take_while(|argument| !argument.is_empty());
    let wanted = |option: &str| arguments().find_map(|argument| argument.strip_prefix(option));
    let named =
        |option: &str, name: &str| wanted(option).is_none_or(|names| names.split(',').any(|it| it == name));
    let wrong = || Failure::new("arguments are workloads=A,B policies=A,B workers=1,2 rounds=N");
    let widths: Vec<usize> = (wanted("workers=").unwrap_or("1,2,4,8,16,32,64").split(','))
        .map(|number| number.parse().ok().filter(|number| (1..=WIDEST).contains(number)))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let rounds: usize = wanted("rounds=").unwrap_or("1").parse().map_err(|_| wrong())?;
    for width in widths {
        let stand = Stand::build(width)?;
        for (number, workload) in workload::ALL.iter().enumerate() {
            let policies: Vec<Policy> = Policy::of(Crew::Processes)
                .filter(|policy| named("workloads=", workload.name) && named("policies=", policy.name()))
                .collect();
            for round in 0..rounds {
                // Who is first takes turns.
                for at in 0..policies.len() {
                    stand.row(number, workload, policies[(at + round) % policies.len()])?;
                }
            }
        }
        stand.end()?;
    }
    Ok(())
}

/// A worker, as its parent sees it.
struct Worker {
    child: Child,
    own: Descriptor,
    go: Notification,
    ready: Notification,
}

/// The workers, and what they share.
struct Stand {
    board: Board,
    common: Descriptor,
    done: Notification,
    workers: Vec<Worker>,
}

impl Stand {
    fn build(width: usize) -> Outcome<Stand> {
        let pipe = || -> Outcome<_> {
            let (reader, writer) = libkq::pipe(O_NONBLOCK)?;
            Ok((Descriptor::from_number(reader), Descriptor::from_number(writer)))
        };
        let (board, done) = (Board::create()?, Notification::create()?);
        let (reader, common) = pipe()?;
        let workers = (0..width).map(|me| {
            let (own_reader, own) = pipe()?;
            let (go, ready) = (Notification::create()?, Notification::create()?);
            let (common_name, common) = libkq::inheritance::give(reader.number(), worker::COMMON)?;
            let (own_name, own_end) = libkq::inheritance::give(own_reader.number(), worker::OWN)?;
            let handles = vec![
                ("board", Transfer::copy(board.0.memory())),
                ("go", Transfer::copy(&go)),
                ("ready", Transfer::copy(&ready)),
                ("done", Transfer::copy_with(&done, Rights::all())),
                (common_name.as_str(), common),
                (own_name.as_str(), own_end),
            ];
            let role = Role::new(PROGRAM, "worker").on(1 << (me % clock::cpu_count()));
            let child = role.quota(2 << 20).argument(me).spawn(handles)?;
            Ok(Worker { child, own, go, ready })
        });
        let workers = workers.collect::<Outcome<_>>()?;
        Ok(Stand { board, common, done, workers })
    }

    fn row(&self, number: usize, workload: &Workload, policy: Policy) -> Outcome {
        self.board.set_row(number, 1 + policy.number());
        self.tell()?;
        let sender = Sender {
            board: &self.board,
            common: &self.common,
            own: self.workers.iter().map(|worker| &worker.own).collect(),
            done: &self.done,
        };
        sender.run(workload, workload.warm_up)?;
        self.board.clear();
        let figures =
            || Ok::<_, Failure>((books::sum(|stats| stats.wakes)?, books::sum(|stats| stats.handed_on)?));
        let before = figures()?;
        let measured = sender.run(workload, workload.items)?;
        let after = figures()?;
        for worker in &self.workers {
            worker.own.write_all(&Item::STOP)?;
        }
        self.wait()?;

        let items = workload.items;
        let took: Vec<u64> = self.board.took().collect();
        ensure(took.iter().sum::<u64>() == items, "each item is taken once")?;
        let each = |count: u64| (count + items / 2) / items;
        let share = |most: u64| each(most * 10_000);
        let cpus = clock::cpu_count();
        let of_cpu = |cpu: usize| took.iter().skip(cpu).step_by(cpus).sum::<u64>();
        let mut latencies: Vec<u64> = self.board.latencies(items as usize).collect();
        latencies.sort_unstable();
        let counts = &measured.counts;
        rt::log!(
            "policy {} {} {} {cpus} cost={} time={} work={} span={} wakes={} handed={} switches={} entries={} ipis={} late={} median={} worst={} top={} cpu={} items={items}",
            workload.name,
            policy.name(),
            self.workers.len(),
            each(measured.cost),
            each(measured.time),
            each(measured.work),
            each(measured.span),
            each((after.0 - before.0) * 100),
            each((after.1 - before.1) * 100),
            each(counts.switches * 100),
            each(counts.entries * 100),
            each(counts.ipis * 100),
            each(self.board.lates() * 100),
            latencies[latencies.len() / 2],
            latencies[latencies.len() - 1],
            share(took.iter().copied().max().unwrap_or(0)),
            share((0..cpus).map(of_cpu).max().unwrap_or(0)),
        );
        Ok(())
    }

    /// Has the workers begin what is on the board, and waits until they sleep.
    fn tell(&self) -> Outcome {
        for worker in &self.workers {
            worker.go.signal(1)?;
        }
        self.wait()?;
        calm()?;
        Ok(())
    }

    fn wait(&self) -> Outcome {
        for worker in &self.workers {
            worker.ready.wait(soon())?;
        }
        Ok(())
    }

    fn end(self) -> Outcome {
        self.board.set_row(0, 0);
        for worker in &self.workers {
            worker.go.signal(1)?;
            child::ends_well(&worker.child)?;
        }
        Ok(())
    }
}
