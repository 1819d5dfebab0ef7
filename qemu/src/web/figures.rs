//! What is measured: rows of figures, and what they come to.

use std::{collections::BTreeMap, fmt};

use super::plan::{Asker, Wake};

/// What the server's workers counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// From the page.
    pub fn read(text: &str) -> Counters {
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        Counters(pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }

    /// What was counted since then.
    pub fn since(&self, before: &Counters) -> Counters {
        let more = |(name, value): (&String, &u64)| (name.clone(), value.saturating_sub(before.of(name)));
        Counters(self.0.iter().map(more).collect())
    }

    /// A figure; 0 if there is none.
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// The greatest part that one worker had of the connections, in percent.
    pub fn top_share(&self) -> f64 {
        let is_one = |name: &str| name.starts_with("worker.") && name.ends_with(".accepted");
        let most = self.0.iter().filter(|(name, _)| is_one(name)).map(|(_, &value)| value).max().unwrap_or(0);
        most as f64 * 100.0 / self.of("all.accepted").max(1) as f64
    }
}

/// One measurement.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// CPUs of the machine.
    pub cpus: u32,
    /// Workers of the server.
    pub workers: usize,
    /// Which time it was, from 1 on.
    pub round: usize,
    /// Who asked.
    pub asker: Asker,
    /// Whom a connection woke.
    pub wake: Wake,
    /// Requests in a second, of the host (ab) or of the guest.
    pub rate: f64,
    /// Requests that failed.
    pub failed: u64,
    /// What the workers counted meanwhile.
    pub counted: Counters,
}

impl Row {
    /// One that is to be measured.
    pub fn of(cpus: u32, workers: usize, round: usize, asker: Asker, wake: Wake) -> Row {
        Row { cpus, workers, round, asker, wake, rate: 0.0, failed: 0, counted: Counters::default() }
    }

    /// Accepts for which somebody else was quicker.
    pub fn late(&self) -> u64 {
        self.counted.of("all.empty") + self.counted.of("all.lost")
    }

    /// The names of the columns.
    pub const HEAD: &'static str = "cpus\tworkers\tround\tasker\twake\trate\tfailed\taccepted\twakes\tcalls\tempty\tlost\taccept_failed\ttop_share";
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { cpus, workers, round, asker, wake, rate, failed, counted } = self;
        write!(out, "{cpus}\t{workers}\t{round}\t{asker}\t{wake}\t{rate:.1}\t{failed}")?;
        for name in ["accepted", "wakes", "calls", "empty", "lost", "failed"] {
            write!(out, "\t{}", counted.of(&format!("all.{name}")))?;
        }
        write!(out, "\t{:.1}", counted.top_share())
    }
}

/// Least, median, greatest.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spread {
    /// Least.
    pub least: f64,
    /// Median.
    pub median: f64,
    /// Greatest.
    pub most: f64,
}

impl Spread {
    /// Of some values; of none it is zeros.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut values = Vec::from_iter(values);
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 0 {
            (at(middle.saturating_sub(1)) + at(middle)) / 2.0
        } else {
            at(middle)
        };
        Spread { least: at(0), median, most: at(values.len().saturating_sub(1)) }
    }
}

/// All rounds of one machine, server and asker.
#[derive(Clone, PartialEq, Debug)]
pub struct Point {
    /// CPUs of the machine.
    pub cpus: u32,
    /// Workers of the server.
    pub workers: usize,
    /// Who asked.
    pub asker: Asker,
    /// Requests in a second when all are woken.
    pub all: Spread,
    /// When one is.
    pub one: Spread,
    /// The second by the first, of the same round.
    pub ratio: Spread,
    /// Requests that failed in all rounds.
    pub failed: u64,
    /// Accepts that failed in all rounds, when one is woken.
    pub errors: u64,
    /// Accepts for which somebody else was quicker, for each connection, when all and when one is woken.
    pub late: (f64, f64),
    /// Wakes by a listener for each connection, when all and when one is woken.
    pub calls: (f64, f64),
    /// The greatest part of one worker, when one is woken.
    pub top_share: f64,
}

/// What rows come to.
pub fn points(rows: &[Row]) -> Vec<Point> {
    let mut groups: BTreeMap<(Asker, u32, usize), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        groups.entry((row.asker, row.cpus, row.workers)).or_default().push(row);
    }
    let point = |((asker, cpus, workers), rows): ((Asker, u32, usize), Vec<&Row>)| {
        let of = |wake| rows.iter().copied().filter(move |row| row.wake == wake);
        let rates = |wake| Spread::of(of(wake).map(|row| row.rate));
        let ratios = of(Wake::One).filter_map(|one| {
            let all = of(Wake::All).find(|all| all.round == one.round)?;
            Some(one.rate / all.rate)
        });
        let sum = |wake, figure: fn(&Row) -> u64| of(wake).map(figure).sum::<u64>() as f64;
        let each = |figure: fn(&Row) -> u64| {
            let of = |wake| sum(wake, figure) / sum(wake, |row| row.counted.of("all.accepted")).max(1.0);
            (of(Wake::All), of(Wake::One))
        };
        Point {
            cpus,
            workers,
            asker,
            all: rates(Wake::All),
            one: rates(Wake::One),
            ratio: Spread::of(ratios),
            failed: rows.iter().map(|row| row.failed).sum(),
            errors: of(Wake::One).map(|row| row.counted.of("all.failed")).sum(),
            late: each(Row::late),
            calls: each(|row| row.counted.of("all.calls")),
            top_share: Spread::of(of(Wake::One).map(|row| row.counted.top_share())).median,
        }
    };
    groups.into_iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(round: usize, wake: Wake, rate: f64, counted: &str) -> Row {
        Row { rate, counted: Counters::read(counted), ..Row::of(2, 4, round, Asker::Apache, wake) }
    }

    #[test]
    fn rounds_are_paired() {
        let rows = [
            row(1, Wake::All, 100.0, "all.accepted 10\nall.calls 40\nall.empty 30\n"),
            row(
                1,
                Wake::One,
                110.0,
                "all.accepted 10\nall.calls 10\nworker.0.accepted 6\nworker.1.accepted 4\n",
            ),
            row(
                2,
                Wake::One,
                60.0,
                "all.accepted 10\nall.calls 11\nall.lost 1\nall.failed 1\nworker.1.accepted 8\n",
            ),
            row(2, Wake::All, 50.0, "all.accepted 10\nall.calls 40\n"),
        ];
        let points = points(&rows);
        assert_eq!(points.len(), 1);
        let point = &points[0];
        assert!((point.ratio.least - 1.1).abs() < 1e-9 && (point.ratio.most - 1.2).abs() < 1e-9);
        assert_eq!((point.errors, point.failed, point.calls), (1, 0, (4.0, 1.05)));
        assert_eq!(point.late, (1.5, 0.05));
        assert!((point.top_share - 70.0).abs() < 1e-9);
    }

    #[test]
    fn a_spread_has_a_middle() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { least: 1.0, median: 2.0, most: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0]).median, 2.5);
        assert_eq!(Spread::of([]).most, 0.0);
    }

    #[test]
    fn counters_are_what_came_since() {
        let (before, now) = (Counters::read("a 3\nb 1\n"), Counters::read("a 5\nc 2\n"));
        let since = now.since(&before);
        assert_eq!((since.of("a"), since.of("b"), since.of("c")), (2, 0, 2));
    }
}
