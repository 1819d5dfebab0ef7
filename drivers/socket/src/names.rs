//! Names that sockets are bound to. As in a directory, a name stays when its socket is closed, and refuses connections
//! until it is unlinked.

use crate::sockets::Id;
use abi::error::{EADDRINUSE, ENAMETOOLONG, ENOENT, ENOSPC, Error, Result};
use alloc::collections::BTreeMap;
use alloc::rc::Rc;

/// Names in all.
pub const MOST: usize = 1024;
/// Names that one client has made.
pub const MOST_OF_CLIENT: usize = MOST / 4;

struct Bound {
    socket: Option<Id>,
    payer: u64,
}

/// All names.
#[derive(Default)]
pub struct Names {
    names: BTreeMap<Rc<str>, Bound>,
    clients: BTreeMap<u64, usize>,
}

impl Names {
    /// Binds a socket to a name: EADDRINUSE, ENOENT (no text), ENAMETOOLONG, ENOSPC.
    pub fn bind(&mut self, name: &str, longest: usize, socket: Id, client: u64) -> Result<Rc<str>> {
        if name.is_empty() {
            return Err(Error::new(ENOENT));
        }
        if name.len() > longest {
            return Err(Error::new(ENAMETOOLONG));
        }
        if self.names.contains_key(name) {
            return Err(Error::new(EADDRINUSE));
        }
        let own = self.clients.get(&client).copied().unwrap_or(0);
        if self.names.len() >= MOST || own >= MOST_OF_CLIENT {
            return Err(Error::new(ENOSPC));
        }
        let name: Rc<str> = name.into();
        self.clients.insert(client, own + 1);
        self.names.insert(name.clone(), Bound { socket: Some(socket), payer: client });
        Ok(name)
    }

    /// The socket of a name, `None` when it is closed. ENOENT.
    pub fn find(&self, name: &str) -> Result<Option<Id>> {
        self.names.get(name).map(|bound| bound.socket).ok_or(Error::new(ENOENT))
    }

    /// The socket of a name is closed. Another one may have the name by now.
    pub fn closed(&mut self, name: &str, socket: Id) {
        if let Some(bound) = self.names.get_mut(name).filter(|bound| bound.socket == Some(socket)) {
            bound.socket = None;
        }
    }

    /// Removes a name. ENOENT.
    pub fn unlink(&mut self, name: &str) -> Result<()> {
        let bound = self.names.remove(name).ok_or(Error::new(ENOENT))?;
        if let Some(own) = self.clients.get_mut(&bound.payer) {
            *own -= 1;
            if *own == 0 {
                self.clients.remove(&bound.payer);
            }
        }
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_name_outlives_its_socket_until_it_is_unlinked() {
        let mut names = Names::default();
        names.bind("/a", 10, 1, 7).unwrap();
        names.closed("/a", 2);
        assert_eq!(names.find("/a"), Ok(Some(1)), "not that one's");
        names.closed("/a", 1);
        assert_eq!(names.find("/a"), Ok(None));
        assert_eq!(names.bind("/a", 10, 2, 7), Err(Error::new(EADDRINUSE)));
        names.unlink("/a").unwrap();
        assert_eq!(names.unlink("/a"), Err(Error::new(ENOENT)));
        names.bind("/a", 10, 2, 7).unwrap();
        names.closed("/a", 1);
        assert_eq!(names.find("/a"), Ok(Some(2)));
        assert_eq!(names.bind("/longer than it", 10, 2, 7), Err(Error::new(ENAMETOOLONG)));
    }

    #[test]
    fn r55_one_client_leaves_names_to_others() {
        let mut names = Names::default();
        let made = (0..).take_while(|n| names.bind(&format!("{n}"), 10, *n, 1).is_ok()).count();
        assert_eq!(made, MOST_OF_CLIENT);
        assert!(names.bind("mine", 10, 0, 2).is_ok());
        names.unlink("3").unwrap();
        assert!(names.bind("3", 10, 0, 1).is_ok());
    }
}
