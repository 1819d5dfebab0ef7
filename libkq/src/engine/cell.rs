//! Where a source's cell is.

use alloc::sync::Arc;

use event_protocol::cell::Cell;
use event_protocol::fault::Fault;
use event_protocol::shared::{Mapped, Region};

/// A cell in a page that stays mapped while somebody looks at one of its cells.
#[derive(Debug)]
pub struct CellRef<M> {
    page: Arc<Region<M>>,
    index: u32,
}

impl<M: Mapped> CellRef<M> {
    /// Cell number `index` of the page; a fault when the page has no such cell.
    pub fn new(page: Arc<Region<M>>, index: u32) -> Result<CellRef<M>, Fault> {
        page.cell(index)?;
        Ok(CellRef { page, index })
    }

    /// The cell. `None` never happens: the index was checked against a mapping that does not change.
    #[inline]
    pub fn get(&self) -> Option<&Cell> {
        self.page.cell(self.index).ok()
    }
}

impl<M> Clone for CellRef<M> {
    fn clone(&self) -> Self {
        CellRef { page: self.page.clone(), index: self.index }
    }
}
