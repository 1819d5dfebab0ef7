//! One run of QEMU: its command line, console, time limit and exit status.

pub mod child;
pub mod console;
pub mod device;
pub mod dialogue;
pub mod escape;
pub mod exit;
pub mod loopback;
pub mod monitor;
pub mod signals;
pub mod terminal;
pub mod text;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use self::{
    child::{Child, Ended},
    console::{Console, Stop},
    device::{Change, Device},
    exit::Status,
};
use crate::{
    failure::{Failure, Result},
    software::archive::BootImage,
};

/// Overrides the emulator's binary.
pub const QEMU_VARIABLE: &str = "KQ_QEMU";
const QEMU: &str = "qemu-system-x86_64";

/// Port of the device that ends QEMU with `(value << 1) | 1`: seven bits of a status.
const EXIT_PORT: u16 = 0xf4;
/// Port that takes the whole status, before the exit. A machine without it loses the eighth bit only.
const STATUS_PORT: u16 = 0xf8;

/// How long QEMU may take to end after its console is closed.
const LINGER: Duration = Duration::from_secs(60);

/// What executes the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Accelerator {
    /// Emulation, one host thread per CPU: real races.
    #[default]
    Tcg,
    /// Emulation, one instruction per nanosecond of guest time, all CPUs in turn on one host thread: repeatable.
    Icount,
    /// The host's virtualisation.
    Kvm,
}

/// A machine to run.
#[derive(Clone, Debug)]
pub struct Machine {
    /// CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory: u32,
    /// What executes it.
    pub accelerator: Accelerator,
    /// What it boots.
    pub image: BootImage,
    /// What is on its PCI bus, beside what every machine has.
    pub devices: Vec<Device>,
    /// Where its monitor is reached, if at all.
    pub monitor: Option<PathBuf>,
    /// Further arguments for QEMU.
    pub arguments: Vec<OsString>,
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// QEMU ended.
    Ended(Status),
    /// It was stopped because its time was over.
    TimedOut,
    /// The person at the terminal asked to quit.
    Quit,
    /// The tool got this signal.
    Signal(i32),
    /// Nobody reads the output any more.
    OutputClosed,
}

impl Machine {
    fn command(&self, status_file: &Path) -> Command {
        let qemu = std::env::var_os(QEMU_VARIABLE).unwrap_or_else(|| QEMU.into());
        let mut command = Command::new(qemu);
        command.args(["-M", "q35", "-cpu", "max", "-nodefaults", "-no-user-config", "-no-reboot"]);
        command.args(["-display", "none"]);
        match &self.monitor {
            Some(path) => {
                let path = path.display().to_string().replace(',', ",,");
                command.arg("-monitor").arg(format!("unix:{path},server=on,wait=off"))
            }
            None => command.args(["-monitor", "none"]),
        };
        // Ports tell of what is plugged in as PCI Express has it, not by programs of ACPI.
        command.args(["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]);
        command.args(["-m", &self.memory.to_string(), "-smp", &self.cpus.to_string()]);
        match self.accelerator {
            // When a device is moved, mapped or reset, QEMU before 8.2 lets the other CPUs' threads go on with what they knew
            // of the memory map: they reach wrong registers, or it crashes. With devices the CPUs take turns.
            Accelerator::Tcg if !self.devices.is_empty() => command.args(["-accel", "tcg,thread=single"]),
            Accelerator::Tcg => command.args(["-accel", "tcg,thread=multi"]),
            Accelerator::Icount => {
                // Idle time is skipped. Not with peers on the host, who could not answer in time.
                let has_peers = self.devices.iter().any(|device| device.network.is_some());
                let pace = if has_peers { "shift=0,sleep=on" } else { "shift=0,sleep=off" };
                command.args(["-accel", "tcg,thread=single", "-icount", pace])
            }
            Accelerator::Kvm => command.args(["-accel", "kvm"]),
        };
        command.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
        command.arg("-device").arg(format!("isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4"));
        // QEMU reads a comma in an option's value when it is doubled.
        let path = status_file.display().to_string().replace(',', ",,");
        command.arg("-chardev").arg(format!("file,id=status,path={path}"));
        command.arg("-device").arg(format!("isa-debugcon,iobase={STATUS_PORT:#x},chardev=status"));
        command.arg("-kernel").arg(&self.image.kernel).arg("-initrd").arg(&self.image.archive);
        for (index, device) in self.devices.iter().enumerate() {
            command.args(device.arguments(index, &disk(status_file, index)));
        }
        command.args(&self.arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it until it ends or has to be stopped; QEMU is gone when this returns.
    pub fn run(&self, console: Console) -> Result<Outcome> {
        self.run_as(&self.name_run(), console)
    }

    /// The same for a run that has a name already, of [`Machine::name_run`].
    pub fn run_as(&self, status_file: &Path, console: Console) -> Result<Outcome> {
        let disks =
            || self.devices.iter().enumerate().map(|(index, device)| (device, disk(status_file, index)));
        let made = disks().try_for_each(|(device, path)| device.make_disk(&path));
        let outcome = made.and_then(|()| self.run_with(status_file, console));
        // The files are by-products: a leftover is harmless.
        let _ = fs::remove_file(status_file);
        disks().filter(|(device, _)| device.disk.is_some()).for_each(|(_, path)| _ = fs::remove_file(path));
        outcome
    }

    fn run_with(&self, status_file: &Path, console: Console) -> Result<Outcome> {
        let mut child = Child::start(&mut self.command(status_file))?;
        let relayed = console.relay(&mut child)?;
        let stop = match relayed.stop {
            Stop::Closed => match child.wait(Some(LINGER))? {
                Ended::TimedOut => {
                    return Err(Failure::new(
                        "end the run",
                        "QEMU closed its console but goes on running; it has been killed",
                        "run it again with `-- -d guest_errors`",
                    ));
                }
                ended => {
                    let byte = fs::read(status_file).ok().and_then(|bytes| bytes.last().copied());
                    Outcome::Ended(exit::decode(ended, byte, relayed.output_seen, relayed.complaints))
                }
            },
            Stop::TimedOut => Outcome::TimedOut,
            Stop::Quit => Outcome::Quit,
            Stop::Signal(signal) => Outcome::Signal(signal),
            Stop::OutputClosed => Outcome::OutputClosed,
        };
        child.kill();
        Ok(stop)
    }

    /// What to say to the monitor of a run for this to happen, if there is such a device.
    pub fn commands(&self, status_file: &Path, change: Change) -> Option<String> {
        let index = change.device();
        Some(self.devices.get(index)?.commands(change, &disk(status_file, index)))
    }

    /// A name for a run: the file in which its status will be, beside which its disks are.
    pub fn name_run(&self) -> PathBuf {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        self.image.archive.with_extension(format!("status-{}-{run}", std::process::id()))
    }
}

/// Where the disk of a device is during a run.
fn disk(status_file: &Path, index: usize) -> PathBuf {
    let mut name = status_file.as_os_str().to_owned();
    name.push(format!("-disk{index}"));
    name.into()
}
