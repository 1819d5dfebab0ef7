//! `cargo xtask loc`.

use super::{Command, no_arguments};
use crate::{
    drivers::{self, MOST_MAIN},
    workspace::Workspace,
};

/// The subcommand.
pub const COMMAND: Command = Command {
    name: "loc",
    help: "loc
    Lines of each driver's main and logic (blank ones, comments and tests left out), and where `unsafe` stands. The status
    is 1 when a main has more than 40 or `unsafe` stands outside the sdk's fences.",
    run: |parser| {
        no_arguments(parser)?;
        let found = drivers::survey(&Workspace::find()?)?;
        println!("{:<18} {:>4} {:>6}  unsafe", "package", "main", "logic");
        for driver in &found {
            let main = driver.main.map_or("-".to_owned(), |lines| lines.to_string());
            let places = driver.unsafety.iter().map(|(place, times)| format!("{} ({times})", place.display()));
            let places = Vec::from_iter(places).join(", ");
            let line = format!("{:<18} {main:>4} {:>6}  {places}", driver.name, driver.logic);
            println!("{}", line.trim_end());
        }
        let faults: Vec<_> = found.into_iter().flat_map(|driver| driver.faults).collect();
        faults.iter().for_each(|fault| println!("{fault}"));
        if faults.is_empty() {
            println!("no main has more than {MOST_MAIN} lines, no `unsafe` is outside of the sdk's fences");
        }
        Ok(u8::from(!faults.is_empty()))
    },
};
