//! `cargo xtask bench ab`.

use std::{fs, path::Path};

use lexopt::{Arg, Parser};

use super::{cpus, number};
use crate::{
    failure::{Failure, Result},
    machine::signals::Signals,
    web::{
        apache,
        figures::{Row, points},
        guest,
        plan::Plan,
        plot, table,
    },
    workspace::Workspace,
};

/// Does it; the parser is behind the word `ab`.
pub fn run(mut parser: Parser) -> Result<u8> {
    let (mut plan, mut picture) = (Plan::whole(), None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("quick") => plan = Plan::quick(),
            Arg::Long("smp") => plan.cpus = vec![cpus(parser.value()?)?],
            Arg::Long("workers") => {
                plan.workers = vec![number("workers", parser.value()?, "give one number: --workers 16")?];
            }
            Arg::Long("rounds") => plan.rounds = number("rounds", parser.value()?, "as in --rounds 5")?,
            Arg::Long("requests") => {
                plan.requests = number("requests", parser.value()?, "as in --requests 400")?
            }
            Arg::Long("plot") => picture = Some(parser.value()?),
            other => return Err(other.unexpected().into()),
        }
    }
    apache::check()?;
    let workspace = Workspace::find()?;
    let image = guest::image(&workspace)?;
    let signals = Signals::catch()?;
    println!("{}", Row::HEAD);
    let rows = plan.run(&image, &signals, &|row| println!("{row}"))?;
    let file = workspace.target().join("bench/ab.tsv");
    let lines = std::iter::once(Row::HEAD.to_owned()).chain(rows.iter().map(Row::to_string));
    write(&file, &(lines.collect::<Vec<_>>().join("\n") + "\n"))?;
    let points = points(&rows);
    println!("\n{}\nall rows: {}", table::table(&points), file.display());
    if let Some(picture) = picture {
        write(Path::new(&picture), &plot::svg(&points))?;
    }
    let faults = table::faults(&points);
    faults.iter().for_each(|fault| println!("FAILED {fault}"));
    Ok(u8::from(!faults.is_empty()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    made.map_err(|error| {
        Failure::new(format!("write {}", path.display()), error, "check the folder's permissions")
    })
}
