//! Processes of a few instructions, made without init: for what must be seen from outside, faults above all.

use abi::error::Result;
use abi::flag::MapFlags;
use abi::limits::FOREVER;
use abi::memory::PAGE;
use abi::status::ProcessStatus;
use abi::thread::ThreadOptions;
use abi::{Handle, Rights};
use rt::sys::{Mapping, Memory, Notification, Process, Quota, Thread};

use crate::{Failure, Outcome, soon};

/// Where the code is mapped (read and execute).
pub const CODE: usize = 0x10_0000;
/// Where the data is mapped (read and write); its address is in `rdi` at the start.
pub const DATA: usize = 0x20_0000;
/// Where the stack is mapped; it has one page, and nothing lies below it.
pub const STACK: usize = 0x30_0000;
/// Where the IPC buffer is mapped.
pub const IPC: usize = 0x40_0000;
/// Words of data.
pub const WORDS: usize = PAGE as usize / 8;

const BYTES: usize = PAGE as usize;
const READ: MapFlags = MapFlags::PROT_READ;
const READ_WRITE: MapFlags = MapFlags::PROT_READ.union(MapFlags::PROT_WRITE);
const READ_EXECUTE: MapFlags = MapFlags::PROT_READ.union(MapFlags::PROT_EXEC);

/// Position-independent instructions as bytes. They begin with `rdi` = [`DATA`].
#[macro_export]
macro_rules! instructions {
    ($($line:expr),+ $(,)? ; $($name:ident = const $value:expr),* $(,)?) => {{
        let (begin, end): (*const u8, *const u8);
        // SAFETY: loads two addresses; the code itself lies in read-only data and is not run here.
        unsafe {
            core::arch::asm!(
                "lea {begin}, [rip + 20f]",
                "lea {end}, [rip + 21f]",
                ".pushsection .rodata.mini, \"a\"",
                "20:",
                $($line,)+
                "21:",
                ".popsection",
                begin = out(reg) begin,
                end = out(reg) end,
                $($name = const $value,)*
                options(nomem, nostack, preserves_flags)
            );
        }
        // SAFETY: both labels lie in one read-only section, the first before the second.
        unsafe { core::slice::from_raw_parts(begin, end.offset_from(begin) as usize) }
    }};
    ($($line:expr),+ $(,)?) => { $crate::instructions!($($line),+ ;) };
}

/// A small process.
#[derive(Debug)]
pub struct Mini {
    /// The process.
    pub process: Process,
    /// Its thread.
    pub thread: Thread,
    /// Its data, mapped here too.
    pub data: Mapping,
}

/// How to make one.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// What it runs.
    pub code: &'a [u8],
    /// Handles granted to it: word n of its data is the number of the nth.
    pub handles: &'a [Handle],
    /// Words of its data after the handles.
    pub words: &'a [u64],
    /// Its quota in bytes.
    pub quota: u64,
    /// Its priority.
    pub priority: u8,
    /// Its CPUs, 0 for all.
    pub cpus: u64,
}

