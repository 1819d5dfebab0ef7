//! A file in memory, which is read up to where others write.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use guest_tests::Outcome;
use libkq::flag::{O_CREAT, O_RDONLY, O_WRONLY};
use libkq::process;

use super::end::End;
use super::{Condition, Source};

struct File {
    reader: End,
    writer: End,
    path: String,
}

/// An empty file that is open for reading.
pub fn file() -> Outcome<Arc<dyn Source>> {
    let path = format!("/tmp/matrix{}", super::unique());
    let writer = End::new(libkq::open(&path, O_WRONLY | O_CREAT)?);
    let reader = End::new(libkq::open(&path, O_RDONLY)?);
    Ok(Arc::new(File { reader, writer, path }))
}

impl Source for File {
    fn number(&self, _: Condition) -> i32 {
        self.reader.number()
    }

    fn raise(&self, _: Condition) -> Outcome {
        Ok(self.writer.write(b"x")?)
    }

    fn lower(&self, _: Condition) -> Outcome {
        Ok(self.reader.drain()?)
    }

    fn close(&self, _: Condition) {
        self.reader.close();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // It is there: nobody else knows the name.
        let _ = process().unlink(&self.path);
    }
}
