//! The command line.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use libkq::WakePolicy;

use crate::board::PLACES;

/// Whom a new connection wakes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wake {
    /// Everybody who sleeps: a note without `EV_WAKEONE`.
    All,
    /// One: a note with `EV_WAKEONE` (`EPOLLEXCLUSIVE`). `None`: the system's policy.
    One(Option<WakePolicy>),
}

/// How the server works.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Addresses to listen on: `0.0.0.0:80`, or a path for a local socket.
    pub listen: Vec<String>,
    /// Where the files are.
    pub root: String,
    /// Processes.
    pub workers: usize,
    /// Threads of each.
    pub threads: usize,
    /// Whether each thread has a queue of its own; otherwise those of a process share one.
    pub queue_each: bool,
    /// Whom a new connection wakes.
    pub wake: Wake,
    /// Seconds that a request may take to come, from its first byte on.
    pub patience: u64,
    /// epoll instead of kevent.
    pub epoll: bool,
    /// Of a worker: which it is. The parent adds that.
    pub place: Option<usize>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            listen: Vec::new(),
            root: "/data/www".to_string(),
            workers: 4,
            threads: 1,
            queue_each: false,
            wake: Wake::One(None),
            patience: 15,
            epoll: false,
            place: None,
        }
    }
}

impl Options {
    /// What there is.
    pub const HELP: &'static str = "\
--listen ADDRESS    IP:PORT, or a path for a local socket; may be repeated (0.0.0.0:80)
--root PATH         where the files are, in /data or /tmp (/data/www)
--workers N         processes (4)
--threads N         threads of each (1), which are counted as workers of their own: N times as many
--queue one|each    all threads of a process wait in one queue, or each in its own (one)
--wake one|all      whom a new connection wakes (one)
--policy NAME       which one: all, one-this-cpu, one-other-cpu, one-per-cpu, round-robin, auto
--patience SECONDS  how long a request may take to come, from its first byte on (15)
--epoll             epoll with EPOLLEXCLUSIVE instead of kevent with EV_WAKEONE";

    /// Reads arguments; says what is wrong with them.
    pub fn parse(arguments: &[String]) -> Result<Options, String> {
        let mut options = Options::default();
        let mut arguments = arguments.iter().map(String::as_str);
        let mut policy = None;
        while let Some(option) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{option} needs a value"));
            match option {
                "--listen" => options.listen.push(value()?.to_string()),
                "--root" => options.root = value()?.trim_end_matches('/').to_string(),
                "--workers" => options.workers = count(option, value()?)?,
                "--threads" => options.threads = count(option, value()?)?,
                "--queue" => options.queue_each = choice(option, value()?, ["one", "each"])?,
                "--wake" => {
                    let all = choice(option, value()?, ["one", "all"])?;
                    options.wake = if all { Wake::All } else { Wake::One(None) };
                }
                "--policy" => {
                    let name = value()?;
                    policy = Some(WakePolicy::from_name(name).ok_or_else(|| format!("no policy `{name}`"))?);
                }
                "--patience" => options.patience = number(option, value()?)? as u64,
                "--epoll" => options.epoll = true,
                "--place" => options.place = Some(number(option, value()?)?),
                _ => return Err(format!("no option `{option}`")),
            }
        }
        if options.workers * options.threads > PLACES {
            return Err(format!("{PLACES} threads are the most, in all workers together"));
        }
        match (policy, &mut options.wake) {
            (None, _) => {}
            (Some(_), Wake::All) => return Err("--policy is for --wake one".to_string()),
            (policy, Wake::One(of)) => *of = policy,
        }
        if options.listen.is_empty() {
            options.listen.push("0.0.0.0:80".to_string());
        }
        Ok(options)
    }
}

fn number(option: &str, value: &str) -> Result<usize, String> {
    value.parse().map_err(|_| format!("{option} {value}: no number"))
}

fn count(option: &str, value: &str) -> Result<usize, String> {
    match number(option, value)? {
        count if (1..=PLACES).contains(&count) => Ok(count),
        _ => Err(format!("{option} is a number from 1 to {PLACES}")),
    }
}

/// Whether it is the second of two words.
fn choice(option: &str, value: &str, words: [&str; 2]) -> Result<bool, String> {
    match words.iter().position(|word| *word == value) {
        Some(which) => Ok(which == 1),
        None => Err(format!("{option} is {} or {}", words[0], words[1])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(&line.split_whitespace().map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn all_options_are_taken() {
        let options = parse(
            "--listen /run/socket/web --workers 2 --threads 3 --queue each --policy round-robin --epoll \
             --patience 3",
        )
        .unwrap();
        assert_eq!(options.listen, ["/run/socket/web"]);
        assert_eq!((options.workers, options.threads, options.patience), (2, 3, 3));
        assert_eq!(options.wake, Wake::One(Some(WakePolicy::RoundRobin)));
        assert!(options.queue_each && options.epoll && options.place.is_none());
        assert_eq!(parse("").unwrap().listen, ["0.0.0.0:80"]);
        assert_eq!(parse("--wake all").unwrap().wake, Wake::All);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "--workers",
            "--workers 0",
            "--workers x",
            "--workers 65",
            "--workers 64 --threads 2",
            "--wake two",
            "--policy one",
            "--wake all --policy auto",
            "--patience x",
            "--port 80",
            "80",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
