//! The rows as a picture: a panel for each workload and machine, a line for each policy, over the number of workers.

use std::{collections::BTreeMap, fmt::Write};

use super::row::{POLICIES, Place, Row, WORKLOADS, sorted};
use crate::web::figures::Spread;

const PANEL: (f64, f64) = (240.0, 150.0);
const LEFT: f64 = 70.0;
const TOP: f64 = 76.0;
/// Above a row of panels: what workload it is.
const HEADING: f64 = 20.0;
/// Between panels: their labels.
const GAP: (f64, f64) = (52.0, 78.0);

/// Colours of the policies; those of which one is meant by another line are dashed.
const COLOURS: [&str; POLICIES.len()] =
    ["#7f8c8d", "#b7950b", "#884ea0", "#d35400", "#1e8449", "#2471a3", "#c0392b"];

/// An SVG document of a figure, with counted instructions. It is above 0.
pub fn svg(rows: &[Row], title: &str, figure: impl Fn(&Row) -> f64) -> String {
    let sorted = sorted(rows);
    let places = || sorted.iter().filter(|(place, _)| place.counted);
    let mut cpus: Vec<u32> = places().map(|(place, _)| place.cpus).collect();
    let mut workloads: Vec<usize> = places().map(|(place, _)| place.workload).collect();
    cpus.sort_unstable();
    cpus.dedup();
    workloads.sort_unstable();
    workloads.dedup();
    let most_workers = places().map(|(place, _)| place.workers).max().unwrap_or(1).max(2);
    let (width, height) =
        (LEFT + cpus.len() as f64 * (PANEL.0 + GAP.0), TOP + workloads.len() as f64 * (PANEL.1 + GAP.1));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\">{title}</text>\n"
    );
    for (policy, (_, name)) in POLICIES.iter().enumerate() {
        let at = LEFT + 130.0 * policy as f64;
        // A string takes whatever is written to it.
        let _ = writeln!(
            out,
            "{}<text x=\"{}\" y=\"48\">{name}</text>",
            stroke(policy, &format!("M{at} 44h24")),
            at + 30.0
        );
    }
    for (row, &workload) in workloads.iter().enumerate() {
        let top = TOP + row as f64 * (PANEL.1 + GAP.1);
        let (name, what) = WORKLOADS[workload];
        let _ = writeln!(
            out,
            "<text x=\"{LEFT}\" y=\"{top}\"><tspan font-weight=\"bold\">{name}</tspan>: {what}</text>"
        );
        for (column, &number) in cpus.iter().enumerate() {
            let corner = (LEFT + column as f64 * (PANEL.0 + GAP.0), top + HEADING);
            let cpu = if number == 1 { "CPU" } else { "CPUs" };
            let _ = writeln!(out, "<text x=\"{}\" y=\"{}\">{number} {cpu}</text>", corner.0, corner.1 - 5.0);
            let points = places()
                .filter(|(place, _)| place.workload == workload && place.cpus == number)
                .map(|(place, policies)| (*place, policies));
            panel(&mut out, corner, most_workers, &points.collect(), &figure);
        }
    }
    out.push_str("</svg>\n");
    out
}

fn stroke(policy: usize, path: &str) -> String {
    let colour = COLOURS[policy];
    let (width, dashes) = match POLICIES[policy].0 {
        "auto" => ("2.5", ""),
        "all" => ("1.3", " stroke-dasharray=\"5 3\""),
        _ => ("1.3", ""),
    };
    format!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes}/>")
}

