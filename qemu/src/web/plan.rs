//! What is measured, in which order.

use std::{fmt, time::Duration};

use super::{
    apache,
    figures::{Counters, Row},
    guest::{self, Guest},
};
use crate::{
    failure::{Failure, Result},
    machine::{Accelerator, signals::Signals},
    software::archive::BootImage,
};

/// Connections at once.
const CONNECTIONS: u64 = 16;
const LOCAL: &str = "/run/socket/web";
/// Longest time of one boot.
const LIMIT: Duration = Duration::from_secs(3600);

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Asker {
    /// apachebench, on the host.
    Apache,
    /// The load generator in the guest, over TCP.
    Inside,
    /// The same over a local socket.
    Local,
}

impl fmt::Display for Asker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Asker::Apache => "ab",
            Asker::Inside => "tcp",
            Asker::Local => "local",
        })
    }
}

/// Whom a connection wakes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Wake {
    /// All workers.
    All,
    /// One.
    One,
}

impl fmt::Display for Wake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Wake::All => "all",
            Wake::One => "one",
        })
    }
}

/// How much is measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Machines, by their CPUs.
    pub cpus: Vec<u32>,
    /// Servers, by their workers.
    pub workers: Vec<usize>,
    /// How often both are measured, one after the other.
    pub rounds: usize,
    /// Requests each time.
    pub requests: u64,
}

impl Plan {
    /// The whole curve: ten minutes on an idle machine.
    pub fn whole() -> Plan {
        Plan { cpus: vec![2, 4], workers: vec![1, 2, 4, 8, 16], rounds: 5, requests: 400 }
    }

    /// A look.
    pub fn quick() -> Plan {
        Plan { cpus: vec![2, 4], workers: vec![1, 4, 16], rounds: 3, requests: 150 }
    }

    /// Measures it all, and tells each row as it comes.
    pub fn run(
        &self,
        image: &BootImage,
        signals: &Signals,
        show: &(dyn Fn(&Row) + Sync),
    ) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for &cpus in &self.cpus {
            // The host's programs need its clock; what is all in the guest is measured in instructions, which repeat.
            for (accelerator, askers) in [
                (Accelerator::Tcg, &[Asker::Apache][..]),
                (Accelerator::Icount, &[Asker::Inside, Asker::Local]),
            ] {
                let work = |guest: Guest<'_>| self.boot(guest, cpus, askers, show);
                rows.extend(guest::with(image, cpus, accelerator, signals, LIMIT, work)?);
            }
        }
        Ok(rows)
    }

    fn boot(
        &self,
        guest: Guest<'_>,
        cpus: u32,
        askers: &[Asker],
        show: &(dyn Fn(&Row) + Sync),
    ) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        // One round over all numbers of workers after the other: what changes on the host meanwhile is in all of them. Round 0
        // is not counted.
        for round in 0..=self.rounds {
            for &workers in &self.workers {
                // Who is first takes turns.
                let turn = if round % 2 == 0 { [Wake::All, Wake::One] } else { [Wake::One, Wake::All] };
                for wake in turn {
                    let options =
                        format!("--workers {workers} --wake {wake} --listen 0.0.0.0:80 --listen {LOCAL}");
                    guest.start(&options, workers)?;
                    for &asker in askers {
                        let row = self.measure(guest, Row::of(cpus, workers, round, asker, wake))?;
                        if round > 0 {
                            show(&row);
                            rows.push(row);
                        }
                    }
                    guest.tell("stop")?;
                }
            }
        }
        Ok(rows)
    }

    fn measure(&self, guest: Guest<'_>, mut row: Row) -> Result<Row> {
        let counters = || -> Result<Counters> {
            let page = guest.page("/counters");
            page.map(|text| Counters::read(&text))
                .map_err(|error| Failure::new("read the counters", error, "try again"))
        };
        let before = counters()?;
        let inside = |address: &str| -> Result<(f64, u64)> {
            let said = guest.tell(&format!("load {address} {CONNECTIONS} {}", self.requests))?;
            let figure = |name: &str| {
                let value = said.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
                value.and_then(|value| value.parse::<f64>().ok()).ok_or_else(|| {
                    Failure::new("measure inside", format!("there is no {name} in {said}"), "report it")
                })
            };
            // Times are in microseconds.
            let rate = figure("load.answered")? / figure("load.time")? * 1e6;
            Ok((rate, figure("load.failures")? as u64))
        };
        (row.rate, row.failed) = match row.asker {
            Asker::Apache => {
                let run = apache::run(guest.web, CONNECTIONS, self.requests)?;
                (run.rate, run.failed)
            }
            Asker::Inside => inside("127.0.0.1:80")?,
            Asker::Local => inside(LOCAL)?,
        };
        row.counted = counters()?.since(&before);
        Ok(row)
    }
}
