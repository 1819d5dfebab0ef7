//! Interrupts and exceptions: what the entry code calls.

use crate::{
    arch::{self, frame::Frame, vector},
    irq, log, objects, sched,
};
use abi::status::{ProcessStatus, State};

/// Schedules the first thread on this CPU.
pub fn run() -> ! {
    sched::schedule();
    arch::return_to_user()
}

/// An interrupt, from user mode or from the idle loop, already counted and acknowledged.
#[unsafe(no_mangle)]
extern "C" fn handle_interrupt(number: u64) {
    match number as u8 {
        vector::TIMER => sched::timer_interrupt(),
        vector::RESCHEDULE => {}
        number => {
            if let Some(gsi) = vector::interrupt(number) {
                irq::interrupt(gsi);
            }
        }
    }
    sched::after_interrupt();
}

/// A processor exception in user mode: the end of the process, and of nothing else.
#[unsafe(no_mangle)]
extern "C" fn handle_exception(number: u64, error: u64, frame: &mut Frame) {
    let Some(thread) = sched::current() else { return };
    let address = if number == PAGE_FAULT { arch::fault_address() } else { 0 };
    let status = ProcessStatus {
        state: State::Faulted as u32,
        vector: number as u32,
        error,
        address,
        instruction: frame.rip,
        ..ProcessStatus::default()
    };
    log!(
        "process {} killed: exception {number} (error {error:#x}) at {:#x}, address {address:#x}",
        thread.process.index(),
        frame.rip
    );
    let mut objects = objects::lock();
    if objects::kill_process(&mut objects, thread.process, status) {
        objects::end_current(&mut objects, thread);
        drop(objects);
        sched::schedule();
    } else {
        // Somebody else has ended it first, on another CPU: the IPI is on its way.
        drop(objects);
        sched::after_interrupt();
    }
}

const PAGE_FAULT: u64 = 14;
