//! The `syscall` instruction. Registers are those of [`abi::number`]; every wrapper here is one instruction and the
//! moves around it.

use core::arch::asm;

use abi::error::Result;
use abi::message::WORDS;
use abi::{Handle, Message, Tag, demux};

/// A call with up to six arguments and one result register.
///
/// # Safety
/// The call must not break what the compiler believes: memory it maps, unmaps or writes must be the caller's to give,
/// and the calling thread must survive it where it returns.
#[inline(always)]
pub unsafe fn syscall(number: u64, arguments: [u64; 6]) -> Result<u64> {
    let mut result = number;
    // SAFETY: the caller vouches for the effects; the registers are those that the convention names.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    demux(result)
}

/// The same with two arguments: no instruction is spent on the others.
///
/// # Safety
/// As [`syscall`], of a call that has no more than two arguments.
#[inline(always)]
pub unsafe fn syscall2(number: u64, first: u64, second: u64) -> Result<u64> {
    let mut result = number;
    // SAFETY: as in `syscall`.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") result,
            in("rdi") first,
            in("rsi") second,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    demux(result)
}

/// Every register of the convention: a kernel call as a test or a tool sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Registers {
    /// Number, then result.
    pub rax: u64,
    /// First argument.
    pub rdi: u64,
    /// Second argument.
    pub rsi: u64,
    /// Third argument.
    pub rdx: u64,
    /// Fourth argument.
    pub r10: u64,
    /// Fifth argument.
    pub r8: u64,
    /// Sixth argument.
    pub r9: u64,
    /// Deadline of the message calls.
    pub r12: u64,
    /// Reply token of `SYS_REPLY_RECV`.
    pub r13: u64,
}

/// A call with all registers given and all registers seen afterwards.
///
/// # Safety
/// As [`syscall`].
#[inline(never)]
pub unsafe fn syscall_registers(registers: &mut Registers) {
    // SAFETY: the caller vouches for the effects; the registers are those that the convention names.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") registers.rax,
            inlateout("rdi") registers.rdi,
            inlateout("rsi") registers.rsi,
            inlateout("rdx") registers.rdx,
            inlateout("r10") registers.r10,
            inlateout("r8") registers.r8,
            inlateout("r9") registers.r9,
            inlateout("r12") registers.r12,
            inlateout("r13") registers.r13,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
}

/// What a receive brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Received {
    /// What it is; labels from [`abi::message::LABEL_KERNEL`] are the kernel's.
    pub tag: Tag,
    /// Badge of the handle that the sender used.
    pub badge: u64,
    /// What [`Endpoint::reply`](super::Endpoint::reply) takes; meaningless with the kernel's labels.
    pub token: u64,
    /// The words.
    pub words: [u64; WORDS],
}

impl Received {
    /// Bits of the bound notification, if that is what was heard.
    #[inline]
    pub fn notification(&self) -> Option<u64> {
        (self.tag.label() == abi::message::LABEL_NOTIFICATION).then_some(self.words[0])
    }

    /// The badge whose last handle was closed, if that is what was heard.
    #[inline]
    pub fn closed(&self) -> Option<u64> {
        (self.tag.label() == abi::message::LABEL_CLOSED).then_some(self.badge)
    }

    /// The message, without its sender.
    #[inline]
    pub fn message(&self) -> Message {
        Message { tag: self.tag, words: self.words }
    }
}

/// [`SYS_CALL`](abi::number::SYS_CALL).
#[inline(always)]
pub fn call(endpoint: Handle, message: Message, deadline: u64) -> Result<Message> {
    let mut tag = abi::number::SYS_CALL;
    let mut words = message.words;
    // SAFETY: the kernel writes registers and the thread's IPC buffer, which is only read through raw pointers.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") tag,
            in("rdi") endpoint.0,
            in("rsi") message.tag.0,
            inlateout("rdx") words[0],
            inlateout("r10") words[1],
            inlateout("r8") words[2],
            inlateout("r9") words[3],
            in("r12") deadline,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    demux(tag).map(|tag| Message { tag: Tag(tag), words })
}

/// [`SYS_RECV`](abi::number::SYS_RECV).
#[inline(always)]
pub fn recv(endpoint: Handle, deadline: u64) -> Result<Received> {
    let mut tag = abi::number::SYS_RECV;
    let mut badge = endpoint.0;
    let token: u64;
    let mut words = [0; WORDS];
    // SAFETY: as in `call`.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") tag,
            inlateout("rdi") badge,
            lateout("rsi") token,
            lateout("rdx") words[0],
            lateout("r10") words[1],
            lateout("r8") words[2],
            lateout("r9") words[3],
            in("r12") deadline,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    demux(tag).map(|tag| Received { tag: Tag(tag), badge, token, words })
}

/// [`SYS_REPLY`](abi::number::SYS_REPLY).
#[inline(always)]
pub fn reply(token: u64, message: Message) -> Result<()> {
    let [w0, w1, w2, w3] = message.words;
    // SAFETY: a reply reads registers and the thread's IPC buffer.
    unsafe { syscall(abi::number::SYS_REPLY, [token, message.tag.0, w0, w1, w2, w3]) }.map(drop)
}

/// [`SYS_REPLY_RECV`](abi::number::SYS_REPLY_RECV).
#[inline(always)]
pub fn reply_recv(endpoint: Handle, token: u64, message: Message, deadline: u64) -> Result<Received> {
    let mut tag = abi::number::SYS_REPLY_RECV;
    let mut badge = endpoint.0;
    let mut new_token = message.tag.0;
    let mut words = message.words;
    // SAFETY: as in `call`.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") tag,
            inlateout("rdi") badge,
            inlateout("rsi") new_token,
            inlateout("rdx") words[0],
            inlateout("r10") words[1],
            inlateout("r8") words[2],
            inlateout("r9") words[3],
            in("r12") deadline,
            in("r13") token,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    demux(tag).map(|tag| Received { tag: Tag(tag), badge, token: new_token, words })
}

/// [`SYS_NOTIFICATION_WAIT`](abi::number::SYS_NOTIFICATION_WAIT) and
/// [`SYS_NOTIFICATION_POLL`](abi::number::SYS_NOTIFICATION_POLL), by number.
#[inline(always)]
pub fn wait(number: u64, notification: Handle, deadline: u64) -> Result<u64> {
    let mut result = number;
    let mut bits = notification.0;
    // SAFETY: the kernel writes registers only. A number other than these two is as harmless as its call.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") result,
            inlateout("rdi") bits,
            in("r12") deadline,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    demux(result).map(|_| bits)
}

/// [`SYS_SIGNAL_AND_WAIT`](abi::number::SYS_SIGNAL_AND_WAIT) with an endpoint or a notification as `target`: for the
/// latter only `badge` (the bits) has a meaning.
#[inline(always)]
pub fn signal_and_wait(notification: Handle, bits: u64, target: Handle, deadline: u64) -> Result<Received> {
    let mut tag = abi::number::SYS_SIGNAL_AND_WAIT;
    let mut badge = notification.0;
    let mut token = bits;
    let mut words = [target.0, 0, 0, 0];
    // SAFETY: as in `call`.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") tag,
            inlateout("rdi") badge,
            inlateout("rsi") token,
            inlateout("rdx") words[0],
            lateout("r10") words[1],
            lateout("r8") words[2],
            lateout("r9") words[3],
            in("r12") deadline,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    demux(tag).map(|tag| Received { tag: Tag(tag), badge, token, words })
}
