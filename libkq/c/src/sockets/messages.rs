//! Messages, with addresses and descriptors.

use alloc::vec::Vec;
use core::ffi::{c_int, c_void};

use abi::error::{EINVAL, EMSGSIZE, ENOMEM, EPIPE, Error, Result};
use libkq::control::message::{MAX_HANDLES, MessageFlags};
use libkq::process::Message;

use super::SOL_SOCKET;
use super::address::{address, tell_sender};
use crate::answer::count;
use crate::given::{put, slice, slice_mut, value};

const SCM_RIGHTS: c_int = 1;
/// `MSG_OOB`.
const URGENT: c_int = MessageFlags::OOB.bits() as c_int;
/// `MSG_NOSIGNAL`: no driver's concern.
const NO_SIGNAL: c_int = 0x4000;
/// No message is longer, and a stream takes no more at once; what is asked for beyond is not held in memory.
const LONGEST: usize = 64 << 10;

/// `struct iovec`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Piece {
    start: *mut u8,
    length: usize,
}

/// `struct msghdr`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Header {
    name: *mut c_void,
    name_length: u32,
    pieces: *mut Piece,
    piece_count: usize,
    control: *mut u8,
    control_length: usize,
    flags: c_int,
}

/// `struct cmsghdr`; the data follows.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Control {
    length: usize,
    level: c_int,
    kind: c_int,
}

fn flags(flags: c_int) -> Result<MessageFlags> {
    let flags = u64::from((flags & !NO_SIGNAL) as u32);
    MessageFlags::from_bits(flags).ok_or(Error::new(EINVAL))
}

fn send_message(fd: c_int, bytes: &[u8], to: &str, sent: &[c_int], given: c_int) -> Result<usize> {
    let result = libkq::process().send_whole(fd, bytes, to, sent, flags(given)?);
    if given & NO_SIGNAL == 0 && result == Err(Error::new(EPIPE)) {
        libkq::signal::broken_pipe();
    }
    result
}

/// `sendto(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn sendto(
    fd: c_int,
    bytes: *const c_void,
    length: usize,
    flags: c_int,
    to: *const c_void,
    to_length: u32,
) -> isize {
    let send = || {
        // SAFETY: the C program's pointers.
        let (bytes, to) = unsafe { (slice(bytes.cast(), length)?, address(to, to_length)?) };
        send_message(fd, bytes, &to, &[], flags)
    };
    count(send())
}

/// `send(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn send(fd: c_int, bytes: *const c_void, length: usize, flags: c_int) -> isize {
    // SAFETY: the C program's pointer.
    unsafe { sendto(fd, bytes, length, flags, core::ptr::null(), 0) }
}

/// `recvfrom(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn recvfrom(
    fd: c_int,
    buffer: *mut c_void,
    length: usize,
    given: c_int,
    place: *mut c_void,
    place_length: *mut u32,
) -> isize {
    let receive = || {
        // SAFETY: the C program's pointer.
        let buffer = unsafe { slice_mut(buffer.cast(), length) }?;
        let whole = flags(given)?.contains(MessageFlags::TRUNCATED);
        let message =
            libkq::process().receive_whole(fd, buffer, 0, flags(given)? - MessageFlags::TRUNCATED)?;
        // SAFETY: as above.
        unsafe { tell_sender(place, place_length, &message.address) }?;
        // With `MSG_TRUNC` the datagram's own length is told.
        Ok(if whole { message.whole } else { message.count })
    };
    count(receive())
}

/// `recv(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn recv(fd: c_int, buffer: *mut c_void, length: usize, flags: c_int) -> isize {
    // SAFETY: the C program's pointer.
    unsafe { recvfrom(fd, buffer, length, flags, core::ptr::null_mut(), core::ptr::null_mut()) }
}

/// The descriptors in a message's control data.
unsafe fn descriptors(header: &Header) -> Result<Vec<c_int>> {
    let mut found = Vec::new();
    let mut at = 0;
    while header.control_length.saturating_sub(at) >= size_of::<Control>() {
        // SAFETY: within what the C program says is there.
        let control = unsafe { value(header.control.wrapping_add(at).cast::<Control>()) }?;
        let fits = (size_of::<Control>()..=header.control_length - at).contains(&control.length);
        if !fits || control.level != SOL_SOCKET || control.kind != SCM_RIGHTS {
            return Err(Error::new(EINVAL));
        }
        let data = header.control.wrapping_add(at + size_of::<Control>()).cast();
        // SAFETY: as above; the data of these is aligned as the header is.
        found.extend(unsafe { slice(data, (control.length - size_of::<Control>()) / size_of::<c_int>()) }?);
        at += control.length.next_multiple_of(size_of::<usize>());
    }
    Ok(found)
}

