//! An end of something, which is closed before or with its source.

use abi::error::{EAGAIN, EBADF, Error, Result};
use libkq::Descriptor;
use rt::sync::Mutex;

/// A descriptor that does not wait.
pub struct End(Mutex<Option<Descriptor>>);

impl End {
    /// The end that has this number.
    pub fn new(number: i32) -> End {
        End(Mutex::new(Some(Descriptor::from_number(number))))
    }

    /// Its number, -1 when it is closed.
    pub fn number(&self) -> i32 {
        self.0.lock().as_ref().map_or(-1, Descriptor::number)
    }

    /// Closes it.
    pub fn close(&self) {
        let descriptor = self.0.lock().take();
        drop(descriptor);
    }

    /// Another descriptor takes its place.
    pub fn replace(&self, descriptor: Descriptor) {
        *self.0.lock() = Some(descriptor);
    }

    /// Writes all of it.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        self.0.lock().as_ref().ok_or(Error::new(EBADF))?.write_all(bytes)
    }

    /// Reads once: there must be something.
    pub fn read(&self, most: usize) -> Result<usize> {
        libkq::read(self.number(), &mut alloc::vec![0; most])
    }

    /// Reads until nothing is left.
    pub fn drain(&self) -> Result<()> {
        loop {
            match self.read(16 << 10) {
                Ok(0) | Err(Error { errno: EAGAIN }) => return Ok(()),
                read => read?,
            };
        }
    }

    /// Writes pieces of this size until there is room for none.
    pub fn fill(&self, piece: usize) -> Result<()> {
        let bytes = alloc::vec![b'.'; piece];
        loop {
            match libkq::write(self.number(), &bytes) {
                Err(Error { errno: EAGAIN }) => return Ok(()),
                written => written?,
            };
        }
    }
}
