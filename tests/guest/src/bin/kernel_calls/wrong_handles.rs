//! Each call that takes a handle, with each handle that it does not take.

use abi::error::{EBADF, EINVAL, EPERM};
use abi::number::*;
use guest_tests::failure::{refused, refused_with};
use guest_tests::{Outcome, raw};
use rt::sys::{Endpoint, Memory, Notification, Object, Registers};

use crate::Test;

pub const TESTS: &[Test] = &[
    ("a_bad_handle_is_ebadf_everywhere", a_bad_handle_is_ebadf_everywhere),
    ("a_wrong_type_is_einval_everywhere", a_wrong_type_is_einval_everywhere),
];

/// A call, the position of a handle among its arguments and the handle's kind.
#[derive(Clone, Copy)]
struct Site {
    number: u64,
    position: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Any,
    Endpoint,
    Notification,
    NotificationOrEndpoint,
    Memory,
    Process,
    Thread,
    ProcessOrThread,
    Irq,
    Hardware,
}

const fn site(number: u64, position: usize, kind: Kind) -> Site {
    Site { number, position, kind }
}

const SITES: &[Site] = &[
    site(SYS_CLOSE, 0, Kind::Any),
    site(SYS_HANDLE_DUP, 0, Kind::Any),
    site(SYS_HANDLE_INFO, 0, Kind::Any),
    site(SYS_HANDLE_GRANT, 0, Kind::Process),
    site(SYS_HANDLE_GRANT, 1, Kind::Any),
    site(SYS_CALL, 0, Kind::Endpoint),
    site(SYS_RECV, 0, Kind::Endpoint),
    site(SYS_REPLY_RECV, 0, Kind::Endpoint),
    site(SYS_NOTIFICATION_SIGNAL, 0, Kind::Notification),
    site(SYS_NOTIFICATION_WAIT, 0, Kind::Notification),
    site(SYS_NOTIFICATION_POLL, 0, Kind::Notification),
    site(SYS_NOTIFICATION_BIND, 0, Kind::Notification),
    site(SYS_SIGNAL_AND_WAIT, 0, Kind::Notification),
    site(SYS_SIGNAL_AND_WAIT, 2, Kind::NotificationOrEndpoint),
    site(SYS_MEMORY_PHYSICAL, 0, Kind::Hardware),
    site(SYS_MEMORY_MAP, 1, Kind::Memory),
    site(SYS_MEMORY_ADDRESS, 0, Kind::Memory),
    site(SYS_PROCESS_STATUS, 0, Kind::ProcessOrThread),
    site(SYS_THREAD_START, 0, Kind::Thread),
    site(SYS_THREAD_SUSPEND, 0, Kind::Thread),
    site(SYS_EXIT_WATCH, 0, Kind::ProcessOrThread),
    site(SYS_EXIT_WATCH, 1, Kind::Notification),
    site(SYS_IRQ_CREATE, 0, Kind::Hardware),
    site(SYS_IRQ_BIND, 0, Kind::Irq),
    site(SYS_IRQ_ACK, 0, Kind::Irq),
    site(SYS_PORT_GRANT, 0, Kind::Hardware),
    site(SYS_IRQ_MESSAGE, 0, Kind::Irq),
    site(SYS_PCI_CONFIG, 0, Kind::Hardware),
];

/// Positions where 0 is the caller itself, and another bad number is an error.
const SITES_WITH_SELF: &[Site] = &[
    site(SYS_NOTIFICATION_BIND, 1, Kind::Thread),
    site(SYS_MEMORY_MAP, 0, Kind::Process),
    site(SYS_MEMORY_UNMAP, 0, Kind::Process),
    site(SYS_PROCESS_KILL, 0, Kind::Process),
    site(SYS_THREAD_CREATE, 0, Kind::Process),
    site(SYS_THREAD_KILL, 0, Kind::Thread),
    site(SYS_THREAD_PRIORITY, 0, Kind::Thread),
    site(SYS_THREAD_AFFINITY, 0, Kind::Thread),
];

/// Good handles of each kind, and arguments that are right but for the handle in question.
struct Stock {
    endpoint: Endpoint,
    notification: Notification,
    memory: Memory,
    info: [u64; 16],
}

impl Stock {
    fn new() -> Outcome<Stock> {
        Ok(Stock {
            endpoint: Endpoint::create()?,
            notification: Notification::create()?,
            memory: Memory::create(4096)?,
            info: [0; 16],
        })
    }

