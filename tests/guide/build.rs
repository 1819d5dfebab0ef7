//! Takes the code out of docs/first-driver.md.

use std::{env, fs, path::Path};

/// The files that the guide shows, and what they are called here.
const BLOCKS: [(&str, &str); 4] = [
    ("drivers/beat/src/driver.rs", "logic.rs"),
    ("drivers/beat/src/main.rs", "driver.rs"),
    ("drivers/beat/tests/driver.rs", "tests.rs"),
    ("apps/listen/src/main.rs", "application.rs"),
];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guide = root.join("docs/first-driver.md");
    println!("cargo::rerun-if-changed={}", guide.display());
    let text = fs::read_to_string(&guide).expect("the guide is there");
    let out = env::var_os("OUT_DIR").expect("cargo says where to write");
    let fake = root.join("drivers/sdk/tests/fake/mod.rs");
    for (name, place) in BLOCKS {
        let mark = format!("\n`{name}`:\n\n```rust\n");
        let mut found = text.split(&mark).skip(1);
        let block = found.next().unwrap_or_else(|| panic!("the guide shows {name}"));
        assert!(found.next().is_none(), "the guide shows {name} once");
        let code = block.split("\n```\n").next().unwrap_or_default();
        // A text that is included cannot have attributes of its file, and the crate is not called `beat` here.
        let inner = |line: &&str| !line.starts_with("//!") && !line.starts_with("#![");
        let code: Vec<&str> = code.lines().filter(inner).collect();
        let code = code.join("\n").replace("beat::driver", "guide::driver");
        let code = code.replace("../../sdk/tests/fake/mod.rs", &fake.display().to_string());
        fs::write(Path::new(&out).join(place), code).expect("what was taken out can be written");
    }
}
