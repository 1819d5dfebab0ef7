//! The numbers of open descriptors: lowest free number first, with generations.

use alloc::vec::Vec;

use abi::error::{EBADF, EBUSY, EMFILE, ENOMEM, Error, Result};

/// Descriptor numbers of one process, each standing for a `T`.
///
/// Closing has two halves, so that the notes on a number can be removed while it is neither usable nor free (R31):
/// between [`begin_close`](Table::begin_close) and [`finish_close`](Table::finish_close) it is `EBADF` to everybody.
#[derive(Debug)]
pub struct Table<T> {
    numbers: Vec<Number<T>>,
    /// No number below is free.
    lowest: usize,
    limit: usize,
    open: usize,
}

#[derive(Debug)]
struct Number<T> {
    generation: u32,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Free,
    /// Free, and for `insert_at` alone.
    Reserved,
    Open(T),
    Closing,
}

impl<T> Table<T> {
    /// A table of at most `limit` numbers.
    pub const fn new(limit: usize) -> Table<T> {
        Table { numbers: Vec::new(), lowest: 0, limit, open: 0 }
    }

    /// Gives `item` the lowest free number. `EMFILE` at the limit, `ENOMEM` where there is no memory for it (R55).
    pub fn insert(&mut self, item: T) -> Result<i32> {
        let taken = self.numbers[self.lowest..]
            .iter()
            .position(|number| matches!(number.state, State::Free))
            .unwrap_or(self.numbers.len() - self.lowest);
        let index = self.lowest + taken;
        self.grow_to(index)?;
        self.put(index, item);
        self.lowest = index + 1;
        Ok(index as i32)
    }

    /// Gives `item` this very number, as `dup2` does, which must not be open. `EBADF` out of range; `EBUSY` while another
    /// thread is closing it.
    pub fn insert_at(&mut self, fd: i32, item: T) -> Result<()> {
        let index = usize::try_from(fd).map_err(|_| Error::new(EBADF))?;
        let beyond = |error: Error| if error.errno == EMFILE { Error::new(EBADF) } else { error };
        self.grow_to(index).map_err(beyond)?;
        if !matches!(self.numbers[index].state, State::Free | State::Reserved) {
            return Err(Error::new(EBUSY));
        }
        self.put(index, item);
        Ok(())
    }

    /// Keeps a number that is free from [`insert`](Table::insert), until it has been open once.
    pub fn reserve(&mut self, fd: i32) -> Result<()> {
        let index = usize::try_from(fd).map_err(|_| Error::new(EBADF))?;
        self.grow_to(index)?;
        let state = &mut self.numbers[index].state;
        if matches!(state, State::Free) {
            *state = State::Reserved;
        }
        Ok(())
    }

    /// What `fd` stands for.
    pub fn get(&self, fd: i32) -> Result<&T> {
        // A negative number becomes one that is beyond any table.
        match self.numbers.get(fd as u32 as usize) {
            Some(Number { state: State::Open(item), .. }) => Ok(item),
            _ => Err(Error::new(EBADF)),
        }
    }

    /// All numbers that are open, and what they stand for.
    pub fn items(&self) -> impl Iterator<Item = (i32, &T)> {
        let numbers = self.numbers.iter().enumerate();
        numbers.filter_map(|(fd, number)| match &number.state {
            State::Open(item) => Some((fd as i32, item)),
            _ => None,
        })
    }

    /// How often the number has been given out, if it is open now. Tells a number from the same number used again.
    pub fn generation(&self, fd: i32) -> Result<u32> {
        self.get(fd)?;
        Ok(self.numbers[fd as usize].generation)
    }

    /// Makes the number unusable and not yet free.
    pub fn begin_close(&mut self, fd: i32) -> Result<T> {
        self.get(fd)?;
        let state = &mut self.numbers[fd as usize].state;
        let State::Open(item) = core::mem::replace(state, State::Closing) else {
            return Err(Error::new(EBADF));
        };
        self.open -= 1;
        Ok(item)
    }

    /// Makes a number free that [`begin_close`](Table::begin_close) took.
    pub fn finish_close(&mut self, fd: i32) {
        let number = &mut self.numbers[fd as usize];
        if matches!(number.state, State::Closing) {
            number.state = State::Free;
            self.lowest = self.lowest.min(fd as usize);
        }
    }

    /// Gives `item` a number that [`begin_close`](Table::begin_close) took, before anybody else can have it (`dup2`).
    pub fn replace_closing(&mut self, fd: i32, item: T) {
        if matches!(self.numbers[fd as usize].state, State::Closing) {
            self.put(fd as usize, item);
        }
    }

    /// Numbers that are open.
    pub fn open(&self) -> usize {
        self.open
    }