    fn arguments(&mut self, number: u64) -> [u64; 6] {
        let (endpoint, notification, memory) =
            (self.endpoint.handle().0, self.notification.handle().0, self.memory.handle().0);
        let process = rt::start::start().process().0;
        let out = self.info.as_mut_ptr() as u64;
        match number {
            SYS_HANDLE_DUP => [notification, 0, 0, 0, 0, 0],
            SYS_HANDLE_INFO => [notification, out, 0, 0, 0, 0],
            SYS_HANDLE_GRANT => [process, notification, 0, 0, 0, 0],
            SYS_CALL => [endpoint, 1 << 16, 0, 0, 0, 0],
            SYS_NOTIFICATION_SIGNAL => [notification, 1, 0, 0, 0, 0],
            SYS_NOTIFICATION_BIND => [notification, 0, 0, 0, 0, 0],
            SYS_SIGNAL_AND_WAIT => [notification, 1, notification, 0, 0, 0],
            SYS_MEMORY_PHYSICAL => [0, 0xfee0_0000, 4096, 0, 0, 0],
            SYS_MEMORY_MAP => [0, memory, 0, 0, 4096, 0x4_0000],
            SYS_MEMORY_UNMAP => [0, 0x5000_0000, 4096, 0, 0, 0],
            SYS_PROCESS_STATUS => [process, out, 0, 0, 0, 0],
            SYS_EXIT_WATCH => [process, notification, 1, 0, 0, 0],
            SYS_IRQ_BIND => [0, notification, 1, 0, 0, 0],
            SYS_THREAD_AFFINITY | SYS_THREAD_PRIORITY => [0, 1, 0, 0, 0, 0],
            _ => [0; 6],
        }
    }
}

/// With deadline 0 nothing waits.
fn call(number: u64, arguments: [u64; 6]) -> abi::error::Result<u64> {
    let [rdi, rsi, rdx, r10, r8, r9] = arguments;
    let mut registers = Registers { rax: number, rdi, rsi, rdx, r10, r8, r9, r12: 0, r13: 0 };
    guest_tests::raw_registers(&mut registers);
    abi::demux(registers.rax)
}

fn a_bad_handle_is_ebadf_everywhere() -> Outcome {
    let mut stock = Stock::new()?;
    let stale = Notification::create()?.handle().0;
    for bad in [stale, u64::MAX, 1 << 32 | 0xffff, 0x7fff_ffff_ffff_ffff, 5] {
        for site in SITES.iter().chain(SITES_WITH_SELF) {
            let mut arguments = stock.arguments(site.number);
            arguments[site.position] = bad;
            refused(call(site.number, arguments), EBADF).map_err(|failure| at(site, bad, failure))?;
        }
    }
    for site in SITES {
        let mut arguments = stock.arguments(site.number);
        arguments[site.position] = 0;
        refused(call(site.number, arguments), EBADF).map_err(|failure| at(site, 0, failure))?;
    }
    Ok(())
}

fn a_wrong_type_is_einval_everywhere() -> Outcome {
    let mut stock = Stock::new()?;
    let handles = [
        (Kind::Endpoint, stock.endpoint.handle().0),
        (Kind::Notification, stock.notification.handle().0),
        (Kind::Memory, stock.memory.handle().0),
        (Kind::Process, rt::start::start().process().0),
        (Kind::Thread, rt::thread::current().0),
    ];
    for site in SITES.iter().chain(SITES_WITH_SELF) {
        for (kind, handle) in handles {
            let fits = match site.kind {
                Kind::Any => true,
                Kind::NotificationOrEndpoint => matches!(kind, Kind::Notification | Kind::Endpoint),
                Kind::ProcessOrThread => matches!(kind, Kind::Process | Kind::Thread),
                exactly => exactly == kind,
            };
            if fits {
                continue;
            }
            let mut arguments = stock.arguments(site.number);
            arguments[site.position] = handle;
            // A handle of another type may lack the right besides.
            refused_with(call(site.number, arguments), &[EINVAL, EPERM])
                .map_err(|failure| at(site, handle, failure))?;
        }
    }
    // None of these calls has done anything.
    raw(SYS_NULL, [0; 6])?;
    Ok(())
}

fn at(site: &Site, handle: u64, failure: guest_tests::Failure) -> guest_tests::Failure {
    let name = site.number.checked_sub(CLASS_NATIVE).and_then(|n| NATIVE_NAMES.get(n as usize));
    let name = name.copied().unwrap_or("SYS_CLOSE");
    guest_tests::Failure::new(alloc::format!("{name} argument {} = {handle:#x}: {failure}", site.position))
}
