//! Keyboard and mouse as files.

use crate::controller::{Byte, Controller, Fault, Port, Time};
use crate::devices::{Found, set_up};
use crate::keyboard::Keyboard;
use crate::mouse::{Act, Mouse};
use abi::error::{EINVAL, ENODEV, ENOENT, ESPIPE, Error, Result};
use core::fmt;
use driver_sdk::{Context, Control, ControlReply, Driver, FileId, Filters, Kind, Opening, Registers, Taken};
use input::readers::Readers;
use input::record::{KEY, REL, REPORT, Record, SYN};

/// Paths of the two.
pub const PATHS: [&str; 2] = ["/dev/ps2/keyboard", "/dev/ps2/mouse"];
/// Name of the second interrupt line among the handles that the process was started with.
pub const MOUSE_LINE: &str = "irq:mouse";
/// Bytes that are taken at once, before others have their turn.
const AT_ONCE: usize = 64;

/// The controller, its devices and their readers.
pub struct Ps2<R, T> {
    controller: Controller<R>,
    time: T,
    found: Found,
    keyboard: Keyboard,
    mouse: Mouse,
    readers: [Readers; 2],
    fault: Option<Fault>,
    interrupts: u64,
    /// Bytes that came wrong.
    wrong: u64,
}

impl<R: Registers, T: Time> Ps2<R, T> {
    /// Sets up the controller behind its ports and what is plugged into it.
    pub fn new(ports: R, time: T) -> core::result::Result<Ps2<R, T>, Fault> {
        let (mut controller, sound) = Controller::new(ports, &time)?;
        let found = set_up(&mut controller, sound, &time)?;
        Ok(Ps2 {
            controller,
            time,
            found,
            keyboard: Keyboard::default(),
            mouse: Mouse::new(found.wheel),
            readers: Default::default(),
            fault: None,
            interrupts: 0,
            wrong: 0,
        })
    }

    /// What is plugged in.
    pub fn found(&self) -> Found {
        self.found
    }

    fn has(&self, port: Port) -> bool {
        [self.found.keyboard, self.found.mouse][port as usize]
    }

    /// Takes what came: whether there may be more.
    fn collect(&mut self, now: u64) -> bool {
        for _ in 0..AT_ONCE {
            let Some(Byte { port, value }) = self.controller.take() else { return false };
            self.wrong += u64::from(value.is_none());
            let [keys, moves] = &mut self.readers;
            let record = |kind, code, value| Record { time: now, kind, code, value };
            match (port, value) {
                (Port::Keyboard, value) => {
                    let tell = |key: crate::keyboard::Key| {
                        keys.push(record(KEY, key.code, key.value));
                        keys.push(record(SYN, REPORT, 0));
                    };
                    match value {
                        Some(byte) => self.keyboard.byte(byte, tell),
                        None => self.keyboard.lost(tell),
                    }
                }
                (Port::Mouse, Some(byte)) => {
                    let mut any = false;
                    self.mouse.byte(now, byte, |act| {
                        any = true;
                        moves.push(match act {
                            Act::Button(code, down) => record(KEY, code, i32::from(down)),
                            Act::Move(axis, by) => record(REL, axis, by),
                        });
                    });
                    if any {
                        moves.push(record(SYN, REPORT, 0));
                    }
                }
                (Port::Mouse, None) => self.mouse.lost(),
            }
        }
        true
    }

    fn readers(&mut self, file: FileId) -> &mut Readers {
        let [keys, moves] = &mut self.readers;
        if keys.has(file) { keys } else { moves }
    }
}

impl<R: Registers, T: Time> Driver for Ps2<R, T> {
    const LINES: &'static [&'static str] = &[MOUSE_LINE];

    fn start(&mut self, context: &mut Context<'_>) {
        self.fault = self.controller.begin([self.found.keyboard, self.found.mouse], &self.time).err();
        // What came before it could interrupt.
        self.collect(context.now());
    }

    fn open(&mut self, _: &mut Context<'_>, file: FileId, path: &str, _: u64) -> Result<Opening> {
        let port = match PATHS.iter().position(|&own| own == path) {
            Some(0) => Port::Keyboard,
            Some(_) => Port::Mouse,
            None => return Err(Error::new(ENOENT)),
        };
        if !self.has(port) {
            return Err(Error::new(ENODEV));
        }
        self.readers[port as usize].open(file);
        Ok(Opening::new(Kind::Device, Filters::READ))
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        self.readers(file).close(file);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        offset: Option<u64>,
    ) -> Result<Taken> {
        self.readers(file).read(context, file, buffer, offset)
    }

    fn unread(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8]) {
        self.readers(file).unread(context, file, bytes);
    }

    fn control(&mut self, _: &mut Context<'_>, file: FileId, control: &Control) -> Result<ControlReply> {
        match control {
            Control::Available => Ok(ControlReply::Available(self.readers(file).available(file) as u64)),
            Control::Seek { .. } => Err(Error::new(ESPIPE)),
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn interrupt(&mut self, context: &mut Context<'_>) -> bool {
        self.interrupts += 1;
        let again = self.collect(context.now());
        self.readers.iter_mut().for_each(|readers| readers.publish(context));
        again
    }

    fn lost(&self) -> Option<Error> {
        self.fault.map(|_| Error::new(abi::error::EIO))
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        for (name, value) in [
            ("interrupts", self.interrupts),
            ("keyboard_told", self.readers[0].told),
            ("mouse_told", self.readers[1].told),
            ("dropped", self.readers[0].dropped + self.readers[1].dropped),
            ("keyboard_unknown", self.keyboard.unknown),
            ("mouse_unknown", self.mouse.unknown),
            ("wrong", self.wrong),
        ] {
            writeln!(out, "{name} {value}")?;
        }
        self.fault.map_or(Ok(()), |fault| writeln!(out, "fault {fault}"))
    }
}
