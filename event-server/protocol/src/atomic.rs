//! The atomics that every hand-off is written with: the machine's, or loom's when the hand-offs are model-checked.

#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(loom)]
pub use loom::sync::atomic::{Ordering, fence};
#[cfg(loom)]
pub use mortal::{AtomicU32, AtomicU64, live};

/// Loom's, of threads that may die: what a dead one stores is not stored.
#[cfg(loom)]
#[allow(missing_docs)]
mod mortal {
    use super::Ordering;
    use core::cell::Cell;

    loom::thread_local! {
        /// Stores that the thread has still to live for, if it dies.
        static LEFT: Cell<Option<usize>> = Cell::new(None);
    }

    /// Does something in which the thread dies after so many stores. What it does after that concerns nobody.
    pub fn live<T>(stores: usize, act: impl FnOnce() -> T) -> T {
        LEFT.with(|left| left.set(Some(stores)));
        let done = act();
        LEFT.with(|left| left.set(None));
        done
    }

    fn is_alive() -> bool {
        LEFT.with(|left| match left.get() {
            None => true,
            Some(0) => false,
            Some(stores) => {
                left.set(Some(stores - 1));
                true
            }
        })
    }

    macro_rules! mortal {
        ($name:ident, $word:ty) => {
            /// The atomic word of loom, which the dead do not change.
            #[derive(Debug, Default)]
            pub struct $name(loom::sync::atomic::$name);

            impl $name {
                pub fn new(value: $word) -> $name {
                    $name(loom::sync::atomic::$name::new(value))
                }

                pub fn load(&self, order: Ordering) -> $word {
                    self.0.load(order)
                }

                pub fn store(&self, value: $word, order: Ordering) {
                    if is_alive() {
                        self.0.store(value, order);
                    }
                }

                pub fn swap(&self, value: $word, order: Ordering) -> $word {
                    if is_alive() { self.0.swap(value, order) } else { self.0.load(Ordering::Acquire) }
                }

                pub fn fetch_or(&self, bits: $word, order: Ordering) -> $word {
                    if is_alive() { self.0.fetch_or(bits, order) } else { self.0.load(Ordering::Acquire) }
                }

                pub fn fetch_and(&self, bits: $word, order: Ordering) -> $word {
                    if is_alive() { self.0.fetch_and(bits, order) } else { self.0.load(Ordering::Acquire) }
                }

                pub fn fetch_add(&self, value: $word, order: Ordering) -> $word {
                    if is_alive() { self.0.fetch_add(value, order) } else { self.0.load(Ordering::Acquire) }
                }

                pub fn compare_exchange(
                    &self,
                    old: $word,
                    new: $word,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$word, $word> {
                    if is_alive() {
                        self.0.compare_exchange(old, new, success, failure)
                    } else {
                        Err(self.0.load(Ordering::Acquire))
                    }
                }
            }
        };
    }

    mortal!(AtomicU32, u32);
    mortal!(AtomicU64, u64);
}