    fn grow_to(&mut self, index: usize) -> Result<()> {
        if index >= self.limit {
            return Err(Error::new(EMFILE));
        }
        let more = (index + 1).saturating_sub(self.numbers.len());
        self.numbers.try_reserve(more).map_err(|_| Error::new(ENOMEM))?;
        while self.numbers.len() <= index {
            self.numbers.push(Number { generation: 0, state: State::Free });
        }
        Ok(())
    }

    fn put(&mut self, index: usize, item: T) {
        let number = &mut self.numbers[index];
        number.generation = number.generation.wrapping_add(1);
        number.state = State::Open(item);
        self.open += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Insert,
        InsertAt(i32),
        BeginClose(i32),
        FinishClose(i32),
        Replace(i32),
    }

    const LIMIT: i32 = 6;

    fn step() -> impl Strategy<Value = Step> {
        let fd = -1..LIMIT + 2;
        prop_oneof![
            3 => Just(Step::Insert),
            1 => fd.clone().prop_map(Step::InsertAt),
            2 => fd.clone().prop_map(Step::BeginClose),
            2 => (0..LIMIT).prop_map(Step::FinishClose),
            1 => (0..LIMIT).prop_map(Step::Replace),
        ]
    }

    proptest! {
        #[test]
        fn r31_a_number_is_reused_only_after_its_close_is_finished(steps in prop::collection::vec(step(), 0..60)) {
            let mut table = Table::new(LIMIT as usize);
            // None: being closed.
            let mut model: BTreeMap<i32, Option<u32>> = BTreeMap::new();
            let mut next = 0;
            for step in steps {
                next += 1;
                match step {
                    Step::Insert => {
                        let lowest = (0..LIMIT).find(|fd| !model.contains_key(fd));
                        let got = table.insert(next);
                        prop_assert_eq!(got, lowest.ok_or(Error::new(EMFILE)));
                        if let Some(fd) = lowest { model.insert(fd, Some(next)); }
                    }
                    Step::InsertAt(fd) => {
                        let got = table.insert_at(fd, next);
                        if !(0..LIMIT).contains(&fd) {
                            prop_assert_eq!(got, Err(Error::new(EBADF)));
                        } else {
                            let taken = model.contains_key(&fd);
                            prop_assert_eq!(got, if taken { Err(Error::new(EBUSY)) } else { Ok(()) });
                            model.entry(fd).or_insert(Some(next));
                        }
                    }
                    Step::BeginClose(fd) => match model.get_mut(&fd) {
                        Some(entry @ Some(_)) => {
                            prop_assert_eq!(table.begin_close(fd).ok(), *entry);
                            *entry = None;
                        }
                        _ => prop_assert_eq!(table.begin_close(fd), Err(Error::new(EBADF))),
                    },
                    Step::FinishClose(fd) => if let Some(None) = model.get(&fd) {
                        table.finish_close(fd);
                        model.remove(&fd);
                    },
                    Step::Replace(fd) => if let Some(entry @ None) = model.get_mut(&fd) {
                        table.replace_closing(fd, next);
                        *entry = Some(next);
                    },
                }
                for fd in -1..LIMIT + 2 {
                    prop_assert_eq!(table.get(fd).ok().copied(), model.get(&fd).copied().flatten());
                }
                prop_assert_eq!(table.open(), model.values().flatten().count());
            }
        }
    }

    #[test]
    fn a_reserved_number_is_given_to_who_asks_for_it() {
        let mut table = Table::new(4);
        assert_eq!(table.insert("first"), Ok(0));
        (0..2).for_each(|fd| table.reserve(fd).unwrap());
        assert_eq!(table.get(0), Ok(&"first"), "it was not free");
        assert_eq!((table.insert("second"), table.get(1)), (Ok(2), Err(Error::new(EBADF))));
        assert_eq!(table.begin_close(1), Err(Error::new(EBADF)));
        assert_eq!(table.insert_at(1, "third"), Ok(()));
        table.begin_close(1).unwrap();
        table.finish_close(1);
        assert_eq!(table.insert("fourth"), Ok(1), "as any other now");
        assert_eq!((table.reserve(4), table.reserve(-1)), (Err(Error::new(EMFILE)), Err(Error::new(EBADF))));
    }

    #[test]
    fn a_number_used_again_has_another_generation() {
        let mut table = Table::new(4);
        let fd = table.insert("first").unwrap();
        let first = table.generation(fd).unwrap();
        table.begin_close(fd).unwrap();
        table.finish_close(fd);
        assert!(table.generation(fd).is_err());
        assert_eq!(table.insert("second"), Ok(fd));
        assert_ne!(table.generation(fd), Ok(first));
    }
}
