//! `sys/socket.h`: local sockets, and TCP and UDP over IPv4.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::{c_int, c_void};
use core::mem::offset_of;
use core::net::SocketAddrV4;
use core::str;

use abi::error::{
    EAFNOSUPPORT, EFAULT, EINVAL, EMSGSIZE, ENAMETOOLONG, ENOMEM, ENOPROTOOPT, EOPNOTSUPP, EPIPE,
    EPROTONOSUPPORT, Error, Result,
};
use abi::flag::O_NONBLOCK;
use libkq::control::Setting;
use libkq::control::message::{MAX_HANDLES, MessageFlags};
use libkq::process::{Message, SocketType};

use crate::answer::{answer, count, done};
use crate::given::{put, slice, slice_mut, value};

const AF_UNSPEC: u16 = 0;
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const IPPROTO_TCP: c_int = 6;
const IPPROTO_UDP: c_int = 17;
const TCP_NODELAY: c_int = 1;
const SOL_SOCKET: c_int = 1;
const SCM_RIGHTS: c_int = 1;
/// `SOCK_NONBLOCK` and `SOCK_CLOEXEC`, in the type of a socket: the values of `O_NONBLOCK` and `O_CLOEXEC`.
const TYPE_FLAGS: c_int = O_NONBLOCK as c_int | 0x0100_0000;
/// `MSG_OOB`.
const URGENT: c_int = MessageFlags::OOB.bits() as c_int;
/// `MSG_NOSIGNAL`: no driver's concern.
const NO_SIGNAL: c_int = 0x4000;
/// No message is longer; what is asked for beyond is not held in memory.
const LONGEST: usize = 64 << 10;

/// `struct sockaddr_un`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Address {
    family: u16,
    path: [u8; 108],
}

const PATH: usize = offset_of!(Address, path);

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

/// `struct sockaddr_in`; numbers in network order.
#[derive(Clone, Copy)]
#[repr(C)]
struct InetAddress {
    family: u16,
    port: [u8; 2],
    address: [u8; 4],
    zero: [u8; 8],
}

/// An address as the library has it: a path, or `10.0.2.15:80`; no text for none.
unsafe fn address(address: *const c_void, length: u32) -> Result<String> {
    let length = length as usize;
    if address.is_null() {
        return if length == 0 { Ok(String::new()) } else { Err(Error::new(EFAULT)) };
    }
    if length < PATH {
        return Err(Error::new(EINVAL));
    }
    // SAFETY: the C program says that there are so many bytes.
    match unsafe { value(address.cast::<u16>()) }? {
        AF_UNIX if length > size_of::<Address>() => Err(Error::new(ENAMETOOLONG)),
        AF_UNIX => {
            // SAFETY: as above.
            let path = unsafe { slice(address.cast::<u8>().add(PATH), length - PATH) }?;
            match path.split(|&byte| byte == 0).next() {
                // Names without a path are Linux's alone.
                Some([]) if !path.is_empty() => Err(Error::new(EINVAL)),
                path => match str::from_utf8(path.unwrap_or_default()) {
                    Ok(path) => Ok(path.into()),
                    Err(_) => Err(Error::new(EINVAL)),
                },
            }
        }
        AF_INET if length < size_of::<InetAddress>() => Err(Error::new(EINVAL)),
        AF_INET => {
            // SAFETY: as above.
            let InetAddress { port, address, .. } = unsafe { value(address.cast::<InetAddress>()) }?;
            Ok(format!("{}", SocketAddrV4::new(address.into(), u16::from_be_bytes(port))))
        }
        // As connect(2) has it: the connection of a datagram socket is dissolved.
        AF_UNSPEC => Ok(String::new()),
        _ => Err(Error::new(EAFNOSUPPORT)),
    }
}

/// Tells an address in the room that there is, and how long it is. Null: nobody wants to know.
unsafe fn tell_address(place: *mut c_void, length: *mut u32, address: &str) -> Result<()> {
    if place.is_null() || length.is_null() {
        return Ok(());
    }
    let bytes = bytes_of(address);
    // SAFETY: the C program's pointers.
    unsafe {
        let room = slice_mut::<u8>(place.cast(), value(length)? as usize)?;
        let fits = room.len().min(bytes.len());
        room[..fits].copy_from_slice(&bytes[..fits]);
        put(length, bytes.len() as u32)
    }
}

/// The structure that a C program expects for an address.
fn bytes_of(address: &str) -> Vec<u8> {
    if let Ok(inet) = address.parse::<SocketAddrV4>() {
        let mut bytes = AF_INET.to_ne_bytes().to_vec();
        bytes.extend(inet.port().to_be_bytes());
        bytes.extend(inet.ip().octets());
        bytes.extend([0; 8]);
        return bytes;
    }
    let mut bytes = AF_UNIX.to_ne_bytes().to_vec();
    if !address.is_empty() {
        bytes.extend(address.bytes().chain([0]));
    }
    bytes
}

fn type_of(kind: c_int) -> Result<(SocketType, u64)> {
    Ok((SocketType::try_from(kind & !TYPE_FLAGS)?, (kind as usize & O_NONBLOCK) as u64))
}

/// `socket(2)`.
#[unsafe(no_mangle)]
extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    let make = || {
        let (kind, flags) = type_of(kind)?;
        let process = libkq::process();
        match (u16::try_from(domain), protocol, kind) {
            (Ok(AF_UNIX), 0, _) => process.socket(kind, flags),
            (Ok(AF_INET), 0, _)
            | (Ok(AF_INET), IPPROTO_TCP, SocketType::Stream)
            | (Ok(AF_INET), IPPROTO_UDP, SocketType::Datagram) => process.inet_socket(kind, flags),
            (Ok(AF_UNIX | AF_INET), ..) => Err(Error::new(EPROTONOSUPPORT)),
            _ => Err(Error::new(EAFNOSUPPORT)),
        }
    };
    answer(make())
}

