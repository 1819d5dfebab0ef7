//! `stdio.h` for the three standard streams. Formatting is in C: `format.c` and `print.c`.

mod stream;

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;

use abi::error::{EFAULT, EINVAL, Error};

use crate::answer::answer;
use crate::given::{slice, slice_mut};
use crate::own::errno;
use stream::{Buffering, Stream};

/// `EOF`.
const EOF: c_int = -1;

static STDIN: Stream = Stream::new(0, Buffering::Line);
static STDOUT: Stream = Stream::new(1, Buffering::Line);
static STDERR: Stream = Stream::new(2, Buffering::None);

/// `FILE *`.
#[repr(transparent)]
struct File(&'static Stream);

#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
static stdin: File = File(&STDIN);
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
static stdout: File = File(&STDOUT);
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
static stderr: File = File(&STDERR);

/// Writes out what is buffered.
pub fn flush_all() -> bool {
    // Both, whatever becomes of the first.
    STDOUT.flush() & STDERR.flush()
}

/// `fflush(3)`.
#[unsafe(no_mangle)]
extern "C" fn fflush(file: Option<&Stream>) -> c_int {
    if file.map_or_else(flush_all, Stream::flush) { 0 } else { EOF }
}

/// `fwrite(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn fwrite(memory: *const c_void, size: usize, count: usize, file: &Stream) -> usize {
    // SAFETY: the C program's pointer.
    let bytes = unsafe { slice::<u8>(memory.cast(), size.saturating_mul(count)) };
    match bytes {
        Ok(bytes) if !bytes.is_empty() => file.write(bytes) / size,
        Ok(_) => 0,
        Err(error) => {
            crate::own::set_errno(error.errno);
            0
        }
    }
}

/// `fputs(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn fputs(text: *const c_char, file: &Stream) -> c_int {
    if text.is_null() {
        return answer(Err(Error::new(EFAULT)));
    }
    // SAFETY: the C program says that it is a string.
    let text = unsafe { CStr::from_ptr(text) }.to_bytes();
    if file.write(text) == text.len() { 0 } else { EOF }
}

/// `puts(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn puts(text: *const c_char) -> c_int {
    if text.is_null() {
        return answer(Err(Error::new(EFAULT)));
    }
    // SAFETY: the C program says that it is a string.
    let text = unsafe { CStr::from_ptr(text) }.to_bytes();
    if STDOUT.write_all(&[text, b"\n"]) { 0 } else { EOF }
}

/// `fputc(3)`.
#[unsafe(no_mangle)]
extern "C" fn fputc(byte: c_int, file: &Stream) -> c_int {
    if file.write(&[byte as u8]) == 1 { c_int::from(byte as u8) } else { EOF }
}

/// `putc(3)`.
#[unsafe(no_mangle)]
extern "C" fn putc(byte: c_int, file: &Stream) -> c_int {
    fputc(byte, file)
}

/// `putchar(3)`.
#[unsafe(no_mangle)]
extern "C" fn putchar(byte: c_int) -> c_int {
    fputc(byte, &STDOUT)
}

/// What was printed is seen before somebody is waited for: a question that ends without a newline, mostly.
fn about_to_read(file: &Stream) {
    if file.is_empty() {
        STDOUT.flush();
    }
}

/// `fread(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn fread(memory: *mut c_void, size: usize, count: usize, file: &Stream) -> usize {
    // SAFETY: the C program's pointer.
    let bytes = unsafe { slice_mut::<u8>(memory.cast(), size.saturating_mul(count)) };
    match bytes {
        Ok([]) => 0,
        Ok(bytes) => {
            about_to_read(file);
            file.read(bytes, |_| false) / size
        }
        Err(error) => {
            crate::own::set_errno(error.errno);
            0
        }
    }
}

/// `ungetc(3)`.
#[unsafe(no_mangle)]
extern "C" fn ungetc(byte: c_int, file: &Stream) -> c_int {
    if byte != EOF && file.put_back(byte as u8) { c_int::from(byte as u8) } else { EOF }
}

