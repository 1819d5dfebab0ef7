//! Pages of cells: each of one driver for one client, or of one shared source.

use abi::Handle;
use alloc::sync::Arc;
use event_protocol::badge::ClientId;
use event_protocol::cell::CELLS_PER_PAGE;
use event_protocol::shared::Region;

use crate::account::Charge;

/// A page.
#[derive(Debug)]
pub struct Page<M> {
    /// Its number among the pages of all shards.
    pub number: u64,
    /// Mapped here.
    pub region: Arc<Region<M>>,
    /// The memory object.
    pub handle: Handle,
    /// Whose cells it holds.
    pub owners: Owners,
    /// A bit per cell in use.
    used: u64,
    _charge: Charge,
}

/// Which driver and client may see a page. A shared source's page has no client, and takes no second cell.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Owners {
    /// Slot of the driver.
    pub driver: u32,
    /// Generation of the driver's session.
    pub generation: u32,
    /// The client; none for a shared source.
    pub client: Option<ClientId>,
    /// Whether it is for durable sources: a later driver of the lineage may see it, and only what it may go on with is there.
    pub durable: bool,
}

const _: () = assert!(CELLS_PER_PAGE == 64);

impl<M> Page<M> {
    /// A page of free cells, paid for.
    pub fn new(
        number: u64,
        region: Arc<Region<M>>,
        handle: Handle,
        owners: Owners,
        charge: Charge,
    ) -> Page<M> {
        Page { number, region, handle, owners, used: 0, _charge: charge }
    }

    /// Takes a free cell.
    pub fn take(&mut self) -> Option<u32> {
        let full = match self.owners.client {
            Some(_) => self.used == u64::MAX,
            None => self.used != 0,
        };
        if full {
            return None;
        }
        let cell = self.used.trailing_ones();
        self.used |= 1 << cell;
        Some(cell)
    }

    /// Gives a cell back; true when the page is empty now.
    pub fn give_back(&mut self, cell: u32) -> bool {
        self.used &= !(1 << (cell & 63));
        self.used == 0
    }
}
