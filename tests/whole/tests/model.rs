//! Random programs against the rules. A failing one is made smaller and printed with its seed.

use proptest::prelude::*;
use whole::{run, script};

/// Programs of a run.
const CASES: u32 = 5000;

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_interface_tells_what_the_rules_say(program in script::program(100)) {
        run::run(program);
    }
}

/// What takes some seconds, or as many times more as `PROPTEST_CASES` is more than its default.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    asked.map_or(CASES, |asked: u32| CASES.saturating_mul(asked) / 256)
}
