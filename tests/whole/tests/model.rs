//! Random programs against the rules. A failing one is made smaller and printed with its seed.

use proptest::prelude::*;
use whole::{run, script};

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_interface_tells_what_the_rules_say(program in script::program(100)) {
        run::run(program);
    }
}

/// As many as are asked for, or what takes some seconds.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    asked.unwrap_or(5000)
}
