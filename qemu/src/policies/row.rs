//! What is measured: a row for each machine, workload, number of workers and policy.

use std::{collections::BTreeMap, fmt};

/// All policies, in the order in which they are shown: as the guest calls them, and as a reader sees them.
pub const POLICIES: [(&str, &str); 7] = [
    ("plain", "wake all"),
    ("all", "all"),
    ("one_per_cpu", "one per cpu"),
    ("one_this_cpu", "this cpu"),
    ("one_other_cpu", "other cpu"),
    ("round_robin", "round robin"),
    ("auto", "auto"),
];

/// All workloads, in the order in which they are shown, and what they are.
pub const WORKLOADS: [(&str, &str); 7] = [
    ("single", "one at a time, its handler has nothing to do"),
    ("short", "16 at once, handlers of 3000 instructions"),
    ("medium", "16 at once, handlers of 20,000 instructions"),
    ("slow", "16 at once, handlers of 500,000 instructions"),
    ("keepalive", "16 connections of 9 requests each, handlers of 5000 instructions"),
    ("burst", "32 at once and a pause, handlers of 5000 instructions"),
    ("hot", "the sender is busy on the CPU where events arise, handlers of 5000 instructions"),
];

/// The columns of a row behind its name, as the guest calls its figures.
const FIGURES: [&str; 15] = [
    "cost", "time", "work", "span", "wakes", "handed", "switches", "entries", "ipis", "late", "median",
    "worst", "top", "cpu", "items",
];

/// Where a row was measured, and of what it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// Whether instructions were counted, or the emulator ran as fast as it could.
    pub counted: bool,
    /// CPUs of the machine.
    pub cpus: u32,
    /// The workload, an index of [`WORKLOADS`].
    pub workload: usize,
    /// Workers.
    pub workers: u32,
}

/// One measurement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Where.
    pub place: Place,
    /// The policy, an index of [`POLICIES`].
    pub policy: usize,
    figures: BTreeMap<String, u64>,
}

impl Row {
    /// From a line of the guest; `None`: it is another.
    pub fn read(line: &str, counted: bool) -> Option<Row> {
        let mut words = line.split_whitespace();
        if words.next()? != "policy" {
            return None;
        }
        let index = |names: &[(&str, &str)], name: &str| names.iter().position(|(it, _)| *it == name);
        let workload = index(&WORKLOADS, words.next()?)?;
        let policy = index(&POLICIES, words.next()?)?;
        let (workers, cpus) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let figure = |word: &str| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        let figures = words.map(figure).collect::<Option<BTreeMap<_, _>>>()?;
        let complete = FIGURES.iter().all(|&name| figures.contains_key(name));
        complete.then_some(Row { place: Place { counted, cpus, workload, workers }, policy, figures })
    }

    /// A figure.
    pub fn of(&self, name: &str) -> u64 {
        self.figures.get(name).copied().unwrap_or(0)
    }

    /// Time of an item. With counted instructions CPUs take turns, so what handlers did at the same time counts once; without,
    /// it is the guest's clock.
    pub fn time(&self) -> f64 {
        match self.place.counted {
            true => (self.of("cost") + self.of("span")).saturating_sub(self.of("work")) as f64,
            false => self.of("time") as f64,
        }
    }

    /// From an item's sending until its handling begins.
    pub fn latency(&self) -> f64 {
        self.of("median") as f64
    }

    /// The names of the columns.
    pub fn head() -> String {
        format!("mode\tcpus\tworkload\tworkers\tpolicy\t{}", FIGURES.join("\t"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { counted, cpus, workload, workers } = self.place;
        let mode = if counted { "icount" } else { "threads" };
        let (workload, policy) = (WORKLOADS[workload].0, POLICIES[self.policy].0);
        write!(out, "{mode}\t{cpus}\t{workload}\t{workers}\t{policy}")?;
        FIGURES.iter().try_for_each(|name| write!(out, "\t{}", self.of(name)))
    }
}

/// Rows by place and policy. Of several rounds, all.
pub type Rows<'a> = BTreeMap<&'a Place, BTreeMap<usize, Vec<&'a Row>>>;

/// Sorts rows.
pub fn sorted(rows: &[Row]) -> Rows<'_> {
    let mut sorted = Rows::new();
    for row in rows {
        sorted.entry(&row.place).or_default().entry(row.policy).or_default().push(row);
    }
    sorted
}

#[cfg(test)]
#[expect(missing_docs, reason = "only tests use it")]
pub mod tests {
    use super::*;

    /// A row as the guest tells it.
    pub fn line(workload: &str, policy: &str, workers: u32, cpus: u32, cost: u64) -> String {
        format!(
            "policy {workload} {policy} {workers} {cpus} cost={cost} time=900 work=300 span=100 wakes=101 handed=0 \
             switches=600 entries=2000 ipis=50 late=3 median=70 worst=500 top=2500 cpu=5000 items=400"
        )
    }

    #[test]
    fn a_line_is_a_row_and_others_are_none() {
        let row = Row::read(&line("short", "auto", 4, 2, 1000), true).unwrap();
        assert_eq!((row.place.workers, row.place.cpus, row.of("wakes")), (4, 2, 101));
        assert_eq!((WORKLOADS[row.place.workload].0, POLICIES[row.policy].0), ("short", "auto"));
        assert_eq!(row.time(), 800.0, "what was done at once counts once");
        assert_eq!(Row::read(&line("short", "auto", 4, 2, 1000), false).unwrap().time(), 900.0);
        let whole = line("short", "auto", 4, 2, 1000);
        for other in ["", "init: policy", "policy short auto 4 2 cost=1", &line("nonesuch", "auto", 4, 2, 1)]
        {
            assert_eq!(Row::read(other, true), None, "{other}");
        }
        assert_eq!(Row::read(&whole.replace("cost=1000", "cost=x"), true), None);
        assert_eq!(row.to_string().split('\t').count(), Row::head().split('\t').count());
    }
}
