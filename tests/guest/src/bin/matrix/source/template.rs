//! The driver that others begin with: what is written to a file is read from it.

use alloc::sync::Arc;

use guest_tests::Outcome;
use libkq::flag::{O_NONBLOCK, O_RDWR};

use super::end::End;
use super::{Condition, Source};

struct Template(End);

/// A file of the driver.
pub fn template() -> Outcome<Arc<dyn Source>> {
    Ok(Arc::new(Template(End::new(libkq::open("/dev/template", O_RDWR | O_NONBLOCK)?))))
}

impl Source for Template {
    fn number(&self, _: Condition) -> i32 {
        self.0.number()
    }

    fn raise(&self, condition: Condition) -> Outcome {
        match condition {
            Condition::Write => drop(self.0.read(1)?),
            _ => self.0.write(b"x")?,
        }
        Ok(())
    }

    fn lower(&self, condition: Condition) -> Outcome {
        match condition {
            Condition::Write => self.0.fill(1024)?,
            _ => self.0.drain()?,
        }
        Ok(())
    }

    fn close(&self, _: Condition) {
        self.0.close();
    }
}
