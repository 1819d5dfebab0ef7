//! What a driver is.

use crate::Context;
use crate::files::FileId;
use abi::error::{EINVAL, Error, Result};
use core::fmt;
use event_protocol::cell::Direction;
use event_protocol::descriptor::{Control, ControlReply, Kind};
use event_protocol::filter::Filters;

/// A driver's answers. Where one would have to wait it says EAGAIN and later calls [`Context::wake`]; whether its client
/// waits or is told so is not its concern.
pub trait Driver {
    /// Interrupts are connected: the time to switch the device on. Called once, before anything else.
    fn start(&mut self, context: &mut Context<'_>) {
        _ = context;
    }

    /// Opens a path: says what the file is, or why not (ENOENT, EBUSY, EPERM…).
    fn open(&mut self, context: &mut Context<'_>, file: FileId, path: &str, flags: u64) -> Result<Opening>;

    /// The file exists, its source too: the time to publish its first level.
    fn opened(&mut self, context: &mut Context<'_>, file: FileId);

    /// Nobody has the file any more, or its opening failed after [`Driver::open`].
    fn close(&mut self, context: &mut Context<'_>, file: FileId);

    /// Reads at `offset`, where `None` is where the file stands. Publishes what remains.
    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        offset: Option<u64>,
    ) -> Result<Taken> {
        _ = (context, file, buffer, offset);
        Err(Error::new(EINVAL))
    }

    /// Undoes the last [`Driver::read`], whose reader is gone: `bytes` are those that it took. Nothing has happened in
    /// between.
    fn unread(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8]) {
        _ = (context, file, bytes);
    }

    /// Takes some of `bytes`, at least one. Publishes what room remains.
    fn write(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        bytes: &[u8],
        offset: Option<u64>,
    ) -> Result<usize> {
        _ = (context, file, bytes, offset);
        Err(Error::new(EINVAL))
    }

    /// Answers what is neither reading nor writing: EINVAL for what the file does not know.
    fn control(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        control: &Control,
    ) -> Result<ControlReply> {
        _ = (context, file, control);
        Err(Error::new(EINVAL))
    }

    /// Writes the driver's own counters, one `name value` a line.
    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        _ = out;
        Ok(())
    }

    /// The queue in which a request waits: files that share what they wait for share a queue.
    fn queue(&self, file: FileId, direction: Direction) -> u64 {
        _ = direction;
        file.badge()
    }

    /// The device interrupted, at [`Context::now`]. True asks to be called again soon: there is more to do than is
    /// fair at once.
    fn interrupt(&mut self, context: &mut Context<'_>) -> bool {
        _ = context;
        false
    }

    /// Whether the driver buffers what must not be lost when the machine is powered off: then it is told before, by
    /// [`Driver::power_off`], and power stays on until [`Driver::is_drained`], for a second at most.
    fn has_buffers(&self) -> bool {
        false
    }

    /// The machine is about to be powered off: the time to write out what is buffered.
    fn power_off(&mut self, context: &mut Context<'_>) {
        _ = context;
    }

    /// Whether everything is written out; looked at after whatever the driver hears.
    fn is_drained(&self) -> bool {
        true
    }

    /// When [`Driver::expired`] is to be called: monotonic ns.
    fn deadline(&self) -> u64 {
        abi::limits::FOREVER
    }

    /// The deadline has passed.
    fn expired(&mut self, context: &mut Context<'_>) {
        _ = context;
    }
}

/// What an opened file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opening {
    /// What clients are told.
    pub kind: Kind,
    /// Filters that its source serves.
    pub filters: Filters,
    /// Whether descriptors of it travel to other processes, so that its source may be watched by more than the one that
    /// opened it.
    pub shared: bool,
    /// Low-water marks of reading and writing that notes have unless they say otherwise.
    pub low_water: (u32, u32),
}

/// What a read took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// Bytes; 0 is the end of file.
    pub count: usize,
    /// Monotonic time in ns of the interrupt that brought them, 0 when none did.
    pub arrival: u64,
}
