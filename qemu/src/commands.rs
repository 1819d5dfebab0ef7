//! What can be asked of the tool: one file per subcommand.

pub mod bench;
pub mod bench_ab;
pub mod bench_policies;
pub mod build;
pub mod cc;
pub mod help;
pub mod image;
pub mod loc;
pub mod new_app;
pub mod new_driver;
pub mod run;
pub mod test;

use std::ffi::OsString;

use lexopt::{Arg, Parser};

use crate::failure::{Failure, Result};

/// A subcommand.
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// Usage and options, as `help` shows them.
    pub help: &'static str,
    /// Does it and tells the exit status.
    pub run: fn(Parser) -> Result<u8>,
}

/// All of them, in the order in which `help` shows them.
pub const ALL: &[Command] = &[
    build::COMMAND,
    image::COMMAND,
    run::COMMAND,
    test::COMMAND,
    bench::COMMAND,
    cc::COMMAND,
    new_app::COMMAND,
    new_driver::COMMAND,
    loc::COMMAND,
    help::COMMAND,
];

/// Does what the command line asks for.
pub fn dispatch(mut parser: Parser) -> Result<u8> {
    let name = match parser.next()? {
        None | Some(Arg::Short('h') | Arg::Long("help")) => "help".to_owned(),
        Some(Arg::Value(name)) => name.to_string_lossy().into_owned(),
        Some(other) => return Err(other.unexpected().into()),
    };
    match ALL.iter().find(|command| command.name == name) {
        Some(command) if asks_for_help(&mut parser) => {
            println!("cargo xtask {}", command.help);
            Ok(0)
        }
        Some(command) => (command.run)(parser),
        None => Err(Failure::new(
            format!("do `{name}`"),
            "there is no such subcommand",
            format!("use one of: {}", ALL.iter().map(|command| command.name).collect::<Vec<_>>().join(", ")),
        )),
    }
}

fn asks_for_help(parser: &mut Parser) -> bool {
    let rest = parser.try_raw_args();
    rest.is_some_and(|rest| rest.as_slice().first().is_some_and(|first| first == "--help" || first == "-h"))
}

/// The rest of a command line that takes no arguments.
fn no_arguments(mut parser: Parser) -> Result<()> {
    match parser.next()? {
        None => Ok(()),
        Some(argument) => Err(argument.unexpected().into()),
    }
}

/// A value as text.
fn text(value: OsString) -> Result<String> {
    value.into_string().map_err(|value| {
        Failure::new(format!("use the argument {}", value.display()), "it is not UTF-8", "write it in UTF-8")
    })
}

/// A number of CPUs that the kernel brings up.
fn cpus(value: OsString) -> Result<u32> {
    let most = abi::limits::MAX_CPUS;
    let value = text(value)?;
    match value.parse() {
        Ok(cpus) if (1..=most).contains(&(cpus as usize)) => Ok(cpus),
        Ok(cpus) => Err(Failure::new(
            format!("run on {cpus} CPUs"),
            format!("the kernel brings up {most} at most"),
            format!("use --smp 1 to --smp {most}"),
        )),
        Err(_) => {
            let found = format!("there is no such number from 1 to {most}");
            Err(Failure::new(format!("run on {value} CPUs"), found, format!("use --smp 1 to --smp {most}")))
        }
    }
}

/// What an option counts: a number from 0 on.
fn number<N: std::str::FromStr>(option: &str, value: OsString, remedy: &str) -> Result<N> {
    let value = text(value)?;
    value.parse().map_err(|_| {
        Failure::new(format!("use --{option} {value}"), "it is no whole number that fits, from 0 on", remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_of_cpus_that_the_kernel_has_are_taken() {
        assert_eq!(cpus("1".into()), Ok(1));
        assert_eq!(cpus("16".into()), Ok(16));
        for number in ["0", "17", "4294967296", "-1", "two"] {
            let failure = cpus(number.into()).unwrap_err().to_string();
            assert!(failure.contains("--smp 1 to --smp 16"), "{failure}");
        }
    }

    #[test]
    fn an_unknown_subcommand_is_told_the_known_ones() {
        let failure = dispatch(Parser::from_args(["fly"])).unwrap_err().to_string();
        assert!(
            failure.contains("do `fly`") && failure.contains("build, image, run, test, bench"),
            "{failure}"
        );
    }
}
