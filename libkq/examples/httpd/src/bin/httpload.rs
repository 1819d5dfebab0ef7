//! The load generator: `httpload -c 8 -n 1000 -k 127.0.0.1:80`, or `httpload /run/socket/web` for a local socket. It says
//! `name value unit` a line, why requests failed if any did, and ends with status 1 then.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod program {
    use alloc::string::String;

    use httpd::load::Load;

    rt::entry!(main);

    fn main(start: &rt::Start) -> i32 {
        let Some(load) = parse(&start.args()[1..]) else {
            rt::log!("httpload: [-c CONNECTIONS] [-n REQUESTS] [-k] [-p /PATH] [IP:PORT or local socket]");
            return if start.arg(1) == "--help" { 0 } else { 2 };
        };
        match load.run() {
            Ok(tally) => {
                tally.text().lines().for_each(|line| rt::log!("{line}"));
                tally.reasons().lines().for_each(|line| rt::log!("httpload: {line}"));
                i32::from(tally.failures > 0)
            }
            Err(error) => {
                rt::log!("httpload: {}: {error}", load.address);
                1
            }
        }
    }

    fn parse(arguments: &[String]) -> Option<Load> {
        let mut load = Load::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "-c" => load.connections = arguments.next()?.parse().ok().filter(|&count| count > 0)?,
                "-n" => load.requests = arguments.next()?.parse().ok()?,
                "-k" => load.keep_alive = true,
                "-p" => load.path = arguments.next()?.clone(),
                option if option.starts_with('-') => return None,
                address => load.address = address.into(),
            }
        }
        Some(load)
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}