/// `sendmsg(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn sendmsg(fd: c_int, header: *const Header, flags: c_int) -> isize {
    let send = || {
        // SAFETY: the C program's pointers, here and below.
        let header = unsafe { value(header) }?;
        // SAFETY: as above.
        let given = unsafe { slice(header.pieces, header.piece_count) }?;
        // SAFETY: as above.
        let pieces = given.iter().map(|piece| unsafe { slice(piece.start, piece.length) });
        let pieces: Vec<&[u8]> = pieces.collect::<Result<_>>()?;
        // SAFETY: as above.
        let (to, mut sent) = unsafe { (address(header.name, header.name_length)?, descriptors(&header)?) };
        let length = pieces.iter().fold(0usize, |sum, piece| sum.saturating_add(piece.len()));
        if length <= LONGEST {
            return send_message(fd, &gathered(&pieces, length)?, &to, &sent, flags);
        }
        if !libkq::process().is_stream_socket(fd)? {
            return Err(Error::new(EMSGSIZE));
        }
        // Of a stream nobody sees pieces; what is urgent is in the last.
        let mut pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).peekable();
        let mut done = 0;
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_some() { flags & !URGENT } else { flags };
            match send_message(fd, piece, &to, &core::mem::take(&mut sent), flags) {
                Ok(count) => {
                    done += count;
                    if count < piece.len() {
                        break;
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    };
    count(send())
}

/// All pieces in one.
fn gathered(pieces: &[&[u8]], length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve(length).map_err(|_| Error::new(ENOMEM))?;
    pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
    Ok(bytes)
}

/// `recvmsg(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn recvmsg(fd: c_int, place: *mut Header, given: c_int) -> isize {
    let receive = || {
        // SAFETY: the C program's pointers, here and below.
        let mut header = unsafe { value(place) }?;
        // SAFETY: as above.
        let pieces = unsafe { slice(header.pieces, header.piece_count) }?;
        let room = pieces.iter().fold(0usize, |sum, piece| sum.saturating_add(piece.length)).min(LONGEST);
        let mut buffer = Vec::new();
        buffer.try_reserve(room).map_err(|_| Error::new(ENOMEM))?;
        buffer.resize(room, 0);
        let handles = header.control_length.saturating_sub(size_of::<Control>()) / size_of::<c_int>();
        let handles = if header.control.is_null() { 0 } else { handles.min(MAX_HANDLES) };
        let whole = flags(given)?.contains(MessageFlags::TRUNCATED);
        let message = libkq::process().receive_whole(
            fd,
            &mut buffer,
            handles,
            flags(given)? - MessageFlags::TRUNCATED,
        )?;
        let mut rest = &buffer[..message.count];
        for piece in pieces {
            let (now, later) = rest.split_at(rest.len().min(piece.length));
            // SAFETY: as above.
            unsafe { slice_mut(piece.start, now.len()) }?.copy_from_slice(now);
            rest = later;
        }
        // SAFETY: as above.
        unsafe {
            tell_sender(header.name, &raw mut header.name_length, &message.address)?;
            tell_descriptors(&mut header, &message)?;
            header.flags = message.flags.bits() as c_int;
            put(place, header)?;
        }
        Ok(if whole { message.whole } else { message.count })
    };
    count(receive())
}

/// Puts what descriptors came into the control data, which has room for them.
unsafe fn tell_descriptors(header: &mut Header, message: &Message) -> Result<()> {
    let came = &message.descriptors;
    if came.is_empty() {
        header.control_length = 0;
        return Ok(());
    }
    let length = size_of::<Control>() + size_of_val(came.as_slice());
    // SAFETY: the C program's pointer; there is room for as many as were asked for.
    unsafe {
        put(header.control.cast(), Control { length, level: SOL_SOCKET, kind: SCM_RIGHTS })?;
        for (index, fd) in came.iter().enumerate() {
            put(header.control.add(size_of::<Control>()).cast::<c_int>().add(index), *fd)?;
        }
    }
    header.control_length = length;
    Ok(())
}
