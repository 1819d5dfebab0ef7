//! Pages of cells, each mapped while a source lives in it.

use super::mapped::Shared;
use abi::error::{EBADMSG, Error, Result};
use alloc::vec::Vec;
use event_protocol::cell::Cell;
use event_protocol::shared::Region;
use rt::sys::Memory;

struct Page {
    number: u64,
    region: Region<Shared>,
    sources: u32,
}

/// Where a source's cell is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    page: usize,
    cell: u32,
}

/// The mapped pages.
#[derive(Default)]
pub struct Cells {
    pages: Vec<Option<Page>>,
}

impl Cells {
    /// Makes a cell reachable: `memory` is the page of that number.
    pub fn add(&mut self, number: u64, memory: &Memory, cell: u32) -> Result<Place> {
        let known = |page: &Option<Page>| page.as_ref().is_some_and(|page| page.number == number);
        let at = match self.pages.iter().position(known) {
            Some(at) => at,
            None => {
                let page = Some(Page { number, region: Shared::map(memory)?, sources: 0 });
                match self.pages.iter().position(Option::is_none) {
                    Some(at) => {
                        self.pages[at] = page;
                        at
                    }
                    None => {
                        self.pages.push(page);
                        self.pages.len() - 1
                    }
                }
            }
        };
        let Some(page) = &mut self.pages[at] else { return Err(Error::new(EBADMSG)) };
        if page.region.cell(cell).is_err() {
            if page.sources == 0 {
                self.pages[at] = None;
            }
            return Err(Error::new(EBADMSG));
        }
        page.sources += 1;
        Ok(Place { page: at, cell })
    }

    /// The cell.
    #[inline]
    pub fn get(&self, place: Place) -> Option<&Cell> {
        self.pages.get(place.page)?.as_ref()?.region.cell(place.cell).ok()
    }

    /// The cell is not used any more; the last one of a page takes the mapping with it.
    pub fn remove(&mut self, place: Place) {
        let Some(slot) = self.pages.get_mut(place.page) else { return };
        if let Some(page) = slot {
            page.sources -= 1;
            if page.sources == 0 {
                *slot = None;
            }
        }
    }
}
