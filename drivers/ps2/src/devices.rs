//! What is plugged into the ports, and switching it on.

use crate::controller::{Byte, Controller, Fault, Port, Time};
use core::fmt;
use driver_sdk::Registers;

/// Commands of both devices.
const RESET: u8 = 0xff;
const IDENTIFY: u8 = 0xf2;
const RATE: u8 = 0xf3;
const SPEAK: u8 = 0xf4;
/// What they answer.
const TAKEN: u8 = 0xfa;
const AGAIN: u8 = 0xfe;
/// What they say after their own test.
const SOUND: u8 = 0xaa;
/// A mouse with a wheel.
const WHEEL: u8 = 3;
/// These rates one after the other have a mouse with a wheel say so from then on.
const KNOCK: [u8; 3] = [200, 100, 80];
/// Movements a second.
const USUAL_RATE: u8 = 100;

/// For an answer to a command.
const PROMPT_NS: u64 = 100_000_000;
/// For a device's own test.
const TEST_NS: u64 = 1_000_000_000;
/// How often a command is said that was not understood.
const TRIES: usize = 3;
/// Bytes that are no answer before one that is.
const STALE: usize = 64;

/// What there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// A keyboard.
    pub keyboard: bool,
    /// A mouse.
    pub mouse: bool,
    /// It has a wheel.
    pub wheel: bool,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.keyboard, self.mouse, self.wheel) {
            (true, true, true) => "a keyboard, and a mouse with a wheel",
            (true, true, false) => "a keyboard and a mouse",
            (true, false, _) => "a keyboard and no mouse",
            (false, true, true) => "no keyboard, and a mouse with a wheel",
            (false, true, false) => "no keyboard, and a mouse",
            (false, false, _) => "neither keyboard nor mouse",
        })
    }
}

/// Resets what is at the ports that can be used, and has it speak. Nothing interrupts yet.
pub fn set_up<R: Registers>(
    controller: &mut Controller<R>,
    [keyboard, mouse]: [bool; 2],
    time: &impl Time,
) -> Result<Found, Fault> {
    let mut found = Found::default();
    if keyboard {
        controller.enable(Port::Keyboard, time)?;
        let mut line = Line { controller, port: Port::Keyboard, time };
        found.keyboard = line.reset().and_then(|()| line.tell(&[SPEAK])).is_some();
        controller.flush();
    }
    // The mouse last, and speaking last of all: nothing of its first packet is thrown away.
    if mouse {
        controller.enable(Port::Mouse, time)?;
        if let Some(wheel) = set_up_mouse(&mut Line { controller, port: Port::Mouse, time }) {
            (found.mouse, found.wheel) = (true, wheel);
        }
    }
    Ok(found)
}

/// Whether it has a wheel. `None`: there is none, or it does not answer.
fn set_up_mouse<R: Registers>(line: &mut Line<'_, R, impl Time>) -> Option<bool> {
    line.reset()?;
    for rate in KNOCK {
        line.tell(&[RATE, rate])?;
    }
    line.tell(&[IDENTIFY])?;
    let identity = line.hear(PROMPT_NS)?;
    line.tell(&[RATE, USUAL_RATE])?;
    line.tell(&[SPEAK])?;
    Some(identity == WHEEL)
}

/// A device at its port.
struct Line<'a, R, T> {
    controller: &'a mut Controller<R>,
    port: Port,
    time: &'a T,
}

impl<R: Registers, T: Time> Line<'_, R, T> {
    fn reset(&mut self) -> Option<()> {
        self.tell(&[RESET])?;
        (self.hear(TEST_NS)? == SOUND).then_some(())?;
        if self.port == Port::Mouse {
            // What it is: a plain mouse, until it is knocked at.
            self.hear(PROMPT_NS)?;
        }
        Some(())
    }

    /// Says a command, and waits until each byte of it is taken.
    fn tell(&mut self, bytes: &[u8]) -> Option<()> {
        bytes.iter().try_for_each(|&byte| {
            for _ in 0..TRIES {
                self.controller.send(self.port, byte, self.time)?;
                match self.answer()? {
                    TAKEN => return Some(()),
                    AGAIN => {}
                    _ => return None,
                }
            }
            None
        })
    }

    /// The answer to a byte: what was on its way when the device was told is none.
    fn answer(&mut self) -> Option<u8> {
        for _ in 0..STALE {
            let byte = self.hear(PROMPT_NS)?;
            if [TAKEN, AGAIN].contains(&byte) {
                return Some(byte);
            }
        }
        None
    }

    /// The device's next byte.
    fn hear(&mut self, patience: u64) -> Option<u8> {
        let deadline = self.time.now().saturating_add(patience);
        loop {
            match self.controller.take() {
                Some(Byte { port, value: Some(value) }) if port == self.port => return Some(value),
                Some(Byte { port, value: None }) if port == self.port => return None,
                // The other port's does not hold this up.
                _ if self.time.now() >= deadline => return None,
                Some(_) => {}
                None => self.time.pause(),
            }
        }
    }
}
