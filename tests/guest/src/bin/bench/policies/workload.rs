//! What the workers have to do, and in what order it comes.

/// A workload. Each has a window of items under way: the next is sent when one is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Workload {
    pub name: &'static str,
    /// Items under way at most; with bursts, of one burst.
    pub window: usize,
    /// Instructions of an item's handler, about.
    pub work: u64,
    /// Instructions of the sender between two items, about.
    pub between: u64,
    /// Items that follow each on the pipe of the worker that had it, as the further requests of a connection.
    pub follow: u64,
    /// The next are sent when all are done and all sleep again.
    pub bursts: bool,
    /// The sender is on the CPU where events arise, and not on the last.
    pub hot: bool,
    /// Items that are sent: those that are counted.
    pub items: u64,
    /// Items before.
    pub warm_up: u64,
}

/// The most items that a row has.
pub const MOST_ITEMS: usize = 1024;
/// The widest window.
pub const WIDEST_WINDOW: usize = 32;

const SHORT: Workload = Workload {
    name: "short",
    window: 16,
    work: 3000,
    between: 0,
    follow: 0,
    bursts: false,
    hot: false,
    items: 400,
    warm_up: 100,
};

pub const ALL: [Workload; 7] = [
    // One request after the other: everybody sleeps when it comes.
    Workload { name: "single", window: 1, work: 0, items: 200, warm_up: 70, ..SHORT },
    // Requests that cost little but their way.
    SHORT,
    Workload { name: "medium", work: 20_000, items: 300, ..SHORT },
    Workload { name: "slow", work: 500_000, items: 64, warm_up: 16, ..SHORT },
    // Connections of nine requests.
    Workload { name: "keepalive", work: 5000, follow: 8, items: 405, warm_up: 144, ..SHORT },
    Workload { name: "burst", window: 32, work: 5000, bursts: true, items: 256, warm_up: 64, ..SHORT },
    // The sender and the driver keep a CPU busy where workers sleep too.
    Workload { name: "hot", work: 5000, between: 20_000, hot: true, items: 200, warm_up: 50, ..SHORT },
];
