//! A panic is one line in the kernel's log and the end of the process with [`PANIC_STATUS`](crate::PANIC_STATUS).
//! Nothing here allocates: the heap may be what is broken.

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let block = crate::block::current();
    if block.begin_panic() {
        // Formatting the first message panicked.
        let _ = crate::sys::log_line(b"panicked while panicking");
        crate::sys::exit(crate::PANIC_STATUS);
    }
    match info.location() {
        Some(at) => crate::log!(
            "{}: thread {} panicked at {}:{}: {}",
            crate::start::program(),
            block.name(),
            at.file(),
            at.line(),
            info.message()
        ),
        None => {
            crate::log!("{}: thread {} panicked: {}", crate::start::program(), block.name(), info.message());
        }
    }
    crate::sys::exit(crate::PANIC_STATUS)
}
