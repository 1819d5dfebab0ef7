//! Which guest programs are tests, and how each is run: `tests/guest.toml`.

use regex::Regex;
use serde::Deserialize;

use super::{harness::Said, peer::Peer};
use crate::{
    machine::{
        Accelerator,
        device::{Change, Device},
        dialogue::{Dialogue, Turn},
    },
    software::manifest,
};

/// The file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The tests.
    #[serde(rename = "test")]
    pub tests: Vec<Test>,
}

/// One guest program, booted once for each number of CPUs and each mode.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// The program: a program of `tests/guest` or an example of libkq; `c_NAME` may be `tests/guest/c/NAME.c`.
    pub program: String,
    /// Arguments with which the program `twins` says the same, between the lines `begin` and `end`.
    #[serde(default)]
    pub twin: Option<Vec<String>>,
    /// What the report calls it, if not as the program.
    #[serde(default)]
    pub name: Option<String>,
    /// Its arguments.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Programs that it starts, beside those of its own file and of the manifest.
    #[serde(default)]
    pub starts: Vec<String>,
    /// A file of `qemu/manifests`: what runs beside it.
    #[serde(default = "default_manifest")]
    pub manifest: String,
    /// Numbers of CPUs.
    #[serde(default = "one")]
    pub cpus: Vec<u32>,
    /// What executes the guest.
    #[serde(default = "both")]
    pub modes: Vec<Mode>,
    /// Memory in MiB.
    #[serde(default = "memory")]
    pub memory: u32,
    /// What is on its PCI bus.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// What comes from the host, through the first port that its network card forwards.
    #[serde(default)]
    pub peer: Option<Peer>,
    /// Longest time of one boot in seconds.
    #[serde(default = "timeout")]
    pub timeout: u64,
    /// Typed at the terminal.
    #[serde(default)]
    pub input: Vec<Typed>,
    /// What happens to the machine meanwhile.
    #[serde(default)]
    pub monitor: Vec<Happening>,
    /// The status that the machine ends with.
    #[serde(default)]
    pub status: u8,
    /// Expressions that all are found in the output.
    #[serde(default, deserialize_with = "expressions")]
    pub output: Vec<Regex>,
    /// Whether it says `test NAME ok`, `test NAME FAILED why` and `tests done N`.
    #[serde(default = "yes")]
    pub harness: bool,
    /// Expressions for panics that are part of the test.
    #[serde(default, deserialize_with = "expressions")]
    pub panics: Vec<Regex>,
    /// Run only when asked for the long ones.
    #[serde(default)]
    pub long: bool,
}

impl Test {
    /// The port of the host that leads to the guest, of these devices.
    pub fn port(devices: &[Device]) -> Option<u16> {
        devices
            .iter()
            .flat_map(|device| &device.network)
            .flat_map(|network| &network.forward)
            .map(|f| f.host)
            .next()
    }

    /// What the report calls it.
    pub fn name(&self) -> &str {
        self.name.as_ref().unwrap_or(&self.program)
    }

    /// What this output says, the panics that are part of the test aside.
    pub fn told(&self, output: &str) -> Said {
        let mut told = if self.harness { Said::read(output) } else { Said::default() };
        told.panics.retain(|panic| !self.panics.iter().any(|wanted| wanted.is_match(panic)));
        told
    }

    /// All that is typed.
    pub fn dialogue(&self) -> Dialogue {
        let turn = |typed: &Typed| Turn { after: typed.after.clone(), send: typed.send.repeat(typed.times) };
        Dialogue::new(self.input.iter().map(turn).collect())
    }
}

/// Something typed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    /// When the guest has said this, after what the one before waited for.
    #[serde(default)]
    pub after: String,
    /// The text.
    pub send: String,
    /// How many times.
    #[serde(default = "once")]
    pub times: usize,
}

/// Something that happens to the machine when the guest has said this, after what the one before waited for. One of the others.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Happening {
    /// The cue.
    pub after: String,
    /// The device of this number is plugged in.
    #[serde(default)]
    pub plug: Option<usize>,
    /// The guest is asked to let it go.
    #[serde(default)]
    pub unplug: Option<usize>,
    /// It is taken out, and the guest is not asked.
    #[serde(default)]
    pub tear: Option<usize>,
    /// This is said to the emulator's monitor: `sendkey a`, `mouse_move 10 10`; more commands on lines of their own.
    #[serde(default)]
    pub say: Option<String>,
}

impl Happening {
    /// What becomes of a device, if it is that.
    pub fn change(&self) -> Option<Change> {
        let (plug, unplug) = (self.plug.map(Change::Plug), self.unplug.map(Change::Unplug));
        plug.or(unplug).or(self.tear.map(Change::Tear))
    }
}

/// What executes the guest, as the table has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// One host thread per CPU.
    Threads,
    /// One instruction per ns.
    Icount,
}

impl Mode {
    /// What executes the guest.
    pub fn accelerator(self) -> Accelerator {
        match self {
            Mode::Threads => Accelerator::Tcg,
            Mode::Icount => Accelerator::Icount,
        }
    }

    /// Host CPUs that so many guest CPUs keep busy.
    pub fn weight(self, cpus: u32) -> usize {
        match self {
            Mode::Threads => cpus as usize,
            Mode::Icount => 1,
        }
    }
}

/// Parses the file.
pub fn parse(text: &str) -> Result<Table, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

fn expressions<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Regex>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| Regex::new(&format!("(?m){text}")).map_err(serde::de::Error::custom)).collect()
}

fn default_manifest() -> String {
    manifest::DEFAULT.to_owned()
}

fn one() -> Vec<u32> {
    vec![1, 2, 4]
}

fn both() -> Vec<Mode> {
    vec![Mode::Threads, Mode::Icount]
}

fn memory() -> u32 {
    // More than a run's 512: the archive has the programs of all tests, some 40 MiB.
    576
}

/// A sound boot takes a minute at most; a host can be many times slower.
fn timeout() -> u64 {
    900
}

fn once() -> usize {
    1
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_has_a_valid_table() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guest.toml");
        let table = parse(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(!table.tests.is_empty());
        for test in table.tests {
            assert!(!test.cpus.is_empty() && !test.modes.is_empty(), "{} is never run", test.program);
            assert!(
                test.harness || test.twin.is_some() || test.peer.is_some() || !test.output.is_empty(),
                "{} cannot fail by its output",
                test.program
            );
            for Happening { after, plug, unplug, tear, say } in &test.monitor {
                let devices: Vec<usize> = plug.iter().chain(unplug).chain(tear).copied().collect();
                assert!(
                    !after.is_empty() && devices.len() + usize::from(say.is_some()) == 1,
                    "{after}: one thing happens"
                );
                assert!(devices.iter().all(|&device| device < test.devices.len()), "{after}: no such device");
            }
        }
    }

    #[test]
    fn expressions_match_lines_and_bad_ones_are_told() {
        let text = |output: &str| format!("[[test]]\nprogram = \"p\"\noutput = ['{output}']\n");
        let table = parse(&text("^b$")).unwrap();
        assert!(table.tests[0].output[0].is_match("a\nb\nc"));
        assert!(parse(&text("(")).is_err());
    }
}
