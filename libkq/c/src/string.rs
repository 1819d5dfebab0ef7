//! `string.h` and the numbers of `stdlib.h`, save what the compiler's own library has: `memcpy`, `memmove`, `memset`,
//! `memcmp` and `strlen`.

use core::ffi::{CStr, c_char, c_int, c_long, c_ulong, c_void};
use core::ptr;
use core::slice;

use abi::error::{EINVAL, ERANGE};

use crate::heap::malloc;
use crate::number::{self, Parsed};
use crate::own::set_errno;

/// A string's bytes without the zero.
unsafe fn bytes<'a>(string: *const c_char) -> &'a [u8] {
    // SAFETY: the C program says that it is a string.
    unsafe { CStr::from_ptr(string) }.to_bytes()
}

/// The same, but at most `most` bytes.
unsafe fn bounded<'a>(string: *const c_char, most: usize) -> &'a [u8] {
    // SAFETY: the C program says that it is a string, or has `most` bytes.
    unsafe { slice::from_raw_parts(string.cast(), strnlen(string, most)) }
}

/// Puts a string, with its zero; returns where the zero is.
unsafe fn place(to: *mut c_char, text: &[u8]) -> *mut c_char {
    // SAFETY: the C program says that there is room.
    unsafe {
        ptr::copy(text.as_ptr().cast(), to, text.len());
        let end = to.add(text.len());
        end.write(0);
        end
    }
}

fn order(ordering: core::cmp::Ordering) -> c_int {
    ordering as c_int
}

/// `strnlen(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strnlen(string: *const c_char, most: usize) -> usize {
    // SAFETY: bytes up to the first zero or the limit are there.
    (0..most).find(|&at| unsafe { string.add(at).read() } == 0).unwrap_or(most)
}

/// `strcmp(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strcmp(a: *const c_char, b: *const c_char) -> c_int {
    // SAFETY: strings.
    order(unsafe { bytes(a).cmp(bytes(b)) })
}

/// `strncmp(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strncmp(a: *const c_char, b: *const c_char, most: usize) -> c_int {
    // SAFETY: strings, or so many bytes.
    order(unsafe { bounded(a, most).cmp(bounded(b, most)) })
}

/// `strcpy(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strcpy(to: *mut c_char, from: *const c_char) -> *mut c_char {
    // SAFETY: a string, and room for it.
    unsafe { place(to, bytes(from)) };
    to
}

/// `stpcpy(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn stpcpy(to: *mut c_char, from: *const c_char) -> *mut c_char {
    // SAFETY: a string, and room for it.
    unsafe { place(to, bytes(from)) }
}

/// `strncpy(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strncpy(to: *mut c_char, from: *const c_char, length: usize) -> *mut c_char {
    // SAFETY: a string or so many bytes, and room for so many.
    unsafe {
        let text = bounded(from, length);
        ptr::copy_nonoverlapping(text.as_ptr().cast(), to, text.len());
        ptr::write_bytes(to.add(text.len()), 0, length - text.len());
    }
    to
}

/// `strcat(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strcat(to: *mut c_char, from: *const c_char) -> *mut c_char {
    // SAFETY: strings, and room for both.
    unsafe { place(to.add(bytes(to).len()), bytes(from)) };
    to
}

/// `strncat(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strncat(to: *mut c_char, from: *const c_char, most: usize) -> *mut c_char {
    // SAFETY: strings, and room for both.
    unsafe { place(to.add(bytes(to).len()), bounded(from, most)) };
    to
}

/// `strchr(3)`: the zero at the end counts.
#[unsafe(no_mangle)]
unsafe extern "C" fn strchr(string: *const c_char, wanted: c_int) -> *mut c_char {
    // SAFETY: a string.
    unsafe { memchr(string.cast(), wanted, bytes(string).len() + 1) }.cast()
}

/// `strrchr(3)`: the zero at the end counts.
#[unsafe(no_mangle)]
unsafe extern "C" fn strrchr(string: *const c_char, wanted: c_int) -> *mut c_char {
    // SAFETY: a string.
    let text = unsafe { CStr::from_ptr(string) }.to_bytes_with_nul();
    found(string, text.iter().rposition(|&byte| byte == wanted as u8))
}

/// `memchr(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memchr(memory: *const c_void, wanted: c_int, length: usize) -> *mut c_void {
    // SAFETY: bytes up to the first such are there.
    let at = (0..length).find(|&at| unsafe { memory.cast::<u8>().add(at).read() } == wanted as u8);
    found(memory.cast(), at).cast()
}

