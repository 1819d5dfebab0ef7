//! The host's terminal while the guest has it.

use std::{
    fs::File,
    io::Write,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, Stdio},
};

use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use crate::failure::{Failure, Result};

/// While it lives, every key goes to the program, Ctrl-C included. Output processing is on, so that lines of the tool
/// and of the kernel's log, which end with LF alone, begin at the left; the guest's CR LF is made LF before
/// ([`LineEndings`](super::text::LineEndings)).
///
/// The terminal is put back when it is dropped. A guardian process puts it back when the tool dies without that:
/// killed with SIGKILL, or aborted.
#[derive(Debug)]
pub struct Raw {
    terminal: OwnedFd,
    saved: Termios,
    guardian: Option<Child>,
}

/// `$1` is the saved state. Standard input is a pipe from the tool, standard output the terminal. The signals are those
/// that a dying terminal session sends; with TTOU ignored a background process may set the terminal.
const GUARDIAN: &str = r#"
    trap "" HUP INT QUIT TERM TTOU
    read -r word
    [ "$word" = restored ] || stty "$1" <&1
"#;

impl Raw {
    /// Takes the terminal.
    pub fn enter(terminal: impl AsFd) -> Result<Raw> {
        let terminal = terminal.as_fd().try_clone_to_owned().map_err(failure)?;
        let saved = tcgetattr(&terminal).map_err(failure)?;
        let guardian = guardian(&terminal);
        let raw = Raw { terminal, saved, guardian };
        tcsetattr(&raw.terminal, OptionalActions::Now, &modes(raw.saved.clone())).map_err(failure)?;
        Ok(raw)
    }
}

fn modes(mut modes: Termios) -> Termios {
    modes.input_modes.remove(
        InputModes::ICRNL
            | InputModes::INLCR
            | InputModes::IGNCR
            | InputModes::ISTRIP
            | InputModes::IXON
            | InputModes::IXOFF
            | InputModes::BRKINT
            | InputModes::PARMRK,
    );
    modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN);
    modes.output_modes.insert(OutputModes::OPOST | OutputModes::ONLCR);
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    modes
}

impl Drop for Raw {
    fn drop(&mut self) {
        let restored = tcsetattr(&self.terminal, OptionalActions::Drain, &self.saved).is_ok();
        if let Some(mut guardian) = self.guardian.take() {
            if let Some(mut pipe) = guardian.stdin.take()
                && restored
            {
                // A guardian that is gone has nothing to be told.
                let _ = pipe.write_all(b"restored\n");
            }
            let _ = guardian.wait();
        }
    }
}

/// None when the host lacks `sh` or `stty`: then only a SIGKILL leaves the terminal raw.
fn guardian(terminal: &OwnedFd) -> Option<Child> {
    let file = || terminal.try_clone().map(File::from).ok();
    let saved = Command::new("stty").arg("-g").stdin(file()?).stderr(Stdio::null()).output().ok()?;
    let saved = String::from_utf8(saved.stdout).ok().filter(|_| saved.status.success())?;
    Command::new("sh")
        .args(["-c", GUARDIAN, "guardian", saved.trim()])
        .stdin(Stdio::piped())
        .stdout(file()?)
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .ok()
}

fn failure(error: impl std::fmt::Display) -> Failure {
    Failure::new("give the terminal to the guest", error, "run it in a terminal, or with input from a pipe")
}

#[cfg(test)]
mod tests {
    use std::{
        os::fd::OwnedFd,
        time::{Duration, Instant},
    };

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    /// A terminal: the side of the keyboard and screen, and the side of the program.
    fn terminal() -> (OwnedFd, OwnedFd) {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let path = ptsname(&keyboard, Vec::new()).unwrap().into_string().unwrap();
        let program = File::options().read(true).write(true).open(path).unwrap();
        (keyboard, program.into())
    }

    fn is_raw(terminal: &OwnedFd) -> bool {
        let modes = tcgetattr(terminal).unwrap();
        !modes.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    #[test]
    fn given_back_when_dropped_and_when_unwound() {
        let (_keyboard, terminal) = terminal();
        let before = tcgetattr(&terminal).unwrap();
        let raw = Raw::enter(&terminal).unwrap();
        assert!(is_raw(&terminal));
        drop(raw);
        assert_eq!(tcgetattr(&terminal).unwrap().local_modes, before.local_modes);
        assert_eq!(tcgetattr(&terminal).unwrap().input_modes, before.input_modes);

        let unwound = std::panic::catch_unwind(|| {
            let _raw = Raw::enter(&terminal).unwrap();
            panic!("on purpose");
        });
        assert!(unwound.is_err());
        assert_eq!(tcgetattr(&terminal).unwrap().local_modes, before.local_modes);
    }

    #[test]
    fn the_guardian_gives_it_back_when_the_tool_cannot() {
        let (_keyboard, terminal) = terminal();
        let before = tcgetattr(&terminal).unwrap();
        let mut raw = Raw::enter(&terminal).unwrap();
        assert!(is_raw(&terminal));
        // What the death of the tool does: the pipe closes without a word.
        let mut guardian = raw.guardian.take().unwrap();
        drop(guardian.stdin.take());
        std::mem::forget(raw);
        let begin = Instant::now();
        while is_raw(&terminal) && begin.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(tcgetattr(&terminal).unwrap().local_modes, before.local_modes);
        guardian.wait().unwrap();
    }
}
