//! The curve as a picture: how many times as many requests as with all woken, by the number of workers.

use std::fmt::Write;

use super::{figures::Point, plan::Asker};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// Colours of the askers; a machine with more CPUs has a dashed line.
fn colour(asker: Asker) -> &'static str {
    match asker {
        Asker::Apache => "#c0392b",
        Asker::Inside => "#2471a3",
        Asker::Local => "#1e8449",
    }
}

/// An SVG document.
pub fn svg(points: &[Point]) -> String {
    let workers = |point: &Point| point.workers as f64;
    let most_workers = points.iter().map(workers).fold(2.0, f64::max);
    let least = points.iter().map(|point| point.ratio.least).fold(0.9, f64::min);
    let most = points.iter().map(|point| point.ratio.most).fold(1.2, f64::max);
    let (low, high) = ((least * 10.0).floor() / 10.0, (most * 10.0).ceil() / 10.0);
    let x = |workers: f64| LEFT + workers.log2() / most_workers.log2() * (WIDTH - LEFT - RIGHT);
    let y = |ratio: f64| TOP + (high - ratio) / (high - low) * (HEIGHT - TOP - BOTTOM);
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\">Requests in a second, one worker woken / all woken: least, median, greatest</text>\n"
    );
    // A string takes whatever is written to it.
    let mut line = |text: String| _ = writeln!(out, "{text}");
    let steps = ((high - low) * 10.0).round() as u32;
    for step in (0..=steps).step_by(if steps > 12 { 2 } else { 1 }) {
        let ratio = low + f64::from(step) / 10.0;
        let stroke = if (ratio - 1.0).abs() < 1e-6 { "#555" } else { "#ddd" };
        let at = y(ratio);
        line(format!("<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"{stroke}\"/>"));
        line(format!(
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{ratio:.1}</text>",
            LEFT - 8.0,
            at + 4.0
        ));
    }
    let mut counts: Vec<usize> = points.iter().map(|point| point.workers).collect();
    counts.sort_unstable();
    counts.dedup();
    for count in counts {
        let at = x(count as f64);
        line(format!("<text x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{count}</text>", bottom + 18.0));
    }
    line(format!(
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">workers</text>",
        (LEFT + right) / 2.0,
        bottom + 38.0
    ));
    let mut curves: Vec<(Asker, u32)> = points.iter().map(|point| (point.asker, point.cpus)).collect();
    curves.sort_unstable();
    curves.dedup();
    let least_cpus = curves.iter().map(|&(_, cpus)| cpus).min();
    for (index, &(asker, cpus)) in curves.iter().enumerate() {
        let colour = colour(asker);
        let dashes = if Some(cpus) == least_cpus { "" } else { " stroke-dasharray=\"6 4\"" };
        // Beside each other, so that the bars can be told apart.
        let aside = (index as f64 - (curves.len() - 1) as f64 / 2.0) * 3.0;
        let mut path = String::new();
        for point in points.iter().filter(|point| (point.asker, point.cpus) == (asker, cpus)) {
            let (at, ratio) = (x(workers(point)) + aside, point.ratio);
            let _ = write!(path, "{}{at:.1} {:.1}", if path.is_empty() { "M" } else { "L" }, y(ratio.median));
            line(format!(
                "<path d=\"M{at:.1} {:.1}V{:.1}\" stroke=\"{colour}\" opacity=\"0.5\"/>",
                y(ratio.least),
                y(ratio.most)
            ));
            line(format!("<circle cx=\"{at:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", y(ratio.median)));
        }
        line(format!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>"));
        let (from, at) = (right + 16.0, TOP + 20.0 * index as f64 + 10.0);
        line(format!("<path d=\"M{from} {at}h28\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>"));
        line(format!("<text x=\"{}\" y=\"{}\">{asker}, {cpus} CPUs</text>", from + 36.0, at + 4.0));
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::figures::{Spread, points};

    #[test]
    fn each_point_is_in_the_picture() {
        let spread = Spread { least: 0.85, median: 1.1, most: 1.35 };
        let point = |asker, cpus, workers| {
            let mut point =
                points(&[crate::web::figures::Row::of(cpus, workers, 1, asker, crate::web::plan::Wake::One)])
                    .remove(0);
            point.ratio = spread;
            point
        };
        let all = [point(Asker::Apache, 2, 1), point(Asker::Apache, 2, 16), point(Asker::Local, 4, 4)];
        let svg = svg(&all);
        assert_eq!(svg.matches("<circle").count(), 3, "{svg}");
        assert_eq!(svg.matches("stroke-dasharray").count(), 2, "line and legend of 4 CPUs: {svg}");
        assert!(svg.contains(">ab, 2 CPUs<") && svg.contains(">16<") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
