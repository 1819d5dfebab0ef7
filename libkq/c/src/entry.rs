//! From the first instruction to `main` and back.

use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::{c_char, c_int};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use libkq::flag::{O_RDONLY, O_WRONLY};

rt::entry!(start);

unsafe extern "C" {
    fn main(count: c_int, arguments: *mut *mut c_char, environment: *mut *mut c_char) -> c_int;
}

/// The terminal, where standard input and output are.
const TERMINAL: &str = "/dev/tty";

/// The environment. `environ(7)`.
#[unsafe(no_mangle)]
static environ: AtomicPtr<*mut c_char> = AtomicPtr::new(ptr::null_mut());

/// What `err(3)` and `getopt(3)` call the program: its first argument behind the last slash.
#[unsafe(no_mangle)]
static __progname: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

fn start(start: &rt::Start) -> i32 {
    open_standard();
    let arguments = strings(start.args().iter().map(|argument| argument.as_bytes().to_vec()));
    let variables = start.environment().iter();
    let environment = strings(variables.map(|(name, value)| format!("{name}={value}").into_bytes()));
    environ.store(environment, Relaxed);
    let path = start.args().first().map_or("", String::as_str);
    let name = path.rsplit('/').next().unwrap_or(path);
    __progname.store(CString::new(name).unwrap_or_default().into_raw(), Relaxed);
    // SAFETY: the program's `main`, with arguments as C has them, which stay.
    let status = unsafe { main(start.args().len() as c_int, arguments, environment) };
    crate::ending::exit(status)
}

/// Descriptors 0, 1 and 2, unless the program was started with them. Without a terminal they stay closed, and what is
/// printed goes to the kernel's log: nothing that the program opens gets such a number unless it asks for it.
fn open_standard() {
    for number in 0..3 {
        // There is room for three numbers, or for none at all.
        let _ = libkq::process().reserve(number);
    }
    for (number, flags) in [(0, O_RDONLY), (1, O_WRONLY)] {
        if crate::descriptors::is_open(number).is_ok() {
            continue;
        }
        let Ok(terminal) = libkq::open(TERMINAL, flags) else { continue };
        let _ = libkq::dup2(terminal, number);
        let _ = libkq::close(terminal);
    }
    if crate::descriptors::is_open(2).is_err() {
        // Closed, too, if the first is.
        let _ = libkq::dup2(1, 2);
    }
}

/// A list of strings with a null pointer at its end, for ever. A string ends at its first zero byte.
fn strings(texts: impl Iterator<Item = Vec<u8>>) -> *mut *mut c_char {
    let string = |mut text: Vec<u8>| {
        text.truncate(text.iter().position(|&byte| byte == 0).unwrap_or(text.len()));
        CString::new(text).unwrap_or_default().into_raw()
    };
    let list: Vec<*mut c_char> = texts.map(string).chain([ptr::null_mut()]).collect();
    Box::leak(list.into_boxed_slice()).as_mut_ptr()
}
