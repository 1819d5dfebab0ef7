//! Badges of handles to the server's endpoints: the only identities that the server trusts.
//!
//! `kind << 61 | shard << 54 | generation << 24 | index`. Kind 0 is the unbadged handle: the lobby.

/// Whose handle a badge is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Badge {
    /// Anybody: the handle that init gives out.
    Lobby,
    /// A client's session.
    Client(ClientId),
    /// Who a client is, and nothing more: what it gives to drivers.
    Ticket(TicketId),
    /// A driver's session.
    Driver(DriverId),
    /// The right to be told about a source (a *watch handle*).
    Source(SourceId),
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
    /// A client's ticket.
    TicketId, 4
}

impl ClientId {
    /// Its ticket.
    pub const fn ticket(self) -> TicketId {
        TicketId::new(self.shard(), self.index() as u32, self.generation())
    }
}

impl TicketId {
    /// Whose it is.
    pub const fn client(self) -> ClientId {
        ClientId::new(self.shard(), self.index() as u32, self.generation())
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
            4 => Badge::Ticket(TicketId(badge)),
            _ => Badge::Lobby,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_come_back(shard in 0u32..128, index in 0..=INDEX_MAX, generation in 0..=GENERATION_MAX) {
            let id = SourceId::new(shard, index, generation);
            prop_assert_eq!((id.shard(), id.index(), id.generation()), (shard, index as usize, generation));
            prop_assert_eq!(Badge::decode(id.0), Badge::Source(id));
            let client = ClientId::new(shard, index, generation);
            prop_assert_eq!(Badge::decode(client.ticket().0), Badge::Ticket(client.ticket()));
            prop_assert_eq!(client.ticket().client(), client);
        }
    }
}