fn panel(
    out: &mut String,
    (left, top): (f64, f64),
    most_workers: u32,
    points: &BTreeMap<&Place, &BTreeMap<usize, Vec<&Row>>>,
    figure: &impl Fn(&Row) -> f64,
) {
    let value = |rows: &[&Row]| Spread::of(rows.iter().map(|row| figure(row))).median.max(1.0);
    let values: Vec<f64> =
        points.values().flat_map(|policies| policies.values()).map(|rows| value(rows)).collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min) / 1.1;
    let most = (values.iter().copied().fold(1.0, f64::max) * 1.1).max(least * 1.5);
    let (right, bottom) = (left + PANEL.0, top + PANEL.1);
    let x = |workers: u32| left + f64::from(workers).log2() / f64::from(most_workers).log2() * PANEL.0;
    let y = |value: f64| bottom - (value / least).ln() / (most / least).ln() * PANEL.1;
    for tick in ticks(least, most) {
        let at = y(tick);
        let _ = writeln!(
            out,
            "<path d=\"M{left} {at:.1}H{right}\" stroke=\"#ddd\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 5.0,
            at + 4.0,
            short(tick)
        );
    }
    let _ = writeln!(
        out,
        "<rect x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#999\"/>",
        PANEL.0, PANEL.1
    );
    for place in points.keys() {
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
            x(place.workers),
            bottom + 14.0,
            place.workers
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"#555\">workers</text>",
        (left + right) / 2.0,
        bottom + 27.0
    );
    for (policy, colour) in COLOURS.iter().enumerate() {
        let of_policy = points
            .iter()
            .filter_map(|(place, policies)| Some((place.workers, value(policies.get(&policy)?))));
        let (mut path, mut circles) = (String::new(), String::new());
        for (workers, value) in of_policy {
            let (at, height) = (x(workers), y(value));
            let _ = write!(path, "{}{at:.1} {height:.1}", if path.is_empty() { "M" } else { "L" });
            let _ = write!(circles, "<circle cx=\"{at:.1}\" cy=\"{height:.1}\" r=\"2\"/>");
        }
        if !path.is_empty() {
            let _ = writeln!(out, "{}<g fill=\"{colour}\">{circles}</g>", stroke(policy, &path));
        }
    }
}

/// 1, 2 and 5 times powers of ten; between close ends whatever makes four of them.
fn ticks(least: f64, most: f64) -> Vec<f64> {
    let powers = (0..12).map(|power| 10f64.powi(power));
    let ticks: Vec<f64> = powers
        .flat_map(|power| [1.0, 2.0, 5.0].map(|it| it * power))
        .filter(|it| (least..most).contains(it))
        .collect();
    if ticks.len() >= 3 {
        return ticks;
    }
    let step = [1.0, 2.0, 5.0]
        .into_iter()
        .flat_map(|it| (0..12).map(move |power| it * 10f64.powi(power)))
        .filter(|step| (most - least) / step <= 5.0)
        .fold(f64::INFINITY, f64::min);
    let first = (least / step).ceil() as u64;
    (first..first + 6).map(|it| it as f64 * step).filter(|it| *it < most).collect()
}

/// 12 000 as `12k`.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", v / 1e6),
        v if v >= 1e3 => format!("{}k", v / 1e3),
        v => format!("{v}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::row::tests::line, *};

    #[test]
    fn each_row_is_in_the_picture() {
        let row = |workload, policy, workers, cpus, cost, counted| {
            Row::read(&line(workload, policy, workers, cpus, cost), counted).unwrap()
        };
        let rows = [
            row("short", "auto", 1, 1, 9_000, true),
            row("short", "auto", 64, 1, 9_000, true),
            row("short", "plain", 64, 1, 400_000, true),
            row("slow", "auto", 1, 2, 1_000, true),
            row("slow", "auto", 1, 2, 1_000, false),
        ];
        let svg = svg(&rows, "Time", Row::time);
        assert_eq!(svg.matches("<circle").count(), 4, "not what was not counted: {svg}");
        assert!(
            svg.contains(">short<")
                && svg.contains(">1 CPU<")
                && svg.contains(">2 CPUs<")
                && svg.contains(">64<"),
            "{svg}"
        );
        assert!(svg.contains(">100k<") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn there_are_some_ticks_whatever_the_ends() {
        assert_eq!(ticks(900.0, 60_000.0), [1e3, 2e3, 5e3, 1e4, 2e4, 5e4]);
        assert_eq!(ticks(10_100.0, 15_900.0), [12e3, 14e3]);
        assert_eq!((short(12e3), short(1.5e6)), ("12k".to_owned(), "1.5M".to_owned()));
    }
}
