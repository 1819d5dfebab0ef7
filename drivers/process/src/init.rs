//! init, as the machine has it.

use abi::Rights;
use abi::error::Result;
use alloc::vec::Vec;
use init_protocol::request::Event;
use init_protocol::status::SIGNALED;
use process::driver::Init;
use rt::ipc::Transfer;
use rt::sys::{Notification, Object};

/// The bit of the bell that init rings.
const NEWS: u64 = 1 << 1;
/// Status of a service that init does not tell any more: another one begins anew.
const DEAF: i64 = 1;

/// init, and whether it has news.
#[derive(Default)]
pub struct Machine {
    bell: Option<Notification>,
}

impl Init for Machine {
    fn observe(&mut self, bell: &Notification) -> Result<()> {
        let rings = bell.with_badge(Rights::WRITE | Rights::TRANSFER, NEWS)?;
        self.bell = Some(bell.duplicate()?);
        rt::init::observe(Transfer::moved(rings))
    }

    fn happened(&mut self, rung: bool) -> Vec<Event> {
        // The bell is rung before anybody is answered who could know: while it is silent there is nothing.
        let silent = matches!(self.bell.as_ref().map(Notification::poll), Some(Ok(0)));
        if silent && !rung {
            return Vec::new();
        }
        let mut all = Vec::new();
        loop {
            match rt::init::happened() {
                Ok(events) if events.is_empty() => return all,
                Ok(events) => all.extend(events),
                Err(error) => {
                    rt::log!("process: init does not tell what happens: {error}");
                    rt::sys::exit(DEAF);
                }
            }
        }
    }

    fn end(&mut self, pid: u32, signal: u8) {
        // ESRCH: it has ended meanwhile, as it should.
        let _ = rt::init::kill(pid, SIGNALED + i64::from(signal));
    }
}
