//! The figures to read.

use std::{collections::BTreeMap, fmt::Write};

use super::row::{POLICIES, Place, Row, WORKLOADS, sorted};
use crate::web::figures::Spread;

/// Of rows of one place and policy, the median of something.
fn median(rows: &[&Row], figure: impl Fn(&Row) -> f64) -> f64 {
    Spread::of(rows.iter().map(|row| figure(row))).median
}

/// How many times as much as the least policy's each policy's figure is, in one place.
fn against_the_least(
    policies: &BTreeMap<usize, Vec<&Row>>,
    figure: impl Fn(&Row) -> f64,
) -> BTreeMap<usize, f64> {
    let medians: BTreeMap<usize, f64> =
        policies.iter().map(|(&policy, rows)| (policy, median(rows, &figure).max(1.0))).collect();
    let least = medians.values().copied().fold(f64::INFINITY, f64::min);
    medians.into_iter().map(|(policy, value)| (policy, value / least)).collect()
}

/// For each place, what an item takes by each policy, and what waking came to by AUTO.
pub fn places(rows: &[Row]) -> String {
    let mut text = heading("mode    workload  cpus workers", "thousands of ns");
    for (place, policies) in sorted(rows) {
        let name = name(place);
        let _ = write!(text, "{name} {:7} |", place.workers);
        for policy in 0..POLICIES.len() {
            match policies.get(&policy) {
                Some(rows) => _ = write!(text, " {:11.1}", median(rows, Row::time) / 1000.0),
                None => text.push_str("           -"),
            }
        }
        text.push('\n');
    }
    text
}

/// With counted instructions, for each workload and machine: by how many percent each policy's figure is above the best one's, the
/// mean of all numbers of workers and the worst of them. In Markdown.
pub fn summary(rows: &[Row], figure: impl Fn(&Row) -> f64) -> String {
    let mut lines: BTreeMap<(usize, u32), BTreeMap<usize, Vec<f64>>> = BTreeMap::new();
    for (place, policies) in sorted(rows).into_iter().filter(|(place, _)| place.counted) {
        let line = lines.entry((place.workload, place.cpus)).or_default();
        for (policy, ratio) in against_the_least(&policies, &figure) {
            line.entry(policy).or_default().push((ratio - 1.0) * 100.0);
        }
    }
    let names: Vec<&str> = POLICIES.iter().map(|(_, name)| *name).collect();
    let mut text =
        format!("| workload | CPUs | {} |\n{}|\n", names.join(" | "), "|---".repeat(2 + names.len()));
    for ((workload, cpus), line) in lines {
        // A string takes whatever is written to it.
        let _ = write!(text, "| {} | {cpus} |", WORKLOADS[workload].0);
        for policy in 0..POLICIES.len() {
            let more = line.get(&policy).map_or(&[][..], Vec::as_slice);
            let mean = more.iter().fold(0.0, |sum, more| sum + more) / more.len().max(1) as f64;
            let _ = write!(text, " {mean:.0}, {:.0} |", more.iter().copied().fold(0.0, f64::max));
        }
        text.push('\n');
    }
    text
}

/// Where the emulator ran as fast as it could: how many times as many items as with all woken, within a round: the median of the
/// rounds, and how far they are apart. That says something as far as the host was idle.
pub fn rounds(rows: &[Row]) -> String {
    let mut text = heading(
        "mode    workload  cpus workers",
        "items in a second over those of wake all: median, least to greatest",
    );
    for (place, policies) in sorted(rows).into_iter().filter(|(place, _)| !place.counted) {
        let _ = write!(text, "{} {:7} |", name(place), place.workers);
        let all = policies.get(&0).map_or(&[][..], Vec::as_slice);
        for policy in 0..POLICIES.len() {
            let of_policy = policies.get(&policy).into_iter().flatten();
            let ratio = Spread::of(of_policy.zip(all).map(|(row, all)| all.time() / row.time().max(1.0)));
            let _ = write!(text, "  {:.2} {:.1}-{:.1}", ratio.median, ratio.least, ratio.most);
        }
        text.push('\n');
    }
    text
}

fn name(place: &Place) -> String {
    let mode = if place.counted { "icount" } else { "threads" };
    format!("{mode:7} {:9} {:4}", WORKLOADS[place.workload].0, place.cpus)
}

fn heading(first: &str, what: &str) -> String {
    let names = POLICIES.iter().map(|(_, name)| format!("{name:>11}")).collect::<Vec<_>>().join(" ");
    format!("{what}\n{first} | {names}\n")
}

#[cfg(test)]
mod tests {
    use super::{super::row::tests::line, *};

    #[test]
    fn each_policy_is_compared_with_the_best_of_its_place() {
        let row = |policy, workers, cost| Row::read(&line("short", policy, workers, 2, cost), true).unwrap();
        // Their times are 200 less.
        let rows = [row("plain", 1, 1200), row("auto", 1, 1700), row("plain", 4, 3200), row("auto", 4, 1200)];
        let all = against_the_least(&sorted(&rows)[&rows[0].place], Row::time);
        assert_eq!(all, [(0, 1.0), (6, 1.5)].into());
        let summary = summary(&rows, Row::time);
        let line = summary.lines().last().unwrap();
        assert!(line.starts_with("| short | 2 | 100, 200 | 0, 0 |"), "wake all: 0 and 200 % more: {line}");
        assert!(line.ends_with(" 25, 50 |"), "auto: 50 and 0 % more: {line}");
        assert_eq!(places(&rows).lines().count(), 4);
        assert_eq!(rounds(&rows).lines().count(), 2, "nothing that was not counted");
    }

    #[test]
    fn rounds_are_compared_one_by_one() {
        let row = |policy, time| {
            let line = line("slow", policy, 4, 2, 1).replace("time=900", &format!("time={time}"));
            Row::read(&line, false).unwrap()
        };
        let rows = [row("plain", 100), row("auto", 50), row("plain", 900), row("auto", 300)];
        let rounds = rounds(&rows);
        let last = rounds.lines().last().unwrap();
        assert!(last.contains(" 1.00 1.0-1.0") && last.ends_with(" 2.50 2.0-3.0"), "{last}");
    }
}
