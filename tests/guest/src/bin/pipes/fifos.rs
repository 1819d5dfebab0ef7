//! FIFOs: who opens one waits for the other side, and what their names say.

use abi::error::{EEXIST, ENOENT, ENXIO};
use abi::flag::{O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};
use event_protocol::descriptor::Setting;
use guest_tests::failure::{equal, refused};
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment};
use libkq::Descriptor;
use libkq::control::{Control, ControlReply};

use crate::ends::{CAPACITY, Fifo, read, start};

pub const TESTS: &[Test] = &[("opening_a_fifo_waits_for_the_other_side", opening), ("fifo_names", names)];

fn opening() -> Outcome {
    let fifo = Fifo::new("opening")?;
    refused(fifo.open(O_WRONLY | O_NONBLOCK).map(drop), ENXIO)?;
    for reads in [true, false] {
        let path = fifo.0.clone();
        let (mine, others) = if reads { (O_RDONLY, O_WRONLY) } else { (O_WRONLY, O_RDONLY) };
        let waits = start(move || {
            let file = Descriptor::open(&path, others)?;
            if reads { Ok(file.write_all(b"met")?) } else { equal(read(&file, 9)?, b"met".to_vec()) }
        })?;
        a_moment();
        let file = fifo.open(mine)?;
        if reads {
            equal(read(&file, 9)?, b"met".to_vec())?;
        } else {
            file.write_all(b"met")?;
        }
        waits.join()??;
    }
    let both = fifo.open(O_RDWR)?;
    both.write_all(b"self")?;
    equal(read(&both, 9)?, b"self".to_vec())
}

fn names() -> Outcome {
    let fifo = Fifo::new("name")?;
    refused(libkq::process().mkfifo(&fifo.0, 0o600), EEXIST)?;
    refused(Descriptor::open("/run/fifo/none", O_RDONLY).map(drop), ENOENT)?;
    let file = fifo.open(O_RDWR)?;
    libkq::process().unlink(&fifo.0)?;
    refused(fifo.open(O_RDWR).map(drop), ENOENT)?;
    file.write_all(b"still here")?;
    equal(read(&file, 20)?, b"still here".to_vec())?;
    equal(file.control(Control::Get(Setting::SendBuffer))?, ControlReply::Number(CAPACITY as i64))
}
