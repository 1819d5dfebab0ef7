//! The rules of the five interfaces (`docs/rules.md`) against the tests whose names name them.
//!
//! `r14_no_event_lost` is a test of rule R14, `r10_r36_one_delivery` of two. A rule is tested when a guest test of it passed
//! on 1, 2 and 4 CPUs and none of its tests failed, on the host, in a model or in the guest.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use super::{
    Plan,
    report::{Report, Told},
};
use crate::{
    failure::{Failure, Result},
    workspace::Workspace,
};

/// Numbers of CPUs that each rule is tested on.
const CPUS: [u32; 3] = [1, 2, 4];

/// The file that has the rules, one row of a table each: `| R14 | text |`.
const FILE: &str = "docs/rules.md";

/// The rules that a test's name names.
pub fn named(name: &str) -> BTreeSet<u8> {
    let mut rules = BTreeSet::new();
    for mut word in name.split('/') {
        while let Some((number, rest)) = word.strip_prefix('r').and_then(|word| word.split_once('_')) {
            let Ok(number) = number.parse() else { break };
            rules.insert(number);
            word = rest;
        }
    }
    rules
}

/// The rules of the file: numbers and texts.
pub fn read(workspace: &Workspace) -> Result<BTreeMap<u8, String>> {
    let path = workspace.root().join(FILE);
    let rules = fs::read_to_string(&path).map_err(|error| error.to_string()).and_then(|text| parse(&text));
    rules.map_err(|error| Failure::new(format!("read {}", path.display()), error, "correct the file"))
}

fn parse(text: &str) -> std::result::Result<BTreeMap<u8, String>, String> {
    let mut rules = BTreeMap::new();
    for row in text.lines().filter_map(|line| line.strip_prefix("| R")) {
        let rule = row.strip_suffix(" |").and_then(|row| row.split_once(" | "));
        let rule = rule.and_then(|(number, text)| Some((number.parse::<u8>().ok()?, text)));
        let (number, text) = rule.ok_or_else(|| format!("`| R{row}` is not `| Rnn | text |`"))?;
        if rules.insert(number, text.to_owned()).is_some() {
            return Err(format!("R{number} is there twice"));
        }
    }
    if rules.is_empty() { Err("it has no rule".to_owned()) } else { Ok(rules) }
}

/// Whether the plan wants rules: one that there is, all, or everything.
pub fn may(workspace: &Workspace, plan: &Plan) -> Result<bool> {
    match plan.rules() {
        Some(Some(rule)) => Ok(read(workspace)?.contains_key(&rule)),
        Some(None) => Ok(true),
        None => Ok(plan.filter.is_empty()),
    }
}

/// Tells of each rule that the plan wants whether it is tested, by what was told before, and writes the table.
pub fn run(workspace: &Workspace, plan: &Plan, report: &Report) -> Result<()> {
    let only = plan.rules();
    let mut rules = read(workspace)?;
    if let Some(Some(rule)) = only {
        rules.retain(|number, _| *number == rule);
    }
    let evidence = Evidence::of(&report.told());
    let table: String = rules.iter().map(|(number, text)| evidence.show(*number, text)).collect();
    let file = report.folder().join("rules.txt");
    fs::write(&file, &table).map_err(|error| {
        Failure::new(format!("write {}", file.display()), error, "check the folder's permissions")
    })?;
    if only.is_some() {
        report.say(&format!("\n{table}"));
    }
    let fault = |number: &u8| evidence.fault(*number);
    let sound = rules.keys().filter(|number| fault(number).is_none()).count();
    report.say(&format!("rules: {sound} of {} tested (table: {})", rules.len(), file.display()));
    if !evidence.guest_told() {
        // One failure instead of one of each rule: another line says what was in the way.
        report.failed_see("rules/all", "no guest test of a rule has run", &file);
        return Ok(());
    }
    for number in rules.keys() {
        let name = format!("rules/R{number}");
        match fault(number) {
            None => report.passed_so(&name, &evidence.count(*number)),
            Some(why) => report.failed_see(&name, &why, &file),
        }
    }
    Ok(())
}

