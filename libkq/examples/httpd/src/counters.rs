//! The pages that show what the workers count.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use rt::abi::limits::MAX_CPUS;

use crate::board::Place;

/// Where they are.
pub const TEXT: &str = "/counters";
/// The same to look at.
pub const PAGE: &str = "/counters.html";

type Column = (&'static str, fn(&Place) -> &AtomicU64);

const COLUMNS: [Column; 10] = [
    ("started", |place| &place.started),
    ("accepted", |place| &place.accepted),
    ("requests", |place| &place.requests),
    ("errors", |place| &place.errors),
    ("bytes", |place| &place.bytes),
    ("wakes", |place| &place.wakes),
    ("calls", |place| &place.calls),
    ("empty", |place| &place.empty),
    ("lost", |place| &place.lost),
    ("failed", |place| &place.failed),
];

/// Places at which somebody has worked.
fn used(places: &[Place]) -> impl Iterator<Item = (usize, &Place)> + Clone {
    places.iter().enumerate().filter(|(_, place)| place.started.load(Relaxed) > 0)
}

fn sum(places: &[Place], of: impl Fn(&Place) -> &AtomicU64) -> u64 {
    used(places).map(|(_, place)| of(place).load(Relaxed)).sum()
}

/// A figure a line: `worker.3.requests 17`, `all.requests 60`, `cpu.1.requests 30`.
pub fn text(places: &[Place]) -> String {
    let mut text = format!("workers {}\n", used(places).count());
    let mut line = |name: &str, what: &str, value: u64| {
        // A string takes whatever is written to it.
        let _ = writeln!(text, "{name}.{what} {value}");
    };
    for (index, place) in used(places) {
        let name = format!("worker.{index}");
        line(&name, "pid", place.pid.load(Relaxed));
        COLUMNS.iter().for_each(|(what, of)| line(&name, what, of(place).load(Relaxed)));
    }
    COLUMNS.iter().for_each(|(what, of)| line("all", what, sum(places, of)));
    for cpu in 0..MAX_CPUS {
        match sum(places, |place| &place.by_cpu[cpu]) {
            0 => {}
            requests => line(&format!("cpu.{cpu}"), "requests", requests),
        }
    }
    text
}

/// The same as a table, with everybody's share, which looks again each second.
pub fn page(places: &[Place]) -> String {
    let all = sum(places, |place| &place.requests).max(1);
    let share = |requests: u64| format!("{}.{} %", requests * 100 / all, requests * 1000 / all % 10);
    let mut page = String::from(concat!(
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=1><title>Workers</title>",
        "<style>body{font:15px sans-serif;margin:2em}td,th{text-align:right;padding:.2em .8em}",
        "tr:nth-child(even){background:#eee}</style><h1>Workers</h1><table><tr><th>worker<th>pid",
    ));
    for (what, _) in COLUMNS {
        let _ = write!(page, "<th>{what}");
    }
    page.push_str("<th>share");
    for (index, place) in used(places) {
        let _ = write!(page, "<tr><td>{index}<td>{}", place.pid.load(Relaxed));
        for (_, of) in COLUMNS {
            let _ = write!(page, "<td>{}", of(place).load(Relaxed));
        }
        let _ = write!(page, "<td>{}", share(place.requests.load(Relaxed)));
    }
    page.push_str("<tr><th>all<th>");
    for (_, of) in COLUMNS {
        let _ = write!(page, "<th>{}", sum(places, of));
    }
    page.push_str("<th></table><h2>CPUs</h2><table><tr><th>CPU<th>requests<th>share");
    for cpu in 0..MAX_CPUS {
        let requests = sum(places, |place| &place.by_cpu[cpu]);
        if requests > 0 {
            let _ = write!(page, "<tr><td>{cpu}<td>{requests}<td>{}", share(requests));
        }
    }
    page.push_str("</table>\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::add;

    #[test]
    fn workers_and_cpus_add_up() {
        let places: [Place; 3] = Default::default();
        for (place, requests) in [(0, 3), (2, 5)] {
            add(&places[place].started, 1);
            add(&places[place].requests, requests);
            add(&places[place].by_cpu[1], requests);
        }
        let text = text(&places);
        for line in
            ["workers 2", "worker.0.requests 3", "worker.2.requests 5", "all.requests 8", "cpu.1.requests 8"]
        {
            assert!(text.lines().any(|other| other == line), "{line}: {text}");
        }
        assert!(!text.contains("worker.1.") && !text.contains("cpu.0."), "{text}");
        let page = page(&places);
        assert!(page.contains("<td>37.5 %") && page.contains("<td>62.5 %"), "{page}");
    }
}
