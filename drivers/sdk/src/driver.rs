//! What a driver is.

use crate::Context;
use crate::files::FileId;
use crate::message::{Incoming, Outgoing, Receiving};
use crate::parcels::Parcel;
use abi::error::{EINVAL, ENOTDIR, ENOTSOCK, EOPNOTSUPP, Error, Result};
use core::fmt;
use event_protocol::cell::Direction;
use event_protocol::descriptor::message::MessageFlags;
use event_protocol::descriptor::{Control, ControlReply, Kind, PathReply, PathRequest};
use event_protocol::filter::Filters;
use event_protocol::level::{Level, LevelFlags};
use rt::sys::Notification;

/// A driver's answers. Where one would have to wait it says EAGAIN, and later publishes the level that ends the wait; whether
/// its client waits or is told so is not its concern. A request that waited is simply asked again.
pub trait Driver {
    /// Whether it wants to know which process opens a file ([`Context::caller`]). The handles of its service that clients
    /// have are their own then and cannot be passed on.
    const KNOWS_CALLERS: bool = false;

    /// Whether its files may be opened as durable: [`Driver::restore`] goes on with what a driver before it left. Without it, such an
    /// open is EOPNOTSUPP, and so it is beside another file and where the driver is not started again.
    const DURABLE: bool = false;

