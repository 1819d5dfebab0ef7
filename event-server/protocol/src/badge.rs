//! Badges of handles to the server's endpoints: the only identities that the server trusts.
//!
//! `kind << 61 | shard << 54 | generation << 24 | index`. Kind 0 is the lobby, as init badges it: with who calls. A ticket is
//! `kind << 61 | process << 29 | generation << 10 | index`, so that whoever is shown it can tell the process.

use crate::control::limits::MAX_CLIENTS;
use init_protocol::caller::Caller;

/// Whose handle a badge is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Badge {
    /// A process: the handle that init gives out, and those of other shards that come from there.
    Lobby(Caller),
    /// A client's session.
    Client(ClientId),
    /// Who a client is, and nothing more: what it gives to drivers.
    Ticket(TicketId),
    /// A driver's session.
    Driver(DriverId),
    /// The right to be told about a source (a *watch handle*).
    Source(SourceId),
    /// The right to go on with what a driver left.
    Lineage(LineageId),
}

/// Highest index in a badge.
pub const INDEX_MAX: u32 = (1 << 24) - 1;
/// Highest generation in a badge; generations start at 1 and skip 0 when they wrap.
pub const GENERATION_MAX: u32 = (1 << 30) - 1;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        #[repr(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// Builds it; values beyond their fields are cut.
            pub const fn new(shard: u32, index: u32, generation: u32) -> $name {
                $name(
                    $kind << 61
                        | (shard as u64 & 0x7f) << 54
                        | (generation as u64 & GENERATION_MAX as u64) << 24
                        | (index & INDEX_MAX) as u64,
                )
            }

            /// The shard that made it.
            #[inline]
            pub const fn shard(self) -> u32 {
                (self.0 >> 54) as u32 & 0x7f
            }

            /// Slot in the shard's table.
            #[inline]
            pub const fn index(self) -> usize {
                (self.0 as u32 & INDEX_MAX) as usize
            }

            /// Generation of the slot.
            #[inline]
            pub const fn generation(self) -> u32 {
                (self.0 >> 24) as u32 & GENERATION_MAX
            }

            /// Whether the word is of this kind. Ids arrive in messages and rings as plain words.
            #[inline]
            pub const fn is_well_formed(self) -> bool {
                self.0 >> 61 == $kind
            }
        }
    };
}

id! {
    /// A client's session; the same on every shard.
    ClientId, 1
}
id! {
    /// A driver's session with one shard.
    DriverId, 2
}
id! {
    /// A source; its shard is its home.
    SourceId, 3
}

id! {
    /// The drivers that follow one another in one place, of which one is alive at most; its shard is theirs.
    LineageId, 5
}

/// A client's ticket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct TicketId(pub u64);

const TICKET: u64 = 4;
const TICKET_INDEX: u32 = 10;
const TICKET_GENERATION: u32 = 19;
const _: () = assert!(MAX_CLIENTS <= 1 << TICKET_INDEX && TICKET_INDEX + TICKET_GENERATION + 32 == 61);

impl TicketId {
    /// That of a client of a process. Of its generation it has the last bits: two that are equal are the same process's.
    pub const fn new(process: u32, client: ClientId) -> TicketId {
        let generation = client.generation() as u64 & ((1 << TICKET_GENERATION) - 1);
        let index = client.index() as u64 & ((1 << TICKET_INDEX) - 1);
        TicketId(
            TICKET << 61
                | (process as u64) << (TICKET_INDEX + TICKET_GENERATION)
                | generation << TICKET_INDEX
                | index,
        )
    }

    /// The process, all of whose tickets are one client's for who shares something out.
    pub const fn process(self) -> u32 {
        (self.0 >> (TICKET_INDEX + TICKET_GENERATION)) as u32
    }

    /// Index of the client.
    pub const fn index(self) -> u32 {
        self.0 as u32 & ((1 << TICKET_INDEX) - 1)
    }
}

impl Badge {
    /// What a badge says. Every word is one.
    #[inline]
    pub const fn decode(badge: u64) -> Badge {
        match badge >> 61 {
            1 => Badge::Client(ClientId(badge)),
            2 => Badge::Driver(DriverId(badge)),
            3 => Badge::Source(SourceId(badge)),
            5 => Badge::Lineage(LineageId(badge)),
            TICKET => Badge::Ticket(TicketId(badge)),
            _ => Badge::Lobby(Caller::of(badge)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use init_protocol::caller::PID_MAX;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_come_back(shard in 0u32..128, index in 0..=INDEX_MAX, generation in 0..=GENERATION_MAX) {
            let id = SourceId::new(shard, index, generation);
            prop_assert_eq!((id.shard(), id.index(), id.generation()), (shard, index as usize, generation));
            prop_assert_eq!(Badge::decode(id.0), Badge::Source(id));
        }

        #[test]
        fn a_ticket_says_whose_it_is(process: u32, index in 0..MAX_CLIENTS, generation in 0..=GENERATION_MAX) {
            let ticket = TicketId::new(process, ClientId::new(0, index, generation));
            prop_assert_eq!((ticket.process(), ticket.index()), (process, index));
            prop_assert_eq!(Badge::decode(ticket.0), Badge::Ticket(ticket));
            prop_assert_ne!(ticket, TicketId::new(process, ClientId::new(0, index, generation ^ 1)));
        }

        #[test]
        fn the_lobby_says_who_calls(pid in 1..=PID_MAX, provider: bool) {
            let caller = Caller { pid, provider };
            prop_assert_eq!(Badge::decode(caller.badge()), Badge::Lobby(caller));
        }
    }
}
