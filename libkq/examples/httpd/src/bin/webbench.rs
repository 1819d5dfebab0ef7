//! The guest's side of `cargo xtask bench ab`: does what it is told on a port, one line a connection, and answers in lines of which
//! the first is `ok` or what went wrong.
//!
//! | line | |
//! |---|---|
//! | `hello` | nothing: that it listens |
//! | `start OPTIONS` | starts a web server with these options |
//! | `stop` | ends it |
//! | `load ADDRESS CONNECTIONS REQUESTS` | asks it so often, a connection for each request; answers the load's figures |
//! | `end` | ends the machine |
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod program {
    use alloc::string::String;
    use alloc::vec::Vec;

    use httpd::load::Load;
    use libkq::process::SocketType;
    use libkq::process_calls::{Child, Command};
    use libkq::signal::SIGTERM;
    use libkq::{Descriptor, Error, Result, process};
    use rt::abi::error::{EBUSY, ECHILD, EINVAL, ENAMETOOLONG};

    /// Where it is told.
    const ADDRESS: &str = "0.0.0.0:7000";
    /// Quota of a server's parent.
    const QUOTA: u64 = 8 << 20;

    rt::entry!(main);

    fn main(_: &rt::Start) -> i32 {
        match serve() {
            Ok(()) => 0,
            Err(error) => {
                rt::log!("webbench: {error}");
                1
            }
        }
    }

    fn serve() -> Result<()> {
        let listener = Descriptor::inet_socket(SocketType::Stream)?;
        process().bind(listener.number(), ADDRESS)?;
        process().listen(listener.number(), 4)?;
        let mut server = None;
        loop {
            let teller = listener.accept()?;
            let Ok(line) = read_line(&teller) else { continue };
            let done = obey(&line, &mut server);
            let answer = match &done {
                Ok(text) => alloc::format!("ok\n{text}"),
                Err(error) => alloc::format!("{line}: {error}\n"),
            };
            // Who told it may be gone: then the next one tells.
            let _ = teller.write_all(answer.as_bytes());
            if line == "end" {
                return Ok(());
            }
        }
    }

    fn obey(line: &str, server: &mut Option<Child>) -> Result<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["start", ..] if server.is_some() => Err(Error::new(EBUSY)),
            ["start", options @ ..] => {
                let command = Command::new("bin/httpd").quota(QUOTA);
                let command = options.iter().fold(command, |command, option| command.argument(option));
                *server = Some(command.spawn()?);
                Ok(String::new())
            }
            ["stop"] => {
                let server = server.take().ok_or(Error::new(ECHILD))?;
                server.kill(SIGTERM.into())?;
                server.wait().map(|_| String::new())
            }
            ["load", address, connections, requests] => {
                let number = |text: &str| text.parse().map_err(|_| Error::new(EINVAL));
                let connections = number(connections)? as usize;
                let requests = number(requests)?;
                let address = String::from(*address);
                let load = Load { address, connections, requests, ..Load::default() };
                load.run().map(|tally| tally.text())
            }
            ["hello" | "end"] => Ok(String::new()),
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn read_line(teller: &Descriptor) -> Result<String> {
        let mut bytes = Vec::new();
        let mut piece = [0; 256];
        loop {
            let count = teller.read(&mut piece)?;
            bytes.extend_from_slice(&piece[..count]);
            if let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
                bytes.truncate(end);
                return String::from_utf8(bytes).map_err(|_| Error::new(EINVAL));
            }
            if count == 0 || bytes.len() > 1024 {
                return Err(Error::new(ENAMETOOLONG));
            }
        }
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}
