//! Pages of cells, each mapped while a source lives in it.

use super::mapped::Shared;
use abi::error::Result;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use event_protocol::cell::Cell;
use event_protocol::shared::{Kept, Region};
use rt::sys::Memory;

/// A source's cell; the last one of a page takes the mapping with it.
pub type OwnCell = Kept<Shared, Cell>;

/// The mapped pages by their numbers.
#[derive(Default)]
pub struct Cells {
    pages: BTreeMap<u64, Weak<Region<Shared>>>,
}

impl Cells {
    /// The cell of a new source: `memory` is the page of that number.
    pub fn open(&mut self, number: u64, memory: &Memory, cell: u32) -> Result<OwnCell> {
        let page = match self.pages.get(&number).and_then(Weak::upgrade) {
            Some(page) => page,
            None => {
                self.pages.retain(|_, page| page.strong_count() > 0);
                let page = Arc::new(Shared::map(memory)?);
                self.pages.insert(number, Arc::downgrade(&page));
                page
            }
        };
        Ok(page.keep_cell(cell)?)
    }
}