/// The tests of the rules. A guest test is one, however many machines it ran on.
#[derive(Debug, Default)]
struct Evidence {
    /// By rule, and by name without the boot.
    tests: BTreeMap<u8, BTreeMap<String, Test>>,
}

#[derive(Debug, Default)]
struct Test {
    passed: u32,
    failed: u32,
    /// The boots of a guest test: `threads-2` and whether it passed there.
    boots: BTreeMap<String, bool>,
}

impl Evidence {
    fn of(told: &[Told]) -> Evidence {
        let mut evidence = Evidence::default();
        for Told { name, failed } in told {
            let (name, boot) = apart(name);
            for rule in named(&name) {
                let test = evidence.tests.entry(rule).or_default().entry(name.clone()).or_default();
                match failed {
                    None => test.passed += 1,
                    Some(_) => test.failed += 1,
                }
                if let Some(boot) = boot {
                    test.boots.insert(boot.to_owned(), failed.is_none());
                }
            }
        }
        evidence
    }

    fn tests(&self, rule: u8) -> impl Iterator<Item = (&String, &Test)> {
        self.tests.get(&rule).into_iter().flatten()
    }

    fn guest_told(&self) -> bool {
        self.tests.values().flatten().any(|(_, test)| !test.boots.is_empty())
    }

    /// Why the rule cannot be said to be tested.
    fn fault(&self, rule: u8) -> Option<String> {
        let failed: u32 = self.tests(rule).map(|(_, test)| test.failed).sum();
        if failed > 0 {
            return Some(format!("{failed} of its tests failed"));
        }
        let boots: Vec<&String> = self.tests(rule).flat_map(|(_, test)| test.boots.keys()).collect();
        let has = |cpus: &u32| boots.iter().any(|boot| boot.ends_with(&format!("-{cpus}")));
        let missing: Vec<String> =
            CPUS.iter().filter(|cpus| !has(cpus)).map(|cpus| cpus.to_string()).collect();
        (!missing.is_empty()).then(|| format!("no guest test on {} CPUs", missing.join(", ")))
    }

    /// How many tests there were.
    fn count(&self, rule: u8) -> String {
        let of = |kind: &'static str| self.tests(rule).filter(move |(name, _)| name.starts_with(kind));
        let boots: usize = of("guest/").map(|(_, test)| test.boots.len()).sum();
        format!(
            "guest {} in {boots} boots, host {}, loom {}",
            of("guest/").count(),
            of("host/").count(),
            of("loom/").count()
        )
    }

    /// The rule's lines of the table: rule, each test, result.
    fn show(&self, rule: u8, text: &str) -> String {
        let mut lines = format!("R{rule} {text}\n");
        for (name, test) in self.tests(rule) {
            let result = if test.failed > 0 { "FAILED" } else { "ok" };
            lines += &format!("    {result:6} {name}{}\n", test.machines());
        }
        let fault = self.fault(rule).map_or("tested".to_owned(), |why| format!("FAILED {why}"));
        lines + &format!("    = {fault} ({})\n", self.count(rule))
    }
}

impl Test {
    /// `: threads-1 threads-2 icount-4(FAILED)`.
    fn machines(&self) -> String {
        let told = |(boot, passed): (&String, &bool)| {
            if *passed { format!(" {boot}") } else { format!(" {boot}(FAILED)") }
        };
        let boots: String = self.boots.iter().map(told).collect();
        if boots.is_empty() { boots } else { format!(":{boots}") }
    }
}

