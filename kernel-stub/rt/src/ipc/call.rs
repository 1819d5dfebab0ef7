//! The calling side.

use alloc::vec::Vec;

use abi::error::{Error, Result};
use abi::message::{MAX_HANDLES, WORDS};
use abi::{Message, Tag};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::buffer::{decode, encode, set_accept};
use super::transfer::{self, Arrivals, Transfer};
use crate::sys::Endpoint;

/// Calls with words, the first `bytes` of the IPC buffer, and handles. A first word of the reply that is not 0 is the
/// error.
pub fn call(
    endpoint: &Endpoint,
    label: u32,
    words: [u64; WORDS],
    bytes: usize,
    send: Vec<Transfer>,
    deadline: u64,
) -> Result<(Message, Arrivals)> {
    let handles = transfer::set(&send)?;
    set_accept(MAX_HANDLES as u32);
    let result = endpoint.call(Message { tag: Tag::new(label, bytes, handles), words }, deadline);
    set_accept(0);
    let reply = result?;
    send.into_iter().for_each(Transfer::delivered);
    let arrivals = Arrivals::of(reply.tag);
    match reply.words[0] {
        0 => Ok((reply, arrivals)),
        errno => Err(error_from_word(errno)),
    }
}

/// Calls with a document and handles; the reply is a document and handles.
pub fn call_postcard<Q, P>(
    endpoint: &Endpoint,
    label: u32,
    request: &Q,
    send: Vec<Transfer>,
    deadline: u64,
) -> Result<(P, Arrivals)>
where
    Q: Serialize + ?Sized,
    P: DeserializeOwned,
{
    let bytes = encode(request)?;
    let (reply, arrivals) = call(endpoint, label, [0; WORDS], bytes, send, deadline)?;
    Ok((decode(reply.tag.bytes())?, arrivals))
}

/// A peer's errno is a number like any other of its: out of range it is a broken message.
fn error_from_word(word: u64) -> Error {
    match i32::try_from(word) {
        Ok(errno @ 1..=4095) => Error::new(errno),
        _ => Error::new(abi::error::EBADMSG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::error::{EBADMSG, ENOENT};

    #[test]
    fn an_errno_is_taken_as_it_is_and_nonsense_is_a_bad_message() {
        assert_eq!(error_from_word(ENOENT as u64), Error::new(ENOENT));
        for nonsense in [4096, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(error_from_word(nonsense), Error::new(EBADMSG));
        }
    }
}
