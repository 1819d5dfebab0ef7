//! What is measured, in which order.

use std::time::Duration;

use super::row::{POLICIES, Row, WORKLOADS};
use crate::{
    failure::{Failure, Result},
    machine::{
        Accelerator, Machine, Outcome,
        console::{Console, Input},
        dialogue::Dialogue,
        exit::Status,
        signals::Signals,
    },
    measure,
    workspace::Workspace,
};

/// Longest time of one boot.
const LIMIT: Duration = Duration::from_secs(3600);

/// How much is measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Machines, by their CPUs, with counted instructions.
    pub cpus: Vec<u32>,
    /// CPUs of the machine that runs as fast as the emulator can, if any, and rounds there.
    pub threads: Option<(u32, usize)>,
    /// Numbers of workers.
    pub workers: Vec<u32>,
    /// Workloads by name.
    pub workloads: Vec<String>,
}

impl Plan {
    /// All of it.
    pub fn whole() -> Plan {
        Plan {
            cpus: vec![1, 2, 4, 8],
            threads: None,
            workers: vec![1, 2, 4, 8, 16, 32, 64],
            workloads: WORKLOADS.iter().map(|(name, _)| (*name).to_owned()).collect(),
        }
    }

    /// A look.
    pub fn quick() -> Plan {
        Plan { cpus: vec![1, 2], workers: vec![1, 4, 16], ..Plan::whole() }
    }

    /// Another number of workers.
    pub fn of_workers(&mut self, workers: u32) -> Result<()> {
        if !(1..=64).contains(&workers) {
            return Err(Failure::new(
                format!("measure with {workers} workers"),
                "there may be 1 to 64",
                "give one number: --workers 16",
            ));
        }
        self.workers = vec![workers];
        Ok(())
    }

    /// One workload only.
    pub fn of_workload(&mut self, name: &str) -> Result<()> {
        if !WORKLOADS.iter().any(|(it, _)| *it == name) {
            let names: Vec<&str> = WORKLOADS.iter().map(|(name, _)| *name).collect();
            let remedy = format!("use one of {}", names.join(", "));
            return Err(Failure::new(format!("measure `{name}`"), "there is no such workload", remedy));
        }
        self.workloads = vec![name.to_owned()];
        Ok(())
    }

    /// Rows that it comes to.
    pub fn rows(&self) -> usize {
        let of_one = |workers: &[u32]| workers.len() * self.workloads.len() * POLICIES.len();
        let rounds = self.threads.map_or(0, |(_, rounds)| rounds);
        of_one(&self.workers) * self.cpus.len() + of_one(&self.few()) * rounds
    }

    /// Numbers of workers where each is measured in many rounds.
    fn few(&self) -> Vec<u32> {
        match self.workers.len() > 3 {
            true => self.workers.iter().copied().filter(|workers| [1, 4, 16].contains(workers)).collect(),
            false => self.workers.clone(),
        }
    }

    /// Measures it all, and tells each row as it comes.
    pub fn run(
        &self,
        workspace: &Workspace,
        signals: &Signals,
        mut show: impl FnMut(&Row),
    ) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let counted = self.cpus.iter().map(|&cpus| (cpus, Accelerator::Icount, &self.workers, 1));
        let few = self.few();
        let threads = self.threads.iter().map(|&(cpus, rounds)| (cpus, Accelerator::Tcg, &few, rounds));
        for (cpus, accelerator, workers, rounds) in counted.chain(threads) {
            let numbers: Vec<String> = workers.iter().map(u32::to_string).collect();
            let arguments = vec![
                "policies".to_owned(),
                format!("workers={}", numbers.join(",")),
                format!("workloads={}", self.workloads.join(",")),
                format!("rounds={rounds}"),
            ];
            let image = measure::recipe(arguments).make(workspace)?;
            let machine = Machine { accelerator, ..measure::machine(image, cpus) };
            let before = rows.len();
            boot(&machine, signals, |row| {
                show(&row);
                rows.push(row);
            })?;
            let expected = workers.len() * self.workloads.len() * POLICIES.len() * rounds;
            if rows.len() - before != expected {
                let found = format!("the guest told {} rows of {expected}", rows.len() - before);
                return Err(Failure::new(
                    format!("measure on {cpus} CPUs"),
                    found,
                    "compare its rows with row.rs",
                ));
            }
        }
        Ok(rows)
    }
}

/// Boots a machine and gives the rows that it tells.
fn boot(machine: &Machine, signals: &Signals, mut show: impl FnMut(Row)) -> Result<()> {
    let (mut line, mut last) = (Vec::new(), Vec::new());
    let counted = machine.accelerator == Accelerator::Icount;
    let outcome = machine.run(Console {
        input: Input::Script(Dialogue::default()),
        output: &mut |bytes| {
            for &byte in bytes {
                if byte != b'\n' {
                    line.push(byte);
                    continue;
                }
                let text = String::from_utf8_lossy(&line).trim().to_owned();
                match Row::read(&text, counted) {
                    Some(row) => show(row),
                    None => last.push(text),
                }
                line.clear();
            }
            Ok(())
        },
        limit: Some(LIMIT),
        signals: Some(signals),
    })?;
    match outcome {
        Outcome::Ended(Status::Guest(0)) => Ok(()),
        other => {
            let said = last[last.len().saturating_sub(10)..].join("\n");
            let found = format!("the guest did not end well: {other:?}");
            Err(Failure::new("measure the policies", found, format!("see the last that it said:\n{said}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_not_is_refused() {
        let mut plan = Plan::quick();
        assert!(plan.of_workload("nonesuch").unwrap_err().to_string().contains("single, short"));
        assert!(plan.of_workers(0).is_err() && plan.of_workers(65).is_err());
        plan.of_workload("slow").unwrap();
        plan.of_workers(8).unwrap();
        assert_eq!(plan.rows(), 2 * POLICIES.len());
        assert_eq!(Plan::whole().few(), [1, 4, 16]);
    }
}
