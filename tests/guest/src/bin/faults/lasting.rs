//! One case of a durable file: its client sleeps when its driver is killed, and goes on with the next one. The party is struck at the
//! step of the case, on the way there or back.

use alloc::vec;

use abi::error::{EPIPE, Result};
use abi::message::{MAX_HANDLES, WORDS};
use abi::{Message, Tag};
use guest_tests::child::ends_well;
use guest_tests::crew::until;
use guest_tests::failure::ensure;
use guest_tests::shared::Shared;
use guest_tests::{Failure, Outcome, a_moment, books, operator, soon};
use init_protocol::status::ExitStatus;
use rt::init::{self, Child};
use rt::ipc::{Transfer, call, set_accept};
use rt::sys::{Endpoint, Notification};

use crate::bystander::Bystander;
use crate::case::{CLIENT_ENDED, KILLED, start_client, until_replaced};
use crate::client::{self, ASLEEP, ASLEEP_AGAIN, DONE, GONE, KNOWN};
use crate::driver::{self, BRIEF, ORDER, SERVICE};
use crate::step::{Case, Party, STEPS, Step};
use crate::stopping;

struct Stage<'a> {
    case: Case,
    bystander: &'a mut Bystander,
    told: Notification,
    client: Child,
    client_go: Notification,
    driver_go: Notification,
    client_orders: Notification,
    orders: Endpoint,
    page: Shared,
    shard: u32,
    /// The first driver has been killed.
    left: bool,
    struck: bool,
    /// What was heard already.
    heard: u64,
}

/// Plays one, with the first driver at home in a shard.
pub fn play(case: Case, shard: u32, cpus: u64, bystander: &mut Bystander) -> Outcome {
    let [told, client_go, driver_go, client_orders] =
        [Notification::create()?, Notification::create()?, Notification::create()?, Notification::create()?];
    let page = Shared::create()?;
    let first = (!case.step.is_inherited()).then_some(case.step);
    let (orders, service) = brief(first, shard, false, &told, &driver_go)?;
    let client = start_client(case, cpus, [&told, &client_go, &client_orders], service, &page)?;
    told.watch_exit(&client.process, CLIENT_ENDED)?;
    let mut stage = Stage {
        case,
        bystander,
        told,
        client,
        client_go,
        driver_go,
        client_orders,
        orders,
        page,
        shard,
        left: false,
        struck: false,
        heard: 0,
    };
    let played = stage.play();
    if played.is_err() {
        // The next case begins with neither.
        let _ = init::kill(stage.client.pid, KILLED);
        let _ = init::wait_until(stage.client.pid, soon());
        let _ = operator::kill(SERVICE);
    }
    played
}

/// Tells the driver that there is, or will be in a moment, of the case, with where it stops and whether it has no device. Returns how it
/// is ordered, and how it is asked.
fn brief(
    step: Option<Step>,
    shard: u32,
    lost: bool,
    told: &Notification,
    go: &Notification,
) -> Outcome<(Endpoint, Endpoint)> {
    let deadline = soon();
    let words = [0, step.map_or(STEPS.len(), Step::number) as u64, shard.into(), lost.into()];
    let ask = || -> Result<(Endpoint, Endpoint)> {
        set_accept(MAX_HANDLES as u32);
        let send = vec![Transfer::copy(told), Transfer::copy(go)];
        let service = init::connect_until(SERVICE, deadline)?;
        let (_, mut handles) = call(&service, BRIEF, words, 0, send, deadline)?;
        Ok((handles.object(0)?, handles.object(1)?))
    };
    loop {
        match ask() {
            // init has not heard of its end yet.
            Err(error) if error.errno == EPIPE && rt::clock::now_ns() < deadline => a_moment(),
            done => return Ok(done?),
        }
    }
}

/// The driver that there is.
fn present() -> Outcome<u32> {
    Ok(operator::find(SERVICE)?.ok_or(Failure::new("a driver"))?.pid)
}

/// Waits until there is another one, which can be reached.
fn until_next(before: u32) -> Outcome {
    until(|| operator::find(SERVICE).is_ok_and(|now| now.is_some_and(|now| now.pid != before)))?;
    Ok(init::connect_until(SERVICE, soon()).map(drop)?)
}

