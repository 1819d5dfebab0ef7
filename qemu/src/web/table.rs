//! The figures to read.

use std::fmt::Write;

use super::figures::Point;

/// A table with a line for each machine, server and asker.
pub fn table(points: &[Point]) -> String {
    let mut text = String::from(
        "asker cpus workers | requests/s: all     one | one/all: least  median  greatest | failed: requests  accepts | a connection: calls of all, of one, late of all, of one | top share\n",
    );
    for point in points {
        let Point { cpus, workers, asker, all, one, ratio, failed, errors, calls, late, top_share } = point;
        // A string takes whatever is written to it.
        let _ = writeln!(
            text,
            "{asker:5} {cpus:4} {workers:7} | {:14.0} {:7.0} | {:14.2} {:7.2} {:9.2} | {failed:16} {errors:8} | {:18.2} {:5.2} {:5.2} {:5.2} | {top_share:7.0} %",
            all.median, one.median, ratio.least, ratio.median, ratio.most, calls.0, calls.1, late.0, late.1,
        );
    }
    text
}

/// What must not be: requests that failed, accepts that failed when one is woken.
pub fn faults(points: &[Point]) -> Vec<String> {
    let mut faults = Vec::new();
    for point in points {
        let name = format!("{}, {} CPUs, {} workers", point.asker, point.cpus, point.workers);
        if point.failed > 0 {
            faults.push(format!("{name}: {} requests failed", point.failed));
        }
        if point.errors > 0 {
            faults.push(format!("{name}: {} accepts failed", point.errors));
        }
    }
    faults
}
