//! Pages between the files and the device: which are missing, which came, which are lost.

use super::{Block, SAFE};
use crate::cache::PAGE;
use crate::disk::Outcome;
use abi::error::{EIO, Error, Result};
use alloc::collections::BTreeSet;
use driver_sdk::{Context, Direction, FileId, Registers, SharedMemory};
use virtio::Fault;

/// Pages of which it is kept that they could not be read.
const FAILURES: usize = 64;

impl<R: Registers, M: SharedMemory> Block<R, M> {
    /// Issues what waits for the device.
    pub(super) fn issue(&mut self) {
        self.disk.issue();
        self.counters.most_in_flight = self.counters.most_in_flight.max(self.disk.in_flight());
    }

    /// Whether all pages of a range are there. Those that are not come, and the first of them is given.
    pub(super) fn missing(&mut self, first: u64, last: u64) -> Option<u64> {
        let mut missing = None;
        for page in first..=last {
            if self.disk.cache().find(page).is_none() {
                missing = missing.or(Some(page));
                if !self.disk.cache().fetch(page) {
                    self.starved.insert(page);
                }
            }
        }
        self.issue();
        missing
    }

    /// Goes through the pages of a range: page, offset in it, and the range in the buffer.
    pub(super) fn parts(
        at: u64,
        count: usize,
    ) -> impl Iterator<Item = (u64, usize, core::ops::Range<usize>)> {
        let mut done = 0;
        core::iter::from_fn(move || {
            if done == count {
                return None;
            }
            let place = at + done as u64;
            let (page, offset) = (place / PAGE as u64, (place % PAGE as u64) as usize);
            let length = (PAGE - offset).min(count - done);
            let range = done..done + length;
            done += length;
            Some((page, offset, range))
        })
    }

    /// Takes what the device is done with; tells who waited.
    pub(super) fn collect(&mut self, context: &mut Context<'_>) -> core::result::Result<(), Fault> {
        self.disk.interrupted()?;
        let mut done = BTreeSet::new();
        let mut any = false;
        while let Some(outcome) = self.disk.take()? {
            any = true;
            match outcome {
                Outcome::Page { page, is_write, succeeded } => {
                    done.insert(page);
                    self.counters.failures += u64::from(!succeeded);
                    match (is_write, succeeded) {
                        (true, false) => self.lose(),
                        (false, false) if self.failed.len() < FAILURES => _ = self.failed.insert(page),
                        _ => {}
                    }
                }
                Outcome::Safe(true) => {}
                Outcome::Safe(false) => self.lose(),
            }
        }
        if !any {
            return Ok(());
        }
        // Those for whom there was no slot come last: what has just arrived is read before its slot is theirs.
        for page in core::mem::take(&mut self.starved) {
            wake_page(context, page);
        }
        context.wake(Direction::Read, SAFE);
        for &page in &done {
            wake_page(context, page);
        }
        for file in self.files.keys().copied().collect::<alloc::vec::Vec<_>>() {
            if let Some(open) = self.files.get_mut(&file)
                && open.awaits.take_if(|page| done.contains(page)).is_some()
            {
                self.publish_read(context, file, true);
            }
        }
        self.publish_room(context, true);
        self.issue();
        Ok(())
    }

    pub(super) fn lose(&mut self) {
        self.lost = self.files.is_empty();
        self.files.values_mut().for_each(|open| open.lost = true);
    }

    /// EIO, once for each open file, when something could not be written.
    pub(super) fn tell_lost(&mut self, file: FileId) -> Result<()> {
        match self.files.get_mut(&file).map(|open| core::mem::take(&mut open.lost)) {
            Some(true) => Err(Error::new(EIO)),
            _ => Ok(()),
        }
    }
}

/// A transfer that begins on the page before may need this one too.
fn wake_page(context: &mut Context<'_>, page: u64) {
    for direction in [Direction::Write, Direction::Read] {
        if let Some(before) = page.checked_sub(1) {
            context.wake(direction, before);
        }
        context.wake(direction, page);
    }
}