/// `strstr(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strstr(string: *const c_char, wanted: *const c_char) -> *mut c_char {
    // SAFETY: strings.
    let (text, wanted) = unsafe { (bytes(string), bytes(wanted)) };
    let at = if wanted.is_empty() {
        Some(0)
    } else {
        text.windows(wanted.len()).position(|window| window == wanted)
    };
    found(string, at)
}

fn found(string: *const c_char, at: Option<usize>) -> *mut c_char {
    at.map_or(ptr::null_mut(), |at| string.wrapping_add(at).cast_mut())
}

/// `strspn(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strspn(string: *const c_char, accepted: *const c_char) -> usize {
    // SAFETY: strings.
    let (text, accepted) = unsafe { (bytes(string), bytes(accepted)) };
    text.iter().take_while(|byte| accepted.contains(byte)).count()
}

/// `strcspn(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strcspn(string: *const c_char, refused: *const c_char) -> usize {
    // SAFETY: strings.
    let (text, refused) = unsafe { (bytes(string), bytes(refused)) };
    text.iter().take_while(|byte| !refused.contains(byte)).count()
}

/// `strtok_r(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strtok_r(
    string: *mut c_char,
    separators: *const c_char,
    rest: *mut *mut c_char,
) -> *mut c_char {
    // SAFETY: a string that may be changed, or where the last call left off; what follows stays in it.
    unsafe {
        let begin = if string.is_null() { rest.read() } else { string };
        let begin = begin.add(strspn(begin, separators));
        let end = begin.add(strcspn(begin, separators));
        let more = end.read() != 0;
        end.write(0);
        rest.write(if more { end.add(1) } else { end });
        if begin == end { ptr::null_mut() } else { begin }
    }
}

/// `strdup(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strdup(string: *const c_char) -> *mut c_char {
    // SAFETY: a string.
    unsafe { duplicate(bytes(string)) }
}

/// `strndup(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strndup(string: *const c_char, most: usize) -> *mut c_char {
    // SAFETY: a string, or so many bytes.
    unsafe { duplicate(bounded(string, most)) }
}

unsafe fn duplicate(text: &[u8]) -> *mut c_char {
    let copy: *mut c_char = malloc(text.len() + 1).cast();
    if !copy.is_null() {
        // SAFETY: it has room.
        unsafe { place(copy, text) };
    }
    copy
}

/// `strtol(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strtol(string: *const c_char, end: *mut *mut c_char, base: c_int) -> c_long {
    // SAFETY: a string.
    unsafe { parsed(string, end, base) }.map_or(0, |parsed| fitted(parsed.signed()))
}

/// `strtoul(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strtoul(string: *const c_char, end: *mut *mut c_char, base: c_int) -> c_ulong {
    // SAFETY: a string.
    unsafe { parsed(string, end, base) }.map_or(0, |parsed| fitted(parsed.unsigned()))
}

/// `strtoll(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strtoll(string: *const c_char, end: *mut *mut c_char, base: c_int) -> i64 {
    // SAFETY: a string.
    unsafe { strtol(string, end, base) }
}

/// `strtoull(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strtoull(string: *const c_char, end: *mut *mut c_char, base: c_int) -> u64 {
    // SAFETY: a string.
    unsafe { strtoul(string, end, base) }
}

/// `atoi(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn atoi(string: *const c_char) -> c_int {
    // SAFETY: a string.
    unsafe { strtol(string, ptr::null_mut(), 10) as c_int }
}

/// `atol(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn atol(string: *const c_char) -> c_long {
    // SAFETY: a string.
    unsafe { strtol(string, ptr::null_mut(), 10) }
}

unsafe fn parsed(string: *const c_char, end: *mut *mut c_char, base: c_int) -> Option<Parsed> {
    // SAFETY: a string.
    let parsed = number::parse(unsafe { bytes(string) }, base);
    if parsed.is_none() {
        set_errno(EINVAL);
    }
    if !end.is_null() {
        let length = parsed.map_or(0, |parsed| parsed.length);
        // SAFETY: the C program's pointer.
        unsafe { end.write(string.wrapping_add(length).cast_mut()) };
    }
    parsed
}

fn fitted<T>((value, fits): (T, bool)) -> T {
    if !fits {
        set_errno(ERANGE);
    }
    value
}
