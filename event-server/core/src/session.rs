//! What all shards know of a client: its memory and its threads' notifications. Read without a lock.

use abi::Handle;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use event_protocol::activation::BankLayout;
use event_protocol::badge::{ClientId, TicketId};
use event_protocol::park::MAX_WAITERS;
use event_protocol::shared::Region;

use crate::account::{Account, Charge};

/// A client's session.
#[derive(Debug)]
pub struct Session<M> {
    id: ClientId,
    account: Arc<Account>,
    memory: Arc<Region<M>>,
    /// Handle of each waiter's notification, 0 for none. Handles have generations, so a stale one signals nobody.
    notifications: [AtomicU64; MAX_WAITERS],
    ended: AtomicBool,
}

impl<M> Session<M> {
    pub(crate) fn new(id: ClientId, account: Arc<Account>, memory: Arc<Region<M>>) -> Session<M> {
        Session {
            id,
            account,
            memory,
            notifications: [const { AtomicU64::new(0) }; MAX_WAITERS],
            ended: AtomicBool::new(false),
        }
    }

    /// Whose it is.
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// What a driver is shown to know whose it is.
    pub fn ticket(&self) -> TicketId {
        TicketId::new(self.account.process().pid, self.id)
    }

    /// Its process's account.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Its memory: the waiters.
    pub fn memory(&self) -> &Arc<Region<M>> {
        &self.memory
    }

    /// A waiter's notification; none when it has not registered.
    #[inline]
    pub fn notification(&self, waiter: u32) -> Handle {
        self.notifications.get(waiter as usize).map_or(Handle::NONE, |h| Handle(h.load(Ordering::Acquire)))
    }

    /// Replaces a waiter's notification; the old one is the caller's to close. `None`: no such waiter.
    pub fn set_notification(&self, waiter: u32, notification: Handle) -> Option<Handle> {
        let slot = self.notifications.get(waiter as usize)?;
        Some(Handle(slot.swap(notification.0, Ordering::AcqRel)))
    }

    /// Whether it is over: nothing new may begin in it.
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }
}

/// A bank of a queue's memory, mapped once for all shards.
#[derive(Debug)]
pub struct Bank<M> {
    /// The memory.
    pub region: Arc<Region<M>>,
    /// How it is divided.
    pub layout: BankLayout,
    pub(crate) _charge: Charge,
}

/// A queue as all shards know it. Immutable: growing makes another one with the same banks and one more.
#[derive(Debug)]
pub struct QueueMemory<M> {
    /// Its banks, at least one.
    pub banks: heapless::Vec<Arc<Bank<M>>, { event_protocol::control::limits::MAX_BANKS }>,
}
