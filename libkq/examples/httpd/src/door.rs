//! How many connections a queue has, and whether it listens for more: both of all threads that share it, so under one lock.

/// The place at the door.
#[derive(Debug)]
pub struct Door {
    open: usize,
    most: usize,
    /// Nobody waits here for another connection.
    pub is_shut: bool,
}

impl Door {
    /// With room for so many connections.
    pub const fn new(most: usize) -> Door {
        Door { open: 0, most, is_shut: false }
    }

    /// Takes room for a connection, if there is some.
    pub fn enter(&mut self) -> bool {
        let has_room = self.has_room();
        self.open += usize::from(has_room);
        has_room
    }

    /// Gives the room of so many back.
    pub fn leave(&mut self, connections: usize) {
        self.open = self.open.saturating_sub(connections);
    }

    /// Whether there is room for another one.
    pub const fn has_room(&self) -> bool {
        self.open < self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_makes_room() {
        let mut door = Door::new(2);
        assert!(door.enter() && door.enter());
        assert!(!door.enter() && !door.has_room());
        door.leave(1);
        assert!(door.has_room() && door.enter() && !door.enter());
        door.leave(2);
        assert!(door.enter() && door.enter() && !door.enter());
    }
}
