//! One case: a driver and a client are started, go through the steps to the one of the case, are stopped there, and one of the
//! parties is struck. The others go on to the end.

use alloc::vec;

use abi::message::{MAX_HANDLES, WORDS};
use abi::{Message, Tag};
use guest_tests::books;
use guest_tests::child::{Role, ends_well};
use guest_tests::failure::ensure;
use guest_tests::shared::Shared;
use guest_tests::{Failure, Outcome, soon};
use init_protocol::status::ExitStatus;
use rt::init::{self, Child};
use rt::ipc::{Arrivals, Reply, Transfer, set_accept};
use rt::sys::{Endpoint, Notification};

use crate::bystander::Bystander;
use crate::client::{self, ASLEEP, ASLEEP_AGAIN, DONE, GOING, GONE, KNOWN, REPLACED};
use crate::driver::{self, ORDER};
use crate::step::{Case, Party, Step};
use crate::{PROGRAM, stopping};

/// Bits beside those that client and driver signal: a process has ended.
pub const CLIENT_ENDED: u64 = 1 << 16;
const DRIVER_ENDED: u64 = 1 << 17;
/// What a process is ended with.
pub const KILLED: i64 = 9;

struct Stage<'a> {
    case: Case,
    bystander: &'a mut Bystander,
    /// What client and driver signal.
    told: Notification,
    client: Child,
    driver: Child,
    /// Both go on from where they stopped by these.
    client_go: Notification,
    driver_go: Notification,
    client_orders: Notification,
    /// The driver's endpoint, as who orders has it.
    driver_orders: Endpoint,
    page: Shared,
    /// The driver has something to read for the present thread of the client.
    published: bool,
    struck: bool,
    /// What was heard already.
    heard: u64,
}

/// Waits until a thread of the client has a successor. What it signalled before it was killed was its own; returns what the successor did.
pub fn until_replaced(told: &Notification) -> Outcome<u64> {
    loop {
        let heard = told.wait(soon())?;
        if heard & REPLACED != 0 {
            return Ok(heard & (ASLEEP_AGAIN | DONE | CLIENT_ENDED));
        }
    }
}

/// Starts the client of a case, with what it tells by, goes on by and is ordered by.
pub fn start_client(
    case: Case,
    cpus: u64,
    [told, go, orders]: [&Notification; 3],
    service: Endpoint,
    page: &Shared,
) -> Outcome<Child> {
    let role = Role::new(PROGRAM, "client").argument(case.step.number()).argument(case.interface as usize);
    Ok(role.quota(8 << 20).on(cpus).spawn(vec![
        (client::given::TOLD, Transfer::copy(told)),
        (client::given::GO, Transfer::copy(go)),
        (client::given::ORDERS, Transfer::copy(orders)),
        (client::given::DRIVER, Transfer::moved(service)),
        (client::given::PAGE, Transfer::copy(page.memory())),
    ])?)
}

/// Plays one, with the driver at home in a shard.
pub fn play(case: Case, shard: u32, cpus: [u64; 2], bystander: &mut Bystander) -> Outcome {
    let mut stage = Stage::set(case, shard, cpus, bystander)?;
    // What ends without being struck is found out at once.
    stage.told.watch_exit(&stage.client.process, CLIENT_ENDED)?;
    stage.told.watch_exit(&stage.driver.process, DRIVER_ENDED)?;
    let played = stage.play();
    if played.is_err() {
        // The next case begins with neither.
        for child in [&stage.client, &stage.driver] {
            let _ = init::kill(child.pid, KILLED);
            let _ = init::wait_until(child.pid, soon());
        }
    }
    played
}

