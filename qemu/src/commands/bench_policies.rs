//! `cargo xtask bench policies`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lexopt::{Arg, Parser};

use super::{cpus, number, text};
use crate::{
    failure::{Failure, Result},
    machine::signals::Signals,
    measure,
    policies::{plan::Plan, plot, row::Row, table},
    workspace::Workspace,
};

/// Does it; the parser is behind the word `policies`.
pub fn run(mut parser: Parser) -> Result<u8> {
    let (mut plan, mut picture) = (Plan::whole(), None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("quick") => plan = Plan::quick(),
            Arg::Long("threads") => plan.threads = Some((2, 5)),
            Arg::Long("smp") => plan.cpus = vec![cpus(parser.value()?)?],
            Arg::Long("workers") => {
                plan.of_workers(number("workers", parser.value()?, "give one number: --workers 16")?)?;
            }
            Arg::Long("workload") => plan.of_workload(&text(parser.value()?)?)?,
            Arg::Long("plot") => picture = Some(PathBuf::from(parser.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    let workspace = Workspace::find()?;
    // What takes long is built before signals are caught: they end the compiler, too.
    measure::recipe(Vec::new()).make(&workspace)?;
    let signals = Signals::catch()?;
    eprintln!("{} rows", plan.rows());
    println!("{}", Row::head());
    let rows = plan.run(&workspace, &signals, |row| println!("{row}"))?;
    let file = workspace.target().join("bench/policies.tsv");
    let lines: Vec<String> = std::iter::once(Row::head()).chain(rows.iter().map(Row::to_string)).collect();
    write(&file, &(lines.join("\n") + "\n"))?;
    println!("\n{}", table::places(&rows));
    println!("Time over the best policy's, mean and worst in percent\n{}", table::summary(&rows, Row::time));
    println!("Latency over the best policy's\n{}", table::summary(&rows, Row::latency));
    if plan.threads.is_some() {
        println!("{}", table::rounds(&rows));
    }
    println!("all rows: {}", file.display());
    if let Some(picture) = picture {
        let time = "Instructions of an item; what handlers on several CPUs do at once counts once";
        write(&picture, &plot::svg(&rows, time, Row::time))?;
        let latency = "Instructions from an item's sending until its handling begins, median";
        write(&beside(&picture, "latency"), &plot::svg(&rows, latency, Row::latency))?;
    }
    Ok(0)
}

/// `policies-latency.svg` of `policies.svg`.
fn beside(picture: &Path, what: &str) -> PathBuf {
    let stem = picture.file_stem().unwrap_or_default().display();
    picture.with_file_name(format!("{stem}-{what}.svg"))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    made.map_err(|error| {
        Failure::new(format!("write {}", path.display()), error, "check the folder's permissions")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_booted_for_what_there_is_not() {
        let refused = |arguments: &[&str]| run(Parser::from_args(arguments)).unwrap_err().to_string();
        assert!(refused(&["--workload", "nonesuch"]).contains("no such workload"));
        assert!(refused(&["--workers", "65"]).contains("1 to 64"));
        assert!(refused(&["--nonesuch"]).contains("nonesuch"));
        assert_eq!(beside(Path::new("docs/policies.svg"), "latency"), Path::new("docs/policies-latency.svg"));
    }
}