impl Stage<'_> {
    fn play(&mut self) -> Outcome {
        loop {
            let heard = match core::mem::take(&mut self.heard) {
                0 => self.told.wait(soon())?,
                heard => heard,
            };
            if heard & (stopping::STOPPED | driver::STOPPED) != 0 {
                self.strike(heard & driver::STOPPED != 0, heard & stopping::STOPPED != 0)?;
            }
            if self.is_over(heard)? {
                return self.end();
            }
            if heard & (ASLEEP | ASLEEP_AGAIN) != 0 && !self.left {
                self.leave()?;
                if self.is_over(0)? {
                    return self.end();
                }
            }
        }
    }

    fn is_over(&self, heard: u64) -> Outcome<bool> {
        let over = self.struck && (self.case.party == Party::Client || heard & DONE != 0);
        ensure(over || heard & (CLIENT_ENDED | DONE) == 0, "the client goes on until it is struck")?;
        Ok(over)
    }

    /// The client sleeps: its driver dies, and the next one comes.
    fn leave(&mut self) -> Outcome {
        self.left = true;
        self.kill_driver()?;
        let at_once = self.case.step == Step::Left && !self.struck;
        if at_once {
            self.strike(false, false)?;
        }
        let lost = at_once && self.case.party == Party::Device;
        let step = Some(self.case.step).filter(|step| !self.struck && step.is_inherited());
        self.next(step, lost)
    }

    /// The driver that init has started meanwhile.
    fn next(&mut self, step: Option<Step>, lost: bool) -> Outcome {
        let (orders, _) = brief(step, self.shard, lost, &self.told, &self.driver_go)?;
        self.orders = orders;
        Ok(())
    }

    fn order(&self, order: u64) -> Outcome {
        let mut words = [0; WORDS];
        words[1] = order;
        let reply = self.orders.call(Message { tag: Tag::words(ORDER), words }, soon())?;
        ensure(reply.words[0] == 0, "the driver does as ordered")
    }

    /// When this returns the kernel has closed all that it had, the event server knows, and init has started another.
    fn kill_driver(&self) -> Outcome {
        let before = present()?;
        init::kill(before, KILLED)?;
        until_next(before)?;
        Ok(books::each(|_| ())?)
    }

    /// The party is struck. Then who has stopped goes on.
    fn strike(&mut self, driver_stopped: bool, client_stopped: bool) -> Outcome {
        ensure(!self.struck, "it is stopped once")?;
        self.bystander.exchange(self.case.interface)?;
        self.struck = true;
        let mut go = driver_stopped.then_some(driver::GO);
        match self.case.party {
            Party::Driver => {
                go = None;
                if !self.case.step.is_inherited() {
                    // Nobody has a file yet: the open fails as any other's.
                    self.page.set(GONE, KNOWN);
                }
                self.kill_driver()?;
                self.next(None, false)?;
            }
            Party::Device => {
                self.page.set(GONE, KNOWN);
                match self.case.step {
                    // Who comes has none.
                    Step::Left => {}
                    _ if driver_stopped => go = Some(driver::TEAR),
                    _ => self.order(driver::LOSE)?,
                }
            }
            Party::Client => {
                init::kill(self.client.pid, KILLED)?;
                let status = init::wait_until(self.client.pid, soon())?;
                ensure(status == ExitStatus::Exited(KILLED), "it was alive until then")?;
                books::each(|_| ())?;
            }
            Party::Waiter => {
                self.client_orders.signal(client::REPLACE)?;
                self.heard = until_replaced(&self.told)?;
            }
        }
        if client_stopped {
            self.client_go.signal(1)?;
        }
        if let Some(go) = go {
            self.driver_go.signal(go)?;
        }
        Ok(())
    }

    /// Who lives has done all that was expected of it.
    fn end(&mut self) -> Outcome {
        if self.case.party != Party::Client {
            self.client_orders.signal(client::END)?;
            ends_well(&self.client)?;
        }
        // It answers when it has heard that nobody has a file of its any more.
        let before = present()?;
        self.order(driver::END)?;
        until_next(before)?;
        self.bystander.exchange(self.case.interface)
    }
}
