//! Which clients may have notes on which sources. What is asked of it costs what is affected, however many others there are.

use abi::error::{ENOMEM, Error, Result};
use hashbrown::HashMap;

use crate::arena::{Arena, NONE};
use crate::source::Links;

/// All adoptions of a shard.
#[derive(Debug, Default)]
pub struct Adoptions {
    adoptions: Arena<Adoption>,
    /// By (client, source).
    index: HashMap<(u32, u32), u32>,
    /// The first of each client and of each source.
    of_client: HashMap<u32, u32>,
    of_source: HashMap<u32, u32>,
}

#[derive(Debug)]
struct Adoption {
    client: u32,
    source: u32,
    client_list: Links,
    source_list: Links,
}

impl Adoptions {
    /// Adds one; one that is there already stays. ENOMEM.
    pub fn add(&mut self, client: u32, source: u32) -> Result<()> {
        if self.has(client, source) {
            return Ok(());
        }
        self.adoptions.reserve()?;
        for table in [&mut self.of_client, &mut self.of_source] {
            table.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        }
        self.index.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        let first = |table: &HashMap<u32, u32>, of| table.get(&of).copied().unwrap_or(NONE);
        let (after_client, after_source) = (first(&self.of_client, client), first(&self.of_source, source));
        let links = |next| Links { previous: NONE, next };
        let added = self.adoptions.insert(|_, _| Adoption {
            client,
            source,
            client_list: links(after_client),
            source_list: links(after_source),
        });
        if let Some(next) = self.adoptions.get_mut(after_client) {
            next.client_list.previous = added;
        }
        if let Some(next) = self.adoptions.get_mut(after_source) {
            next.source_list.previous = added;
        }
        self.of_client.insert(client, added);
        self.of_source.insert(source, added);
        self.index.insert((client, source), added);
        Ok(())
    }

    /// Whether there is one.
    pub fn has(&self, client: u32, source: u32) -> bool {
        self.index.contains_key(&(client, source))
    }

    /// Removes one, if there is.
    pub fn remove(&mut self, client: u32, source: u32) {
        let Some(index) = self.index.remove(&(client, source)) else { return };
        let Some(removed) = self.adoptions.remove(index) else { return };
        let Links { previous, next } = removed.client_list;
        if let Some(next) = self.adoptions.get_mut(next) {
            next.client_list.previous = previous;
        }
        match self.adoptions.get_mut(previous) {
            Some(previous) => previous.client_list.next = next,
            None => begin_with(&mut self.of_client, client, next),
        }
        let Links { previous, next } = removed.source_list;
        if let Some(next) = self.adoptions.get_mut(next) {
            next.source_list.previous = previous;
        }
        match self.adoptions.get_mut(previous) {
            Some(previous) => previous.source_list.next = next,
            None => begin_with(&mut self.of_source, source, next),
        }
    }

    /// Removes all of a client.
    pub fn remove_client(&mut self, client: u32) {
        while let Some(source) = self.first(&self.of_client, client).map(|adoption| adoption.source) {
            self.remove(client, source);
        }
    }

    /// Removes all of a source.
    pub fn remove_source(&mut self, source: u32) {
        while let Some(client) = self.first(&self.of_source, source).map(|adoption| adoption.client) {
            self.remove(client, source);
        }
    }

    fn first(&self, table: &HashMap<u32, u32>, of: u32) -> Option<&Adoption> {
        self.adoptions.get(*table.get(&of)?)
    }
}

fn begin_with(table: &mut HashMap<u32, u32>, of: u32, first: u32) {
    if first == NONE {
        table.remove(&of);
    } else if let Some(place) = table.get_mut(&of) {
        *place = first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_like_a_set_of_pairs(steps in prop::collection::vec((0..6u8, 0..5u32, 0..5u32), 0..200)) {
            let (mut adoptions, mut model) = (Adoptions::default(), BTreeSet::new());
            for (step, client, source) in steps {
                match step {
                    0..3 => { adoptions.add(client, source).unwrap(); model.insert((client, source)); }
                    3 => { adoptions.remove(client, source); model.remove(&(client, source)); }
                    4 => { adoptions.remove_client(client); model.retain(|pair| pair.0 != client); }
                    _ => { adoptions.remove_source(source); model.retain(|pair| pair.1 != source); }
                }
                for client in 0..5 {
                    for source in 0..5 {
                        prop_assert_eq!(adoptions.has(client, source), model.contains(&(client, source)));
                    }
                }
                let firsts = |of: fn(&(u32, u32)) -> u32| model.iter().map(of).collect::<BTreeSet<_>>().len();
                prop_assert_eq!(adoptions.adoptions.len(), model.len());
                prop_assert_eq!(adoptions.of_client.len(), firsts(|pair| pair.0));
                prop_assert_eq!(adoptions.of_source.len(), firsts(|pair| pair.1));
            }
        }
    }
}