/// `guest/pipes/threads-2/r18_x` is the test `guest/pipes/r18_x` on the machine `threads-2`; others have no machine.
fn apart(name: &str) -> (String, Option<&str>) {
    let parts: Vec<&str> = name.splitn(4, '/').collect();
    match parts[..] {
        ["guest", program, boot, test] => (format!("guest/{program}/{test}"), Some(boot)),
        _ => (name.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::report::Failed;

    fn told(name: &str, passed: bool) -> Told {
        let failed = (!passed).then(|| Failed { why: "lost".to_owned(), log: "/log".into() });
        Told { name: name.to_owned(), failed }
    }

    fn on_all_machines(test: &str) -> Vec<Told> {
        let boots = ["threads-1", "threads-2", "threads-4", "icount-1"];
        boots.map(|boot| told(&format!("guest/p/{boot}/{test}"), true)).into()
    }

    #[test]
    fn names_name_rules() {
        assert_eq!(named("guest/p/threads-1/r14_none_lost"), [14].into());
        assert_eq!(named("host/libkq/rules/r04_x"), [4].into());
        assert_eq!(named("host/libkq/rules/r10_r36_one_delivery"), [10, 36].into());
        assert_eq!(named("loom/p/loom/tests/r8_true/deeper"), [8].into());
        for name in ["host/p/rules/x", "host/p/r_x", "guest/p/or14_x", "host/p/r14", "host/p/r999_x"] {
            assert!(named(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn the_tree_s_rules_are_sixty() {
        let rules = read(&Workspace::find().unwrap()).unwrap();
        assert!(rules.keys().copied().eq(1..=60), "{:?}", rules.keys());
        assert!(rules.values().all(|text| !text.is_empty()));
    }

    #[test]
    fn a_row_that_is_no_rule_is_refused() {
        assert_eq!(parse("# x\n| R1 | a \\| b |\n").unwrap(), [(1, "a \\| b".to_owned())].into());
        assert!(parse("| R1 | a |\n| R1 | b |\n").is_err());
        assert!(parse("| Rx | a |\n").is_err());
        assert!(parse("nothing\n").is_err());
    }

    #[test]
    fn a_rule_needs_guest_tests_on_each_number_of_cpus() {
        let mut results = on_all_machines("r1_x");
        assert_eq!(Evidence::of(&results).fault(1), None);
        assert_eq!(Evidence::of(&results).fault(2).unwrap(), "no guest test on 1, 2, 4 CPUs");
        results.retain(|told| !told.name.contains("threads-4"));
        assert_eq!(Evidence::of(&results).fault(1).unwrap(), "no guest test on 4 CPUs");
        results.push(told("host/p/t/r1_y", true));
        assert_eq!(Evidence::of(&results).fault(1).unwrap(), "no guest test on 4 CPUs");
        results.push(told("guest/q/icount-4/r1_z", true));
        assert_eq!(Evidence::of(&results).fault(1), None, "another program's test will do");
    }

    #[test]
    fn each_rule_is_a_line_of_the_report_and_the_table_is_kept() {
        let folder = std::env::temp_dir().join(format!("xtask-rules-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let report = Report::new(folder.clone());
        let (workspace, plan) =
            (Workspace::find().unwrap(), Plan { filter: "rules".to_owned(), long: false });
        run(&workspace, &plan, &report).unwrap();
        let all = report.told();
        assert!(all.len() == 1 && all[0].name == "rules/all" && all[0].failed.is_some(), "{all:?}");
        for Told { name, .. } in on_all_machines("r1_x") {
            report.passed_so(&name, "");
        }
        run(&workspace, &plan, &report).unwrap();
        let failed = |name: &str| {
            let told = report.told();
            let told = told.iter().find(|told| told.name == name).unwrap();
            told.failed.as_ref().map(|failed| failed.why.clone())
        };
        assert_eq!(failed("rules/R1"), None);
        assert_eq!(failed("rules/R60").unwrap(), "no guest test on 1, 2, 4 CPUs");
        let table = fs::read_to_string(folder.join("rules.txt")).unwrap();
        assert!(table.starts_with("R1 ") && table.contains("    = tested (guest 1 in 4 boots"), "{table}");
        assert_eq!(table.lines().filter(|line| line.starts_with('R')).count(), 60);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn one_failure_is_the_rule_s() {
        let mut results = on_all_machines("r1_x");
        results.push(told("host/p/t/r1_y", false));
        let evidence = Evidence::of(&results);
        assert_eq!(evidence.fault(1).unwrap(), "1 of its tests failed");
        let table = "R1 text\n    ok     guest/p/r1_x: icount-1 threads-1 threads-2 threads-4\n    \
                     FAILED host/p/t/r1_y\n    = FAILED 1 of its tests failed (guest 1 in 4 boots, host 1, \
                     loom 0)\n";
        assert_eq!(evidence.show(1, "text"), table);
    }
}
