//! A server that gives back what it gets, changed in a way that its client can check.

use abi::error::Result;
use abi::{Message, Rights, Tag};
use rt::ipc::{self, Arrived, Transfer};
use rt::sys::{Endpoint, Notification, Object};
use rt::thread::{Builder, JoinHandle};

use crate::{Failure, Outcome, soon};

/// Labels of requests.
pub const WORDS: u32 = 1;
/// As [`WORDS`], with bytes that come back the other way round.
pub const BYTES: u32 = 2;
/// As [`WORDS`], with a notification that is signalled word 0, and another handle to it that comes back.
pub const HANDLE: u32 = 3;

/// Serves until the last badged handle to the endpoint is closed. Returns how many requests there were.
pub fn serve(endpoint: &Endpoint) -> Outcome<u64> {
    let mut served = 0;
    ipc::set_accept(1);
    let mut next = endpoint.recv(soon());
    loop {
        let received = next?;
        if received.closed().is_some() {
            return Ok(served);
        }
        served += 1;
        let words = received.words.map(|word| word.wrapping_add(received.badge));
        let label = received.tag.label();
        next = match label {
            BYTES => {
                let bytes = received.tag.bytes();
                ipc::with_bytes_mut(bytes, <[u8]>::reverse);
                endpoint.reply_recv(received.token, Message { tag: Tag::new(label, bytes, 0), words }, soon())
            }
            HANDLE => {
                let word: Notification = ipc::Arrivals::of(received.tag).object(0)?;
                word.signal(received.words[0])?;
                let reply = ipc::Reply::ok(label).word(1, words[1]).handle(Transfer::moved(word));
                reply.send(received.token)?;
                ipc::set_accept(1);
                endpoint.recv(soon())
            }
            _ => endpoint.reply_recv(received.token, Message { tag: Tag::words(label), words }, soon()),
        };
    }
}

/// A server thread on these CPUs (0: any) and a client's handle with a badge.
pub fn start(badge: u64, cpus: u64) -> Result<(JoinHandle<Outcome<u64>>, Endpoint)> {
    let endpoint = Endpoint::create()?;
    let client = endpoint.with_badge(Rights::all(), badge)?;
    let server = Builder::new().name("echo").cpus(cpus).spawn(move || serve(&endpoint))?;
    Ok((server, client))
}

/// One round trip of words; checks what comes back.
#[inline]
pub fn words(client: &Endpoint, badge: u64, value: u64) -> Outcome {
    let sent = [value, !value, value << 32, 7];
    let reply = client.call(Message { tag: Tag::words(WORDS), words: sent }, soon())?;
    if reply.tag == Tag::words(WORDS) && reply.words == sent.map(|word| word.wrapping_add(badge)) {
        return Ok(());
    }
    Err(Failure::new(alloc::format!("sent {sent:x?} as {badge}, got {reply:x?}")))
}

/// One round trip of bytes.
pub fn bytes(client: &Endpoint, badge: u64, value: u64, length: usize) -> Outcome {
    let byte = |index: usize| (value as usize).wrapping_mul(31).wrapping_add(index) as u8;
    ipc::with_bytes_mut(length, |bytes| {
        bytes.iter_mut().enumerate().for_each(|(index, place)| *place = byte(index));
    });
    let sent = Message { tag: Tag::new(BYTES, length, 0), words: [value; 4] };
    let reply = client.call(sent, soon())?;
    let same = ipc::with_bytes(length, |bytes| {
        bytes.iter().rev().enumerate().all(|(index, found)| *found == byte(index))
    });
    if reply.tag == sent.tag && reply.words == [value.wrapping_add(badge); 4] && same {
        return Ok(());
    }
    Err(Failure::new(alloc::format!("{length} bytes came back wrong, {reply:x?}")))
}

/// One round trip of a handle.
pub fn handle(client: &Endpoint, badge: u64, value: u64) -> Outcome {
    let word = Notification::create()?;
    let copy = word.duplicate()?;
    let (reply, mut arrivals) =
        ipc::call(client, HANDLE, [value | 1, value, 0, 0], 0, alloc::vec![Transfer::moved(copy)], soon())?;
    let Some(Arrived::Handle(back, _)) = arrivals.take(0) else {
        return Err(Failure::new("no handle came back"));
    };
    let back: Notification = back.into_object();
    if back.poll()? == value | 1 && word.poll()? == 0 && reply.words[1] == value.wrapping_add(badge) {
        return Ok(());
    }
    Err(Failure::new("the handle that came back is not the one that was sent"))
}
