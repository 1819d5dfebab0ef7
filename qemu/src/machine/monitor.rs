//! The emulator's monitor (HMP), on a socket of the run: devices are plugged in and unplugged there, keys pressed, mice moved.

use std::{
    fs::{self, DirBuilder},
    io::{self, Read, Write},
    os::unix::{fs::DirBuilderExt, net::UnixStream},
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use super::dialogue::Dialogue;
use crate::failure::{Failure, Result};

/// What the monitor says when it waits for a command.
const PROMPT: &[u8] = b"(qemu) ";
/// It says this of a device that was unplugged and is not wholly gone yet: it can be plugged in a little later.
const SOON: [&str; 2] = ["Duplicate", "in use"];
/// How it begins to say that a command was none, or had no effect.
const COMPLAINTS: [&str; 4] = ["Error: ", "unknown command", "unknown option", "invalid "];
const PAUSE: Duration = Duration::from_millis(50);
/// Longest time for an answer. The emulator gives it when its CPUs let it.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where the monitor of a run is: in a folder of its own, which nobody else may enter.
#[derive(Debug)]
pub struct Socket {
    folder: PathBuf,
}

impl Socket {
    /// A place for one.
    pub fn new() -> Result<Socket> {
        static SOCKETS: AtomicU32 = AtomicU32::new(0);
        let number = SOCKETS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("kq-{}-{number}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|error| {
            Failure::new(format!("make the folder {}", folder.display()), error, "remove it, or set TMPDIR")
        })?;
        Ok(Socket { folder })
    }

    /// Its path.
    pub fn path(&self) -> PathBuf {
        self.folder.join("monitor")
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A leftover is harmless.
        _ = fs::remove_dir_all(&self.folder);
    }
}

/// Says what the dialogue has to the monitor, a command a line, while the guest says its part (`heard`), until `over`. An error
/// says which command was not accepted, or that the guest never gave the cue for one.
pub fn say(
    path: &Path,
    mut dialogue: Dialogue,
    heard: &Receiver<Vec<u8>>,
    over: &AtomicBool,
) -> std::result::Result<(), String> {
    let mut monitor = None;
    loop {
        let bytes = match heard.recv_timeout(PAUSE) {
            Ok(bytes) => bytes,
            Err(RecvTimeoutError::Timeout) if !over.load(Ordering::Relaxed) => continue,
            Err(_) if dialogue.is_over() => return Ok(()),
            Err(_) => return Err("the guest ended before all was said".to_owned()),
        };
        let commands = dialogue.heard(&bytes);
        for command in String::from_utf8_lossy(&commands).lines() {
            let told = |error: io::Error| format!("{command}: {error}");
            if monitor.is_none() {
                monitor = Some(connect(path, over).map_err(told)?);
            }
            if let Some(monitor) = &mut monitor {
                let answer = obey(monitor, command, over).map_err(told)?;
                if COMPLAINTS.iter().any(|complaint| answer.contains(complaint)) {
                    return Err(format!("{command}: {answer}"));
                }
            }
        }
    }
}

fn connect(path: &Path, over: &AtomicBool) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                until_prompt(&mut stream)?;
                return Ok(stream);
            }
            Err(error) if over.load(Ordering::Relaxed) => return Err(error),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Has a command obeyed, and returns the answer.
fn obey(stream: &mut (impl Read + Write), command: &str, over: &AtomicBool) -> io::Result<String> {
    loop {
        let answer = ask(stream, command)?;
        if !SOON.iter().any(|soon| answer.contains(soon)) {
            return Ok(answer);
        }
        if over.load(Ordering::Relaxed) {
            return Err(io::Error::other(answer));
        }
        thread::sleep(PAUSE);
    }
}

fn ask(stream: &mut (impl Read + Write), command: &str) -> io::Result<String> {
    stream.write_all(format!("{command}\n").as_bytes())?;
    // The command comes back letter by letter; what follows the line's end is the answer.
    let said = until_prompt(stream)?;
    Ok(said.split_once('\n').map_or(said.as_str(), |(_, answer)| answer).trim().to_owned())
}

fn until_prompt(stream: &mut impl Read) -> io::Result<String> {
    let (mut said, mut byte) = (Vec::new(), [0]);
    while !said.ends_with(PROMPT) {
        stream.read_exact(&mut byte)?;
        said.push(byte[0]);
    }
    said.truncate(said.len() - PROMPT.len());
    Ok(String::from_utf8_lossy(&said).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::dialogue::Turn;
    use std::{os::unix::net::UnixListener, sync::mpsc};

    /// A monitor that knows one command.
    fn monitor(listener: UnixListener) -> Vec<String> {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"QEMU 1\r\n(qemu) ").unwrap();
        let (mut lines, mut line, mut byte) = (Vec::new(), Vec::new(), [0]);
        while stream.read_exact(&mut byte).is_ok() {
            if byte[0] != b'\n' {
                line.push(byte[0]);
                continue;
            }
            let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
            let answer = match text.as_str() {
                "late" if !lines.contains(&text) => "Error: Duplicate ID\r\n",
                "bad" => "Error: what?\r\n",
                _ => "",
            };
            stream.write_all(format!("{text}\r\n{answer}(qemu) ").as_bytes()).unwrap();
            lines.push(text);
        }
        lines
    }

    fn run(turns: &[(&str, &str)], says: &[&str]) -> (std::result::Result<(), String>, Vec<String>) {
        let socket = Socket::new().unwrap();
        let listener = UnixListener::bind(socket.path()).unwrap();
        let path = socket.path();
        let turn = |&(after, send): &(&str, &str)| Turn { after: after.into(), send: send.into() };
        let dialogue = Dialogue::new(turns.iter().map(turn).collect());
        let (guest, heard) = mpsc::channel();
        says.iter().for_each(|said| guest.send(said.as_bytes().to_vec()).unwrap());
        drop(guest);
        thread::scope(|scope| {
            let monitor = scope.spawn(|| monitor(listener));
            let result = say(&path, dialogue, &heard, &AtomicBool::new(false));
            // One that was never talked to still waits for somebody.
            drop(UnixStream::connect(&path));
            (result, monitor.join().unwrap())
        })
    }

    #[test]
    fn each_command_waits_for_its_cue_and_is_checked() {
        let (result, lines) = run(&[("one", "good 1\ngood 2\n"), ("two", "good 3\n")], &["on", "e two"]);
        assert_eq!((result, lines.join(",")), (Ok(()), "good 1,good 2,good 3".to_owned()));
        let (result, lines) = run(&[("one", "late\n")], &["one"]);
        assert_eq!((result, lines.join(",")), (Ok(()), "late,late".to_owned()));
        let (result, lines) = run(&[("one", "bad\ngood\n")], &["one"]);
        assert!(result.unwrap_err().contains("bad: Error: what?"));
        assert_eq!(lines, ["bad"]);
        let (result, _) = run(&[("one", "good\n"), ("two", "good\n")], &["one"]);
        assert!(result.unwrap_err().contains("ended before"));
    }
}
