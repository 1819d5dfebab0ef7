//! A driver that knows which process opens a file.

mod fake;

use abi::error::Result;
use abi::message::WORDS;
use driver_sdk::{Context, Driver, FileId, Filters, Kind, Opening};
use event_protocol::descriptor::{Open, label};
use fake::Bench;
use init_protocol::caller::{Caller, PID_MAX};

/// Remembers who opened what.
#[derive(Default)]
struct Guest(Vec<u32>);

impl Driver for Guest {
    const KNOWS_CALLERS: bool = true;

    fn open(&mut self, context: &mut Context<'_>, _: FileId, _: &str, _: u64) -> Result<Opening> {
        self.0.push(context.caller());
        Ok(Opening::new(Kind::Device, Filters::READ))
    }

    fn close(&mut self, context: &mut Context<'_>, _: FileId) {
        self.0.push(context.caller());
    }
}

#[test]
fn the_badge_of_the_service_says_who_opens() {
    let mut bench = Bench::new(Guest::default());
    let open = postcard::to_allocvec(&Open { path: "/x".into(), flags: 0 }).unwrap();
    let driver = Caller { pid: PID_MAX, provider: true };
    for badge in [0, 7, driver.badge()] {
        bench.send(badge, label::OPEN, [0; WORDS], &open, Some(1));
    }
    // A client's last handle of the service is closed: that is no file.
    bench.engine.closed(7);
    assert_eq!(bench.engine.driver().0, [0, 7, PID_MAX]);
}
