//! Pipes and FIFOs.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use event_protocol::descriptor::{PIPE_BUF, Setting};
use guest_tests::{Failure, Outcome};
use libkq::Descriptor;
use libkq::flag::{O_NONBLOCK, O_RDONLY, O_WRONLY};
use libkq::process;

use super::end::End;
use super::{Condition, Ending, Source};
use crate::told::What;

/// Bytes that it holds.
const CAPACITY: i64 = 16 << 10;

struct Pipe {
    reader: End,
    writer: End,
    /// Where a FIFO is.
    path: Option<String>,
}

/// A pipe.
pub fn pipe() -> Outcome<Arc<dyn Source>> {
    let (reader, writer) = libkq::pipe(O_NONBLOCK)?;
    process().set_option(writer, Setting::SendBuffer, CAPACITY)?;
    Ok(Arc::new(Pipe { reader: End::new(reader), writer: End::new(writer), path: None }))
}

/// A FIFO with both sides open.
pub fn fifo() -> Outcome<Arc<dyn Source>> {
    let path = format!("/run/fifo/matrix{}", super::unique());
    process().mkfifo(&path, 0o600)?;
    let reader = End::new(libkq::open(&path, O_RDONLY | O_NONBLOCK)?);
    let writer = End::new(libkq::open(&path, O_WRONLY | O_NONBLOCK)?);
    process().set_option(writer.number(), Setting::SendBuffer, CAPACITY)?;
    Ok(Arc::new(Pipe { reader, writer, path: Some(path) }))
}

impl Pipe {
    fn end(&self, condition: Condition) -> Outcome<&End> {
        match condition {
            Condition::Read => Ok(&self.reader),
            Condition::Write => Ok(&self.writer),
            Condition::Urgent => Err(Failure::new("a pipe has no urgent data")),
        }
    }
}

impl Source for Pipe {
    fn number(&self, condition: Condition) -> i32 {
        self.end(condition).map_or(-1, End::number)
    }

    fn raise(&self, condition: Condition) -> Outcome {
        match condition {
            Condition::Read => self.writer.write(b"x")?,
            // R21: so much room is needed.
            _ => drop(self.reader.read(PIPE_BUF)?),
        }
        Ok(())
    }

    fn lower(&self, condition: Condition) -> Outcome {
        match condition {
            Condition::Read => self.reader.drain()?,
            _ => self.writer.fill(PIPE_BUF)?,
        }
        Ok(())
    }

    fn close(&self, condition: Condition) {
        if let Ok(end) = self.end(condition) {
            end.close();
        }
    }

    /// R18, R21: the end of file when nobody writes, a broken pipe when nobody reads.
    fn hang_up(&self, condition: Condition) -> Outcome<Option<Ending>> {
        match condition {
            Condition::Read => self.writer.close(),
            _ => self.reader.close(),
        }
        let what = What::of(condition);
        Ok(Some(match condition {
            Condition::Read => Ending { kevent: what | What::END, poll: what | What::END, select: what },
            _ => Ending { kevent: what | What::END, poll: what | What::ERROR, select: what },
        }))
    }

    /// R19: the end of a FIFO is over when somebody opens it.
    fn come_back(&self, condition: Condition) -> Outcome<bool> {
        let Some(path) = &self.path else { return Ok(false) };
        match condition {
            Condition::Read => self.writer.replace(Descriptor::open(path, O_WRONLY | O_NONBLOCK)?),
            _ => self.reader.replace(Descriptor::open(path, O_RDONLY | O_NONBLOCK)?),
        }
        Ok(true)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // It is there: nobody else knows the name.
            let _ = process().unlink(path);
        }
    }
}