    /// Further interrupt lines, by their names among the handles that the process was started with: each comes as an
    /// [interrupt](Driver::interrupt), as the one of its setup does.
    const LINES: &'static [&'static str] = &[];

    /// What is signalled on `bell` comes as an [interrupt](Driver::interrupt): for a driver whose device is another
    /// process, which is given a duplicate of it. Bits 1 to 58 are free for that. Called once, before [`Driver::start`].
    fn connect(&mut self, bell: &Notification) -> Result<()> {
        _ = bell;
        Ok(())
    }

    /// Interrupts are connected: the time to switch the device on. Called once, before anything else.
    fn start(&mut self, context: &mut Context<'_>) {
        _ = context;
    }

    /// Opens a path: says what the file is, or why not (ENOENT, EBUSY, EPERM…). After EAGAIN the driver may remember the
    /// file: it is asked again for it, or told to [close](Driver::close) it when the client has gone.
    fn open(&mut self, context: &mut Context<'_>, file: FileId, path: &str, flags: u64) -> Result<Opening>;

    /// Goes on with a durable file of the driver that was here before: it was opened by this path with these flags, and `kept` is
    /// what that driver [kept](Context::keep) of it last, 0 if nothing. Called after [`Driver::start`], before anything is asked.
    /// What the file has now is said as when it is opened: levels that are no more than before are no news to edge-triggered
    /// notes. An error is the file's end: who has it sees ENODEV. Then the driver hears no more of it.
    ///
    /// Who waits for the file goes on waiting, and who asks next is served as if nothing had been; what was asked when the driver
    /// died is asked again only if it can have had no effect. So what cannot be brought back must not be durable.
    fn restore(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        path: &str,
        flags: u64,
        kept: u64,
    ) -> Result<Opening> {
        _ = (context, file, path, flags, kept);
        Err(Error::new(EOPNOTSUPP))
    }

    /// Opens what a path means beside an open file, as [`Driver::open`] does: the other end of a pipe, the next connection
    /// of a listener.
    fn open_at(
        &mut self,
        context: &mut Context<'_>,
        beside: FileId,
        file: FileId,
        path: &str,
        flags: u64,
    ) -> Result<Opening> {
        _ = (context, beside, file, path, flags);
        Err(Error::new(ENOTDIR))
    }

    /// The file exists, its source too: from here on its levels can be published. For what the first levels in its
    /// [`Opening`] do not say.
    fn opened(&mut self, context: &mut Context<'_>, file: FileId) {
        _ = (context, file);
    }

    /// Nobody has the file any more, or its opening failed after [`Driver::open`].
    fn close(&mut self, context: &mut Context<'_>, file: FileId);

    /// Reads at `offset`, where `None` is where the file stands: always of one that is not [seekable](Opening::seekable).
    /// Publishes what remains.
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

    /// Takes some of `bytes`, at least one, for `offset` as in [`Driver::read`]. Publishes what room remains.
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

    /// Sends a message: takes at least one of its bytes, or all at once where messages are units. Takes the parcels with the
    /// first byte; those it leaves are closed. After EAGAIN it has taken nothing.
    fn send(&mut self, context: &mut Context<'_>, file: FileId, message: &mut Outgoing<'_>) -> Result<usize> {
        _ = (context, file, message);
        Err(Error::new(ENOTSOCK))
    }

    /// Receives a message into `buffer`, with at most so many parcels as are asked for.
    fn receive(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        receiving: Receiving,
    ) -> Result<Incoming> {
        _ = (context, file, buffer, receiving);
        Err(Error::new(ENOTSOCK))
    }

    /// Undoes the last [`Driver::receive`], whose receiver is gone: `bytes` and `message` are what it gave. Nothing has
    /// happened in between. Not called after a [peek](MessageFlags::PEEK).
    fn unreceive(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8], message: Incoming) {
        _ = (context, file, bytes, message);
    }

    /// Shows the parcels that wait to be received from a file.
    fn visit_parcels(&self, file: FileId, visit: &mut dyn FnMut(&Parcel)) {
        _ = (file, visit);
    }

    /// Answers a request about paths.
    fn path(&mut self, context: &mut Context<'_>, request: &PathRequest) -> Result<PathReply> {
        _ = (context, request);
        Err(Error::new(EOPNOTSUPP))
    }

    /// Answers what is neither reading nor writing: EINVAL (or ENOTTY) for what the file does not know. May wait, too.
    /// [`Control::Stat`] has an answer then all the same: the type that goes with the file's [`Kind`](crate::Kind).
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

    /// The queue in which reads and writes wait: files that share what they wait for share a queue.
    fn queue(&self, file: FileId, direction: Direction) -> u64 {
        _ = direction;
        file.badge()
    }

    /// The queue in which a request waits, for drivers to which the directions are not enough.
    fn queue_of(&self, file: FileId, asked: Asked<'_>) -> (Direction, u64) {
        let (direction, file) = match asked {
            Asked::Read | Asked::Receive(_) | Asked::Control(_) => (Direction::Read, file),
            Asked::Write | Asked::Send(_) => (Direction::Write, file),
            Asked::Open { beside, .. } => (Direction::Read, beside.unwrap_or(file)),
        };
        (direction, self.queue(file, direction))
    }

    /// The queue in which a read or write at an offset waits (`None`: where the file stands), for drivers in which those of one
    /// file do not wait for the same.
    fn queue_at(&self, file: FileId, asked: Asked<'_>, offset: Option<u64>) -> (Direction, u64) {
        _ = offset;
        self.queue_of(file, asked)
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

    /// Why the driver cannot go on, if it cannot: it ends then, its clients are told that it is gone, and init starts it anew.
    /// Looked at after whatever the driver hears.
    fn lost(&self) -> Option<Error> {
        None
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

/// A request that may have to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked<'a> {
    /// [`Driver::read`].
    Read,
    /// [`Driver::write`].
    Write,
    /// [`Driver::receive`].
    Receive(MessageFlags),
    /// [`Driver::send`].
    Send(MessageFlags),
    /// [`Driver::control`].
    Control(&'a Control),
    /// [`Driver::open`] or [`Driver::open_at`] of the file that would be opened.
    Open {
        /// The file beside which it is opened.
        beside: Option<FileId>,
        /// The path.
        path: &'a str,
        /// `O_*`.
        flags: u64,
    },
}

/// What an opened file is: `Opening::new(Kind::Device, Filters::READ).readable(Level::new(5))`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opening {
    pub(crate) kind: Kind,
    pub(crate) filters: Filters,
    pub(crate) shared: bool,
    pub(crate) seekable: bool,
    pub(crate) low_water: (u32, u32),
    /// Of reading and writing, as the file begins.
    pub(crate) levels: [Level; 2],
    pub(crate) kept: u64,
}

impl Opening {
    /// A file of a kind, whose sources serve these filters; none for a file that cannot be watched. It begins with nothing to
    /// read and no room to write.
    pub const fn new(kind: Kind, filters: Filters) -> Opening {
        Opening {
            kind,
            filters,
            shared: false,
            seekable: false,
            low_water: (1, 1),
            levels: [Level { amount: 0, flags: LevelFlags::empty() }; 2],
            kept: 0,
        }
    }

    /// With a watch handle that may be used by more clients than the one that it was made for. Others that are handed
    /// the descriptor get a watch handle of their own in any case.
    pub const fn shared(self) -> Opening {
        Opening { shared: true, ..self }
    }

    /// With a position that can be [moved](Control::Seek), and bytes that are read and written at offsets. Of other files that
    /// is ESPIPE, and the driver does not hear of it.
    pub const fn seekable(self) -> Opening {
        Opening { seekable: true, ..self }
    }

    /// With low-water marks of reading and writing that notes have unless they say otherwise, in place of 1.
    pub const fn low_water(self, read: u32, write: u32) -> Opening {
        Opening { low_water: (read, write), ..self }
    }

    /// With a word that is [kept](Context::keep) of it, if it is durable, from the beginning on.
    pub const fn keeping(self, kept: u64) -> Opening {
        Opening { kept, ..self }
    }

    /// What can be read from the beginning on. It is news to edge-triggered notes.
    pub const fn readable(self, level: Level) -> Opening {
        Opening { levels: [own(level), self.levels[1]], ..self }
    }

    /// What can be written from the beginning on. It is news to edge-triggered notes.
    pub const fn writable(self, level: Level) -> Opening {
        Opening { levels: [self.levels[0], own(level)], ..self }
    }
}

/// What only the event server says: that a source is gone, of a [retired](Context::retire) file, and that its driver is.
const SERVERS: LevelFlags = LevelFlags::GONE.union(LevelFlags::AWAY);

/// A level as a driver may say it.
#[inline]
pub(crate) const fn own(level: Level) -> Level {
    Level { amount: level.amount, flags: level.flags.difference(SERVERS) }
}

/// What a read took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// Bytes; 0 is the end of file.
    pub count: usize,
    /// Monotonic time in ns of the interrupt that brought them, 0 when none did.
    pub arrival: u64,
}
