//! Synchronous messages.

use abi::Message;
use abi::error::Result;
use abi::number::SYS_ENDPOINT_CREATE;

use super::handle::{Object, object};
use super::raw::{self, Received, syscall};

object! {
    /// A handle to an endpoint: to call it or, with the right, to receive from it.
    Endpoint
}

impl Endpoint {
    /// A new endpoint with all rights.
    pub fn create() -> Result<Endpoint> {
        // SAFETY: registers only.
        unsafe { syscall(SYS_ENDPOINT_CREATE, [0; 6]) }.map(|h| Endpoint::from_handle(abi::Handle(h)))
    }

    /// Sends and waits for the reply. `EPIPE`: the receiver is gone; `ETIMEDOUT`.
    ///
    /// Bytes and handles are in the thread's IPC buffer; handles arrive only after
    /// [`ipc::set_accept`](crate::ipc::set_accept).
    #[inline(always)]
    pub fn call(&self, message: Message, deadline: u64) -> Result<Message> {
        raw::call(self.handle(), message, deadline)
    }

    /// Waits for a message, a signal of the bound notification or a last close.
    #[inline(always)]
    pub fn recv(&self, deadline: u64) -> Result<Received> {
        raw::recv(self.handle(), deadline)
    }

    /// Answers the caller that `token` stands for. `ESRCH`: it waits no longer.
    #[inline(always)]
    pub fn reply(token: u64, message: Message) -> Result<()> {
        raw::reply(token, message)
    }

    /// Answers and receives in one kernel entry.
    #[inline(always)]
    pub fn reply_recv(&self, token: u64, message: Message, deadline: u64) -> Result<Received> {
        raw::reply_recv(self.handle(), token, message, deadline)
    }
}
