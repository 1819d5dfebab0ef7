//! The controller (IBM Personal System/2 Hardware Interface Technical Reference, keyboard and auxiliary device controller).

use core::fmt;
use driver_sdk::Registers;

/// Ports, from the first one on.
const DATA: usize = 0;
const STATUS: usize = 4;

/// Bits of the status.
mod status {
    /// There is a byte to read.
    pub const FULL: u8 = 1 << 0;
    /// What was written is not taken yet.
    pub const BUSY: u8 = 1 << 1;
    /// The byte is the mouse's.
    pub const MOUSE: u8 = 1 << 5;
    /// The byte came too late or wrong.
    pub const WRONG: u8 = 3 << 6;
}

/// Commands.
mod command {
    pub const READ_MODE: u8 = 0x20;
    pub const WRITE_MODE: u8 = 0x60;
    pub const DISABLE: [u8; 2] = [0xad, 0xa7];
    pub const ENABLE: [u8; 2] = [0xae, 0xa8];
    pub const TEST: u8 = 0xaa;
    pub const TEST_PORT: [u8; 2] = [0xab, 0xa9];
    pub const TO_MOUSE: u8 = 0xd4;
}

/// Bits of the mode.
mod mode {
    pub const INTERRUPTS: [u8; 2] = [1 << 0, 1 << 1];
    pub const DISABLED: [u8; 2] = [1 << 4, 1 << 5];
    /// The keyboard's codes are translated to those of set 1.
    pub const TRANSLATES: u8 = 1 << 6;
}

/// What the controller's test says when all is well.
const SOUND: u8 = 0x55;
/// Bytes that may wait somewhere: more in a row is nonsense.
const STALE: usize = 64;
/// For the controller itself.
const PROMPT_NS: u64 = 50_000_000;
/// For its test.
const TEST_NS: u64 = 1_000_000_000;

/// One of the two ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Port {
    /// The first one.
    Keyboard,
    /// The second one.
    Mouse,
}

/// Why there is nothing to be driven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nobody is behind the ports.
    NoController,
    /// It did not take a command, or did not answer one.
    Silent(u8),
    /// Its own test found this.
    Unsound(u8),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NoController => f.write_str("the machine has no PS/2 controller"),
            Fault::Silent(command) => write!(f, "the PS/2 controller does not answer {command:#04x}"),
            Fault::Unsound(found) => write!(f, "the PS/2 controller's own test says {found:#04x}"),
        }
    }
}

/// How time goes by while the devices are set up.
pub trait Time {
    /// Monotonic ns.
    fn now(&self) -> u64;
    /// Lets a little of it go by.
    fn pause(&self);
}

/// What came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Byte {
    /// From where.
    pub port: Port,
    /// What. Nothing, if it came wrong.
    pub value: Option<u8>,
}

/// The controller behind its ports 0x60 and 0x64.
#[derive(Debug)]
pub struct Controller<R> {
    ports: R,
}

impl<R: Registers> Controller<R> {
    /// Finds it, tests it, and leaves both of its ports without power of speech. Returns which of them can be used.
    pub fn new(ports: R, time: &impl Time) -> Result<(Controller<R>, [bool; 2]), Fault> {
        let mut controller = Controller { ports };
        // All ones: what nobody answers. Such a status would also be one with everything wrong.
        if controller.status() == u8::MAX {
            return Err(Fault::NoController);
        }
        for disable in command::DISABLE {
            controller.command(disable, time)?;
        }
        controller.flush();
        controller.set_mode(mode::TRANSLATES | mode::DISABLED[0] | mode::DISABLED[1], time)?;
        match controller.ask(command::TEST, TEST_NS, time)? {
            SOUND => {}
            found => return Err(Fault::Unsound(found)),
        }
        // Some forget all at their test. With the mouse's port enabled its bit is clear, if there is one.
        controller.set_mode(mode::TRANSLATES | mode::DISABLED[0] | mode::DISABLED[1], time)?;
        controller.command(command::ENABLE[1], time)?;
        let has_mouse = controller.ask(command::READ_MODE, PROMPT_NS, time)? & mode::DISABLED[1] == 0;
        controller.command(command::DISABLE[1], time)?;
        let mut sound = [true, has_mouse];
        for (sound, test) in sound.iter_mut().zip(command::TEST_PORT) {
            *sound = *sound && controller.ask(test, PROMPT_NS, time)? == 0;
        }
        Ok((controller, sound))
    }

    fn status(&self) -> u8 {
        self.ports.read(STATUS)
    }

    /// Lets a port's device speak.
    pub(crate) fn enable(&mut self, port: Port, time: &impl Time) -> Result<(), Fault> {
        self.command(command::ENABLE[port as usize], time)
    }

    /// Has the ports that are used interrupt, and the others be silent.
    pub(crate) fn begin(&mut self, used: [bool; 2], time: &impl Time) -> Result<(), Fault> {
        let bits = |port: usize| if used[port] { mode::INTERRUPTS[port] } else { mode::DISABLED[port] };
        self.set_mode(mode::TRANSLATES | bits(0) | bits(1), time)
    }

    fn set_mode(&mut self, mode: u8, time: &impl Time) -> Result<(), Fault> {
        self.command(command::WRITE_MODE, time)?;
        self.put(mode, time).ok_or(Fault::Silent(command::WRITE_MODE))
    }

    fn command(&mut self, command: u8, time: &impl Time) -> Result<(), Fault> {
        self.until_taken(time).ok_or(Fault::Silent(command))?;
        self.ports.write(STATUS, command);
        Ok(())
    }

    /// A command with an answer.
    fn ask(&mut self, command: u8, patience: u64, time: &impl Time) -> Result<u8, Fault> {
        self.command(command, time)?;
        let deadline = time.now().saturating_add(patience);
        loop {
            match self.take() {
                // With both ports disabled nobody else says something, but for what was on its way.
                Some(Byte { port: Port::Keyboard, value: Some(value) }) => return Ok(value),
                // One that says something all the time does not hold this up either.
                _ if time.now() >= deadline => return Err(Fault::Silent(command)),
                Some(_) => {}
                None => time.pause(),
            }
        }
    }

    /// Sends a byte to a device. `None`: it is not taken.
    pub(crate) fn send(&mut self, port: Port, byte: u8, time: &impl Time) -> Option<()> {
        if port == Port::Mouse {
            self.command(command::TO_MOUSE, time).ok()?;
        }
        self.put(byte, time)
    }

    fn put(&mut self, byte: u8, time: &impl Time) -> Option<()> {
        self.until_taken(time)?;
        self.ports.write(DATA, byte);
        Some(())
    }

    fn until_taken(&mut self, time: &impl Time) -> Option<()> {
        let deadline = time.now().saturating_add(PROMPT_NS);
        while self.status() & status::BUSY != 0 {
            if time.now() >= deadline {
                return None;
            }
            time.pause();
        }
        Some(())
    }

    /// What came, if something did.
    pub(crate) fn take(&mut self) -> Option<Byte> {
        let status = self.status();
        if status & status::FULL == 0 || status == u8::MAX {
            return None;
        }
        let byte = self.ports.read(DATA);
        let port = if status & status::MOUSE != 0 { Port::Mouse } else { Port::Keyboard };
        Some(Byte { port, value: (status & status::WRONG == 0).then_some(byte) })
    }

    /// Forgets what came.
    pub(crate) fn flush(&mut self) {
        for _ in 0..STALE {
            if self.take().is_none() {
                return;
            }
        }
    }
}
