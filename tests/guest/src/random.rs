//! Numbers that look random and repeat with their seed.

/// Marsaglia's xorshift64, scrambled by Vigna's multiplication.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of a seed.
    pub const fn new(seed: u64) -> Random {
        Random { state: seed ^ 0x9e37_79b9_7f4a_7c15 | 1 }
    }

    /// The next number, every bit of it as good as the others.
    pub fn draw(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len() as u64) as usize]
    }

    /// The seed of a run: the program's argument if it has one, else the clock. It is printed, so that a run can be
    /// repeated.
    pub fn seed(argument: &str) -> u64 {
        let seed = argument.parse().unwrap_or_else(|_| rt::clock::ticks());
        rt::log!("seed {seed}");
        seed
    }
}
