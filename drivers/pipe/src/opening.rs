//! How ends are opened: R19's rules of open(2) for FIFOs.

use abi::error::{EAGAIN, EINVAL, ENOENT, ENXIO, Error, Result};
use abi::flag::{O_NONBLOCK, O_RDONLY, O_WRONLY};
use driver_sdk::{Context, Direction, FileId, Filters, Kind, Opening};
use event_protocol::descriptor::PIPE_BUF;

use crate::driver::queue;
use crate::pipes::Pipes;

impl Pipes {
    /// Opens an end of a FIFO: R19's rules of open(2).
    pub(crate) fn open_fifo(
        &mut self,
        context: &mut Context<'_>,
        number: u64,
        file: FileId,
        flags: u64,
    ) -> Result<Opening> {
        let (reads, writes) = access(flags)?;
        self.own(number, context.client());
        let conduit = &mut self.pipes.get_mut(&number).ok_or(Error::new(ENOENT))?.conduit;
        let again = conduit.is_opening(file);
        let waits_not = flags & O_NONBLOCK as u64 != 0;
        let ready = match (reads, writes) {
            // Who does both waits for nobody.
            (true, true) => true,
            _ if conduit.is_met(writes) => true,
            (true, _) => waits_not,
            // Somebody who waits to read will be let in at once.
            _ if waits_not && conduit.has_reader() => true,
            _ if waits_not => return Err(Error::new(ENXIO)),
            _ => false,
        };
        if !ready {
            conduit.wait(file, reads, writes);
            self.files.insert(file, number);
            if !again && writes {
                // Readers that wait to be let in have somebody to meet; then they let this one in.
                context.wake(Direction::Read, queue(number) + 1);
            }
            return Err(Error::new(EAGAIN));
        }
        conduit.open(file, reads, writes);
        self.files.insert(file, number);
        Ok(opening(reads, writes))
    }
}

pub(crate) fn access(flags: u64) -> Result<(bool, bool)> {
    match (flags & O_RDONLY as u64 != 0, flags & O_WRONLY as u64 != 0) {
        (false, false) => Err(Error::new(EINVAL)),
        access => Ok(access),
    }
}

pub(crate) fn opening(reads: bool, writes: bool) -> Opening {
    let mut filters = Filters::HANGUP;
    filters.set(Filters::READ, reads);
    filters.set(Filters::WRITE, writes);
    Opening::new(Kind::Pipe, filters).low_water(1, PIPE_BUF as u32)
}
