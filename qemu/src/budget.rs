//! Figures that the guest measures, and what they may be at most.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;

use crate::{
    failure::{self, Failure},
    workspace::Workspace,
};

/// What is demanded of the figures of one number of CPUs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Budgets {
    /// The most that each figure may be.
    pub most: BTreeMap<String, u64>,
    /// Figures that must be about the same, by the name of their group.
    pub flat: BTreeMap<String, Flat>,
}

impl Budgets {
    /// Whether any figure that there is a demand on has this in its name.
    pub fn know(&self, only: &str) -> bool {
        let flat = self.flat.values().flat_map(|group| &group.figures);
        self.most.keys().chain(flat).any(|name| name.contains(only))
    }
}

/// Figures that must not depend on what is different between them.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flat {
    /// By how many hundredths of the least of them the greatest may be more.
    pub percent: u64,
    /// The figures, two at least.
    pub figures: Vec<String>,
    /// On how many CPUs that is so; without it, on any number.
    pub cpus: Option<u32>,
}

/// The file.
#[derive(Deserialize)]
struct Tables {
    /// Budgets for every number of CPUs.
    #[serde(default)]
    all: BTreeMap<String, u64>,
    #[serde(default)]
    flat: BTreeMap<String, Flat>,
    /// Those of some number of CPUs.
    #[serde(flatten)]
    of_cpus: BTreeMap<String, BTreeMap<String, u64>>,
}

/// A measured figure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Figure {
    /// How much.
    pub value: u64,
    /// Of what.
    pub unit: String,
}

/// Reads a line of the guest: `name value unit`, nothing else on it.
pub fn figure(line: &str) -> Option<(String, Figure)> {
    let mut words = line.split_whitespace();
    let (name, value, unit) = (words.next()?, words.next()?, words.next()?);
    let is_word = |word: &str, more: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || more.contains(c))
    };
    if words.next().is_some() || !is_word(name, "_.") || !is_word(unit, "") {
        return None;
    }
    Some((name.to_owned(), Figure { value: value.parse().ok()?, unit: unit.to_owned() }))
}

/// Reads what the tree demands for so many CPUs.
pub fn read(workspace: &Workspace, cpus: u32) -> failure::Result<Budgets> {
    let path = workspace.root().join("qemu/budgets.toml");
    fs::read_to_string(&path)
        .map_err(|error| error.to_string())
        .and_then(|text| parse(&text, cpus))
        .map_err(|error| Failure::new(format!("read {}", path.display()), error, "correct the file"))
}

/// Reads the budgets for so many CPUs, lines `name = most`: those of `[all]`, of which `[smp-N]` may change some; and the
/// groups `[flat.NAME]`.
pub fn parse(text: &str, cpus: u32) -> Result<Budgets, String> {
    let Tables { all: mut most, mut flat, mut of_cpus } =
        toml::from_str(text).map_err(|error| error.to_string())?;
    let known = |name: &str| name.strip_prefix("smp-").is_some_and(|number| number.parse::<u32>().is_ok());
    if let Some(name) = of_cpus.keys().find(|name| !known(name)) {
        return Err(format!("there is a table [{name}]; tables are [all], [smp-N] and [flat.NAME]"));
    }
    if let Some((name, _)) = flat.iter().find(|(_, group)| group.figures.len() < 2) {
        return Err(format!("[flat.{name}] compares nothing; it needs two figures"));
    }
    flat.retain(|_, group| group.cpus.is_none_or(|number| number == cpus));
    most.extend(of_cpus.remove(&format!("smp-{cpus}")).unwrap_or_default());
    Ok(Budgets { most, flat })
}

/// What is above its budget, not as flat as it should be or, with a demand, missing; of the names with `only` in them, of
/// which there has to be one. A group counts when all of its figures do.
pub fn exceeded(figures: &BTreeMap<String, Figure>, budgets: &Budgets, only: &str) -> Vec<String> {
    let judge = |(name, &most): (&String, &u64)| match figures.get(name) {
        None => Some(format!("{name}: not measured, budget {most}")),
        Some(Figure { value, unit }) if *value > most => {
            Some(format!("{name}: {value} {unit}, budget {most}"))
        }
        Some(_) => None,
    };
    let mut faults: Vec<String> =
        budgets.most.iter().filter(|(name, _)| name.contains(only)).filter_map(judge).collect();
    let asked = |group: &&Flat| group.figures.iter().all(|name| name.contains(only));
    faults.extend(budgets.flat.values().filter(asked).filter_map(|group| uneven(figures, group)));
    if faults.is_empty() && !figures.keys().any(|name| name.contains(only)) {
        faults.push(format!("no figure has `{only}` in its name"));
    }
    faults
}

