//! Durable files: what is asked of them waits for the next driver where there is none.
//!
//! A request is asked once, of a driver that is there. If the driver dies over it nobody knows whether it was heard: it is asked again
//! of the next one if that can have no effect that another one had, and otherwise fails with `EIO`.

use alloc::sync::Arc;
use core::time::Duration;

use abi::error::{EAGAIN, EIO, ENODEV, ENOENT, EOWNERDEAD, Error, Result};
use event_protocol::descriptor::NONBLOCK;

use super::Process;
use crate::file::File;
use crate::platform::Platform;

/// The first pause between two looks whether the driver is back, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(32)];

impl<P: Platform> Process<P> {
    /// Asks something of a file's driver, of a durable one's next driver if this one is gone. `again` says whether what was perhaps
    /// heard may be asked again.
    #[inline]
    pub(super) fn lasting<T>(
        &self,
        file: &Arc<File<P>>,
        flags: u64,
        again: impl Fn(&File<P>) -> Result<bool>,
        act: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let mut act = act;
        if file.is_durable() { self.ask_lasting(file, flags, &again, &mut act) } else { act() }
    }

    #[inline(never)]
    fn ask_lasting<T>(
        &self,
        file: &Arc<File<P>>,
        flags: u64,
        again: &dyn Fn(&File<P>) -> Result<bool>,
        act: &mut dyn FnMut() -> Result<T>,
    ) -> Result<T> {
        loop {
            self.until_back(file, flags & NONBLOCK != 0)?;
            // Asked while the driver is there, who alone can say.
            let may_repeat = match again(file) {
                Err(error) if error.errno == EOWNERDEAD => continue,
                may_repeat => may_repeat?,
            };
            match act() {
                Err(error) if error.errno == EOWNERDEAD && may_repeat => {}
                Err(error) if error.errno == EOWNERDEAD => return Err(Error::new(EIO)),
                done => return done,
            }
        }
    }

    /// Waits until a driver has a durable file, if none has. `EAGAIN`: it has none, and shall not be waited for; `ENODEV`: none
    /// will; `EINTR`.
    fn until_back(&self, file: &File<P>, at_once: bool) -> Result<()> {
        let [mut pause, longest] = PAUSES;
        while file.is_away() || self.platform.is_left(file.handle()) {
            match self.platform.renew(file.handle(), file.source()?.id) {
                Ok(()) if !self.platform.is_left(file.handle()) => return Ok(()),
                // The handle is of one that is dead too, or (ENOENT) of the first: the server has not heard of the end yet.
                Ok(()) if at_once => return Err(Error::new(EAGAIN)),
                Ok(()) => {}
                Err(error) if ![EAGAIN, ENOENT].contains(&error.errno) => return Err(error),
                Err(_) if at_once => return Err(Error::new(EAGAIN)),
                Err(_) => {}
            }
            // What it waits for tells nobody. The wait itself ends as any other.
            self.poll(&mut [], Some(pause), None)?;
            pause = (pause * 2).min(longest);
        }
        Ok(())
    }

    /// Waits until a driver has the file, if it is durable and none has. It is given to another process then.
    pub(crate) fn until_served(&self, file: &File<P>) -> Result<()> {
        if !file.is_durable() {
            return Ok(());
        }
        match self.until_back(file, false) {
            // Who is given what is no more finds that out.
            Err(error) if error.errno == ENODEV => Ok(()),
            waited => waited,
        }
    }
}
