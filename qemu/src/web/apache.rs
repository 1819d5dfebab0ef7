//! apachebench: `ab` of Debian's `apache2-utils`.

use std::{io::ErrorKind, process::Command};

use crate::failure::{Failure, Result};

const AB: &str = "ab";

/// What one run of it came to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Run {
    /// Requests in a second of the host.
    pub rate: f64,
    /// Requests that failed, or were answered with another status than 2xx, or not at all.
    pub failed: u64,
}

/// Fails when it is not there.
pub fn check() -> Result<()> {
    match Command::new(AB).arg("-V").output() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure::new(
            "measure with apachebench",
            "there is no `ab` on this machine",
            "install it: apt-get install apache2-utils",
        )),
        Err(error) => Err(Failure::new("measure with apachebench", error, "see why `ab -V` does not run")),
    }
}

/// Asks a port of the loopback address so often, each time with a connection of its own.
pub fn run(port: u16, connections: u64, requests: u64) -> Result<Run> {
    let mut command = Command::new(AB);
    command.args(["-q", "-s", "120", "-n", &requests.to_string(), "-c", &connections.to_string()]);
    command.arg(format!("http://127.0.0.1:{port}/"));
    let asked = format!("run `{command:?}`").replace('"', "");
    let remedy = "see what it said";
    let output = command.output().map_err(|error| Failure::new(&asked, error, remedy))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match parse(&said, requests) {
        Some(run) if output.status.success() => Ok(run),
        _ => Err(Failure::new(&asked, format!("{said}{}", String::from_utf8_lossy(&output.stderr)), remedy)),
    }
}

fn parse(said: &str, requests: u64) -> Option<Run> {
    let figure = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()
    };
    let count = |name: &str| figure(name).map_or(Some(0), |text| text.parse::<u64>().ok());
    let rate = figure("Requests per second:")?.parse().ok()?;
    let unanswered = requests.checked_sub(count("Complete requests:")?)?;
    Some(Run { rate, failed: count("Failed requests:")? + count("Non-2xx responses:")? + unanswered })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_read() {
        let said = "Complete requests:      200\nFailed requests:        3\n   (Connect: 0, Receive: 0)\n\
                    Requests per second:    468.89 [#/sec] (mean)\n";
        assert_eq!(parse(said, 200), Some(Run { rate: 468.89, failed: 3 }));
        assert_eq!(parse(said, 205), Some(Run { rate: 468.89, failed: 8 }));
        assert_eq!(parse(&format!("{said}Non-2xx responses:      7\n"), 200).unwrap().failed, 10);
        assert_eq!(parse("apr_socket_recv: Connection reset by peer (104)\n", 200), None);
    }
}