/// Why the figures of a group are not about the same.
fn uneven(figures: &BTreeMap<String, Figure>, group: &Flat) -> Option<String> {
    let names = || group.figures.join(", ");
    if let Some(missing) = group.figures.iter().find(|name| !figures.contains_key(*name)) {
        return Some(format!("{}: {missing} was not measured", names()));
    }
    let values: Vec<u64> = group.figures.iter().filter_map(|name| Some(figures.get(name)?.value)).collect();
    let (least, greatest) = (values.iter().min()?, values.iter().max()?);
    let flat = (greatest - least) * 100 <= least * group.percent;
    (!flat).then(|| format!("{}: {values:?} differ by more than {} %", names(), group.percent))
}

/// Where two measurements differ.
pub fn differences(first: &BTreeMap<String, Figure>, second: &BTreeMap<String, Figure>) -> Vec<String> {
    let show =
        |figure: Option<&Figure>| figure.map_or("missing".to_owned(), |figure| figure.value.to_string());
    let names: std::collections::BTreeSet<_> = first.keys().chain(second.keys()).collect();
    names
        .into_iter()
        .filter(|name| first.get(*name) != second.get(*name))
        .map(|name| format!("{name}: {} and {}", show(first.get(name)), show(second.get(name))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(lines: &str) -> BTreeMap<String, Figure> {
        lines.lines().filter_map(figure).collect()
    }

    #[test]
    fn only_figures_are_figures() {
        let (name, found) = figure("null_syscall.entries 1 count").unwrap();
        assert_eq!((name.as_str(), found.value, found.unit.as_str()), ("null_syscall.entries", 1, "count"));
        for line in
            ["", "cpus up", "tests done 4", "init: 3 processes", "a -1 ns", "a 1 ns more", "a 1 2", "A 1 ns"]
        {
            assert_eq!(figure(line), None, "{line}");
        }
    }

    #[test]
    fn above_the_budget_or_missing_is_told() {
        let budgets =
            parse("[all]\nfast = 10\nslow = 99\ngone = 5\n[smp-1]\nslow = 10\n[smp-2]\nother = 1\n", 1);
        let budgets = budgets.unwrap();
        let measured = figures("fast 10 ns\nslow 11 ns\nnew 7 ns");
        assert_eq!(
            exceeded(&measured, &budgets, ""),
            ["gone: not measured, budget 5", "slow: 11 ns, budget 10"]
        );
        assert_eq!(exceeded(&measured, &budgets, "fast"), [""; 0]);
        assert_eq!(exceeded(&measured, &budgets, "new"), [""; 0], "without a budget");
        assert_eq!(exceeded(&measured, &budgets, "neu"), ["no figure has `neu` in its name"]);
    }

    #[test]
    fn equal_measurements_do_not_differ() {
        let one = figures("a 1 ns\nb 2 ns");
        assert_eq!(differences(&one, &one), [""; 0]);
        assert_eq!(differences(&one, &figures("a 1 ns\nb 3 ns")), ["b: 2 and 3"]);
        assert_eq!(differences(&one, &figures("a 1 ns")), ["b: 2 and missing"]);
    }

    #[test]
    fn figures_that_must_be_flat_are_compared() {
        let text = "[flat.look]\npercent = 5\nfigures = [\"look\", \"look_100\", \"look_10000\"]\n";
        let budgets = parse(text, 1).unwrap();
        let faults = |lines, only| exceeded(&figures(lines), &budgets, only);
        let even = "look 100 ns\nlook_100 104 ns\nlook_10000 105 ns\nother 1 ns";
        assert_eq!(faults(even, ""), [""; 0]);
        let uneven = "look 100 ns\nlook_100 106 ns\nlook_10000 103 ns";
        let said = ["look, look_100, look_10000: [100, 106, 103] differ by more than 5 %"];
        assert_eq!(faults(uneven, ""), said);
        let less = "look 106 ns\nlook_100 100 ns\nlook_10000 103 ns";
        assert_eq!(faults(less, "look").len(), 1, "whichever is the greatest");
        assert_eq!(faults(uneven, "look_100"), [""; 0], "not all of the group was asked for");
        let alone = |cpus| parse(&format!("{text}cpus = 1\n"), cpus).unwrap().flat.len();
        assert_eq!((alone(1), alone(2)), (1, 0), "on one CPU only");
        let missing = ["look, look_100, look_10000: look_100 was not measured"];
        assert_eq!(faults("look 100 ns\nlook_10000 100 ns", ""), missing);
    }

    #[test]
    fn a_table_that_would_never_count_is_refused() {
        assert!(parse("[smp2]\nfast = 10\n", 2).unwrap_err().contains("[smp2]"));
        assert!(parse("[flat.a]\npercent = 5\nfigures = [\"a\"]\n", 2).unwrap_err().contains("[flat.a]"));
    }

    #[test]
    fn the_tree_has_valid_budgets_for_every_number_of_cpus() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("budgets.toml");
        let text = fs::read_to_string(path).unwrap();
        for cpus in [1, 2, 4, 16] {
            let budgets = parse(&text, cpus).unwrap();
            assert!(!budgets.most.is_empty() && !budgets.flat.is_empty());
        }
    }
}
