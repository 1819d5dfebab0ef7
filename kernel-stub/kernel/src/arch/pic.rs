//! The two 8259 controllers of old: out of the way. All interrupts come through the I/O APICs.

use crate::arch::port::Port;

/// Moves their vectors off the exceptions (a spurious one may still come) and masks every line.
pub fn mask() {
    for (command, data, vector, wiring) in [(0x20, 0x21, 0x20, 4), (0xa0, 0xa1, 0x28, 2)] {
        // SAFETY: the controllers only deliver interrupts.
        let (command, data) = unsafe { (Port::new(command), Port::new(data)) };
        command.write(0x11);
        data.write(vector);
        data.write(wiring);
        data.write(1);
        data.write(0xff);
    }
}