impl<'a> Stage<'a> {
    fn set(case: Case, shard: u32, cpus: [u64; 2], bystander: &'a mut Bystander) -> Outcome<Stage<'a>> {
        let told = Notification::create()?;
        let [client_go, driver_go, client_orders] =
            [Notification::create()?, Notification::create()?, Notification::create()?];
        let office = Endpoint::create()?;
        let page = Shared::create()?;
        let step = case.step.number();
        let driver = Role::new(PROGRAM, "driver").argument(step).argument(shard).on(cpus[0]).spawn(vec![
            (driver::given::TOLD, Transfer::copy(&told)),
            (driver::given::GO, Transfer::copy(&driver_go)),
            (driver::given::OFFICE, Transfer::copy(&office)),
        ])?;
        set_accept(MAX_HANDLES as u32);
        let reached = office.recv(soon())?;
        let mut arrivals = Arrivals::of(reached.tag);
        let (driver_orders, service): (_, Endpoint) = (arrivals.object(0)?, arrivals.object(1)?);
        Reply::ok(ORDER).send(reached.token)?;
        let client = start_client(case, cpus[1], [&told, &client_go, &client_orders], service, &page)?;
        Ok(Stage {
            case,
            bystander,
            told,
            client,
            driver,
            client_go,
            driver_go,
            client_orders,
            driver_orders,
            page,
            published: false,
            struck: false,
            heard: 0,
        })
    }

    fn play(&mut self) -> Outcome {
        let mut done = false;
        loop {
            let heard = match core::mem::take(&mut self.heard) {
                0 => self.told.wait(soon())?,
                heard => heard,
            };
            if heard & (stopping::STOPPED | driver::STOPPED) != 0 {
                let driver_stopped = heard & driver::STOPPED != 0;
                if self.case.step == Step::Chosen {
                    self.order(driver::PUBLISH)?;
                    self.published = true;
                    // When the shards answer they have heard of it: the waiter is chosen.
                    books::each(|_| ())?;
                }
                self.strike(driver_stopped, heard & stopping::STOPPED != 0)?;
            }
            if heard & (ASLEEP | ASLEEP_AGAIN) != 0 {
                if self.case.step == Step::Asleep && !self.struck {
                    self.strike(false, false)?;
                }
                if self.has_driver() && self.has_client() && !self.published {
                    self.order(driver::PUBLISH)?;
                    self.published = true;
                }
            }
            if self.struck && self.case.party == Party::Client {
                return self.end();
            }
            done |= heard & DONE != 0;
            if done && self.struck {
                return self.end();
            }
            if heard & CLIENT_ENDED != 0 || heard & DRIVER_ENDED != 0 && self.has_driver() {
                return Err(Failure::new("a process has ended of itself"));
            }
        }
    }

    /// Whether the driver, and the client, have not been killed.
    fn has_driver(&self) -> bool {
        !(self.struck && self.case.party == Party::Driver)
    }

    fn has_client(&self) -> bool {
        !(self.struck && self.case.party == Party::Client)
    }

    fn order(&self, order: u64) -> Outcome {
        let mut words = [0; WORDS];
        words[1] = order;
        let reply = self.driver_orders.call(Message { tag: Tag::words(ORDER), words }, soon())?;
        ensure(reply.words[0] == 0, "the driver does as ordered")
    }

    /// The party is struck. Then who has stopped goes on.
    fn strike(&mut self, driver_stopped: bool, client_stopped: bool) -> Outcome {
        ensure(!self.struck, "it is stopped once")?;
        // Whoever has stopped, stops nobody else.
        self.bystander.exchange(self.case.interface)?;
        self.struck = true;
        let mut go = driver::GO;
        match self.case.party {
            Party::Driver => {
                self.page.set(GONE, GOING);
                self.kill(&self.driver)?;
                self.page.set(GONE, KNOWN);
            }
            Party::Device => {
                // The server hears of it first.
                self.page.set(GONE, KNOWN);
                if driver_stopped {
                    go = driver::TEAR;
                } else {
                    self.order(driver::LOSE)?;
                }
            }
            Party::Client => self.kill(&self.client)?,
            Party::Waiter => {
                self.client_orders.signal(client::REPLACE)?;
                self.heard = until_replaced(&self.told)?;
                self.published = false;
            }
        }
        if client_stopped {
            self.client_go.signal(1)?;
        }
        if driver_stopped {
            self.driver_go.signal(go)?;
        }
        Ok(())
    }

    /// When this returns the kernel has closed all that it had, and the event server knows.
    fn kill(&self, child: &Child) -> Outcome {
        init::kill(child.pid, KILLED)?;
        let status = init::wait_until(child.pid, soon())?;
        ensure(status == ExitStatus::Exited(KILLED), "it was alive until then")?;
        // A shard answers after what it has heard before.
        Ok(books::each(|_| ())?)
    }

    /// Who lives has done all that was expected of it.
    fn end(&mut self) -> Outcome {
        if self.has_client() {
            self.client_orders.signal(client::END)?;
            ends_well(&self.client)?;
        }
        if self.has_driver() {
            // It ends when it has heard that nobody has a file of its any more.
            self.order(driver::END)?;
            ends_well(&self.driver)?;
        }
        self.bystander.exchange(self.case.interface)
    }
}