/// `socketpair(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn socketpair(domain: c_int, kind: c_int, protocol: c_int, pair: *mut [c_int; 2]) -> c_int {
    let make = || {
        let (kind, flags) = type_of(kind)?;
        if domain != c_int::from(AF_UNIX) {
            return Err(Error::new(if domain == c_int::from(AF_INET) { EOPNOTSUPP } else { EAFNOSUPPORT }));
        }
        if protocol != 0 {
            return Err(Error::new(EPROTONOSUPPORT));
        }
        if pair.is_null() {
            return Err(Error::new(EFAULT));
        }
        let (one, other) = libkq::process().socketpair(kind, flags)?;
        // SAFETY: the C program's pointer.
        unsafe { put(pair, [one, other]) }
    };
    done(make())
}

/// `bind(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn bind(fd: c_int, to: *const c_void, length: u32) -> c_int {
    // SAFETY: the C program's pointer.
    done(unsafe { address(to, length) }.and_then(|address| libkq::process().bind(fd, &address)))
}

/// `connect(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn connect(fd: c_int, to: *const c_void, length: u32) -> c_int {
    // SAFETY: the C program's pointer.
    done(unsafe { address(to, length) }.and_then(|address| libkq::process().connect(fd, &address)))
}

/// `listen(2)`.
#[unsafe(no_mangle)]
extern "C" fn listen(fd: c_int, backlog: c_int) -> c_int {
    done(libkq::process().listen(fd, backlog))
}

/// `accept4(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn accept4(fd: c_int, place: *mut c_void, length: *mut u32, flags: c_int) -> c_int {
    let accept = || {
        if flags & !TYPE_FLAGS != 0 {
            return Err(Error::new(EINVAL));
        }
        let process = libkq::process();
        let accepted = process.accept(fd, flags as u64)?;
        if !place.is_null() {
            let peer = process.peer_name(accepted).unwrap_or_default();
            // SAFETY: the C program's pointers.
            unsafe { tell_address(place, length, &peer) }?;
        }
        Ok(accepted)
    };
    answer(accept())
}

/// `accept(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn accept(fd: c_int, place: *mut c_void, length: *mut u32) -> c_int {
    // SAFETY: the C program's pointers.
    unsafe { accept4(fd, place, length, 0) }
}

/// `shutdown(2)`.
#[unsafe(no_mangle)]
extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    let (read, write) = match how {
        0 => (true, false),
        1 => (false, true),
        2 => (true, true),
        _ => (false, false),
    };
    done(libkq::process().shutdown(fd, read, write))
}

/// `getsockname(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockname(fd: c_int, place: *mut c_void, length: *mut u32) -> c_int {
    // SAFETY: the C program's pointers.
    done(libkq::process().socket_name(fd).and_then(|name| unsafe { tell_address(place, length, &name) }))
}

/// `getpeername(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn getpeername(fd: c_int, place: *mut c_void, length: *mut u32) -> c_int {
    // SAFETY: the C program's pointers.
    done(libkq::process().peer_name(fd).and_then(|name| unsafe { tell_address(place, length, &name) }))
}

/// `sockatmark(3)`.
#[unsafe(no_mangle)]
extern "C" fn sockatmark(fd: c_int) -> c_int {
    answer(libkq::process().at_mark(fd).map(c_int::from))
}

/// Options with a number, by their `SO_*`.
fn setting(level: c_int, option: c_int) -> Result<Setting> {
    match (level, option) {
        (SOL_SOCKET, _) => {}
        (IPPROTO_TCP, TCP_NODELAY) => return Ok(Setting::NoDelay),
        _ => return Err(Error::new(ENOPROTOOPT)),
    }
    match option {
        2 => Ok(Setting::ReuseAddress),
        3 => Ok(Setting::SocketType),
        7 => Ok(Setting::SendBuffer),
        8 => Ok(Setting::ReceiveBuffer),
        9 => Ok(Setting::KeepAlive),
        10 => Ok(Setting::UrgentInline),
        18 => Ok(Setting::ReceiveLowWater),
        19 => Ok(Setting::SendLowWater),
        30 => Ok(Setting::Listening),
        _ => Err(Error::new(ENOPROTOOPT)),
    }
}

/// `SO_ERROR`.
const PENDING_ERROR: c_int = 4;

/// `getsockopt(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    place: *mut c_int,
    length: *mut u32,
) -> c_int {
    let get = || {
        // SAFETY: the C program's pointers.
        if unsafe { value(length) }? < size_of::<c_int>() as u32 {
            return Err(Error::new(EINVAL));
        }
        let process = libkq::process();
        let number = match (level, option) {
            (SOL_SOCKET, PENDING_ERROR) => process.take_error(fd)?,
            _ => c_int::try_from(process.option(fd, setting(level, option)?)?).unwrap_or(c_int::MAX),
        };
        // SAFETY: as above.
        unsafe { put(place, number).and_then(|()| put(length, size_of::<c_int>() as u32)) }
    };
    done(get())
}

/// `setsockopt(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    given: *const c_int,
    length: u32,
) -> c_int {
    let set = || {
        if length < size_of::<c_int>() as u32 {
            return Err(Error::new(EINVAL));
        }
        // SAFETY: the C program's pointer.
        libkq::process().set_option(fd, setting(level, option)?, unsafe { value(given) }?.into())
    };
    done(set())
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
        unsafe { tell_address(place, place_length, &message.address) }?;
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
            tell_address(header.name, &raw mut header.name_length, &message.address)?;
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