impl<'a> Plan<'a> {
    /// A process with nothing but its code.
    pub fn new(code: &'a [u8]) -> Plan<'a> {
        Plan {
            code,
            handles: &[],
            words: &[],
            quota: 256 << 10,
            priority: rt::block::current().priority(),
            cpus: 0,
        }
    }

    /// Gives it handles.
    pub fn handles(self, handles: &'a [Handle]) -> Plan<'a> {
        Plan { handles, ..self }
    }

    /// Gives it words.
    pub fn words(self, words: &'a [u64]) -> Plan<'a> {
        Plan { words, ..self }
    }

    /// Makes it, not yet running.
    pub fn create(&self) -> Result<Mini> {
        let process = Process::create(Quota { bytes: self.quota, priority: self.priority })?;
        let code = Memory::create(self.code.len().max(1))?;
        fill(&code, self.code)?;
        let data = Memory::create(BYTES)?;
        let stack = Memory::create(BYTES)?;
        let ipc = Memory::create(BYTES)?;
        let size = code.size()?;
        // SAFETY: another process's address space.
        unsafe {
            process.map(&code, CODE, 0, size, READ_EXECUTE)?;
            process.map(&data, DATA, 0, BYTES, READ_WRITE)?;
            process.map(&stack, STACK, 0, BYTES, READ_WRITE)?;
            process.map(&ipc, IPC, 0, BYTES, READ_WRITE)?;
        }
        let options = ThreadOptions::new(self.priority).on(self.cpus);
        // SAFETY: another process's thread.
        let thread = unsafe {
            process.create_thread(CODE as u64, (STACK + BYTES - 8) as u64, DATA as u64, IPC as u64, options)
        }?;
        let mini = Mini { process, thread, data: data.map_all(READ_WRITE)? };
        for (index, handle) in self.handles.iter().enumerate() {
            mini.set(index, mini.process.grant(*handle, Rights::all())?.0);
        }
        for (index, word) in self.words.iter().enumerate() {
            mini.set(self.handles.len() + index, *word);
        }
        Ok(mini)
    }

    /// Makes it and lets it run.
    pub fn start(&self) -> Result<Mini> {
        let mini = self.create()?;
        mini.thread.start()?;
        Ok(mini)
    }
}

/// Writes bytes at the start of a memory object.
pub fn fill(memory: &Memory, bytes: &[u8]) -> Result<()> {
    let mut mapping = memory.map_all(READ_WRITE)?;
    // SAFETY: nobody else has the memory yet.
    unsafe { mapping.as_mut_slice()[..bytes.len()].copy_from_slice(bytes) };
    Ok(())
}

/// Reads the bytes at the start of a memory object.
pub fn peek(memory: &Memory, bytes: &mut [u8]) -> Result<()> {
    let mapping = memory.map_all(READ)?;
    // SAFETY: the caller's tests do not write meanwhile.
    bytes.copy_from_slice(unsafe { &mapping.as_slice()[..bytes.len()] });
    Ok(())
}

fn word(data: &Mapping, index: usize) -> *mut u64 {
    assert!(index < WORDS);
    data.start().as_ptr().cast::<u64>().wrapping_add(index)
}

/// Sets a word of a process's data.
pub fn set_word(data: &Mapping, index: usize, value: u64) {
    // SAFETY: in range and mapped; volatile, as the other process reads it.
    unsafe { word(data, index).write_volatile(value) };
}

impl Mini {
    /// A word of its data.
    pub fn get(&self, index: usize) -> u64 {
        // SAFETY: in range and mapped; volatile, as the other process writes it.
        unsafe { word(&self.data, index).read_volatile() }
    }

    /// Sets a word of its data.
    pub fn set(&self, index: usize, value: u64) {
        set_word(&self.data, index, value);
    }

    /// Waits until it has ended.
    pub fn ended(&self) -> Outcome<ProcessStatus> {
        let gone = Notification::create()?;
        gone.watch_exit(&self.process, 1)?;
        match gone.wait(soon()) {
            Ok(_) => Ok(self.process.status()?),
            Err(error) => Err(Failure::new(alloc::format!("a small process did not end: {error}"))),
        }
    }

    /// Waits until a word of its data is not 0.
    pub fn wait_word(&self, index: usize) -> Outcome<u64> {
        let deadline = soon();
        loop {
            match self.get(index) {
                0 if rt::clock::now_ns() > deadline => {
                    return Err(Failure::new("a small process did not come to its point"));
                }
                0 => rt::thread::sleep(100_000),
                value => return Ok(value),
            }
        }
    }
}

/// Instructions that wait for the notification in word 0, again and again.
pub fn waits() -> &'static [u8] {
    crate::instructions!(
        "mov rbx, rdi",
        "2: mov rdi, [rbx]",
        "mov eax, {wait}",
        "mov r12, {forever}",
        "syscall",
        "jmp 2b";
        wait = const abi::number::SYS_NOTIFICATION_WAIT,
        forever = const FOREVER as i64,
    )
}

/// Instructions that end the process with the status in word 0.
pub fn exits() -> &'static [u8] {
    crate::instructions!(
        "mov rsi, [rdi]",
        "xor edi, edi",
        "mov eax, {kill}",
        "syscall",
        "ud2";
        kill = const abi::number::SYS_PROCESS_KILL,
    )
}

/// Instructions that never end and never enter the kernel; word 0 counts. (Where one host thread emulates all CPUs, a `pause`
/// now and then is what lets the others have their turn; at each step it would be most of what the host does.)
pub fn spins() -> &'static [u8] {
    crate::instructions!("2: inc qword ptr [rdi]", "test word ptr [rdi], 0x3ff", "jnz 2b", "pause", "jmp 2b",)
}

/// Instructions that call the endpoint in word 0 with label 1 and word 1, and then end with the result register as the
/// status.
pub fn calls() -> &'static [u8] {
    crate::instructions!(
        "mov rdx, [rdi + 8]",
        "mov rdi, [rdi]",
        "mov esi, 0x10000",
        "mov eax, {call}",
        "mov r12, {forever}",
        "syscall",
        "mov rsi, rax",
        "xor edi, edi",
        "mov eax, {kill}",
        "syscall",
        "ud2";
        call = const abi::number::SYS_CALL,
        forever = const FOREVER as i64,
        kill = const abi::number::SYS_PROCESS_KILL,
    )
}