/// `clearerr(3)`.
#[unsafe(no_mangle)]
extern "C" fn clearerr(file: &Stream) {
    file.clear();
}

/// `setvbuf(3)`: when it writes. It has memory of its own.
#[unsafe(no_mangle)]
extern "C" fn setvbuf(file: &Stream, _memory: *mut c_char, mode: c_int, _length: usize) -> c_int {
    let buffering = match mode {
        0 => Buffering::Full,
        1 => Buffering::Line,
        2 => Buffering::None,
        _ => return answer(Err(Error::new(EINVAL))),
    };
    file.set_buffering(buffering);
    0
}

/// `setbuf(3)`.
#[unsafe(no_mangle)]
extern "C" fn setbuf(file: &Stream, memory: *mut c_char) {
    file.set_buffering(if memory.is_null() { Buffering::None } else { Buffering::Full });
}

/// `fgetc(3)`.
#[unsafe(no_mangle)]
extern "C" fn fgetc(file: &Stream) -> c_int {
    let mut byte = [0];
    about_to_read(file);
    if file.read(&mut byte, |_| true) == 1 { c_int::from(byte[0]) } else { EOF }
}

/// `getc(3)`.
#[unsafe(no_mangle)]
extern "C" fn getc(file: &Stream) -> c_int {
    fgetc(file)
}

/// `getchar(3)`.
#[unsafe(no_mangle)]
extern "C" fn getchar() -> c_int {
    fgetc(&STDIN)
}

/// `fgets(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn fgets(line: *mut c_char, length: c_int, file: &Stream) -> *mut c_char {
    let length = usize::try_from(length).unwrap_or(0);
    // SAFETY: the C program's pointer.
    let Ok(buffer @ [_, ..]) = (unsafe { slice_mut::<u8>(line.cast(), length) }) else {
        return ptr::null_mut();
    };
    let room = buffer.len() - 1;
    about_to_read(file);
    let count = file.read(&mut buffer[..room], |byte| byte == b'\n');
    // At the end the line stays as it was.
    if count == 0 && room > 0 {
        return ptr::null_mut();
    }
    buffer[count] = 0;
    line
}

/// `feof(3)`.
#[unsafe(no_mangle)]
extern "C" fn feof(file: &Stream) -> c_int {
    file.ended().into()
}

/// `ferror(3)`.
#[unsafe(no_mangle)]
extern "C" fn ferror(file: &Stream) -> c_int {
    file.failed().into()
}

/// `fileno(3)`.
#[unsafe(no_mangle)]
extern "C" fn fileno(file: &Stream) -> c_int {
    file.descriptor()
}

/// What `strerror(3)` says, with a zero behind it.
fn message(errno: c_int) -> &'static [u8] {
    static TEXTS: rt::sync::OnceLock<alloc::vec::Vec<alloc::string::String>> = rt::sync::OnceLock::new();
    let texts = TEXTS.get_or_init(|| {
        let text = |errno| alloc::format!("{}\0", Error::new(errno).text());
        (0..=abi::error::ERSVD).map(text).collect()
    });
    let text = usize::try_from(errno).ok().and_then(|errno| texts.get(errno));
    text.map_or(b"Unknown error\0", |text| text.as_bytes())
}

/// `strerror(3)`.
#[unsafe(no_mangle)]
extern "C" fn strerror(errno: c_int) -> *const c_char {
    message(errno).as_ptr().cast()
}

/// `perror(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn perror(what: *const c_char) {
    let message = message(errno()).strip_suffix(b"\0").unwrap_or_default();
    // SAFETY: the C program says that it is a string, or null.
    let what = if what.is_null() { &[] } else { unsafe { CStr::from_ptr(what) }.to_bytes() };
    let colon: &[u8] = if what.is_empty() { b"" } else { b": " };
    STDERR.write_all(&[what, colon, message, b"\n"]);
}
