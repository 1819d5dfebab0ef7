//! Devices on the machine's PCI bus.

use std::{ffi::OsString, fs, io, path::Path};

use serde::Deserialize;

use crate::failure::{Failure, Result};

/// Bytes of a sector.
const SECTOR: u64 = 512;

/// MiB of a disk that a command line does not say the size of, and at most.
const DISK: u64 = 16;
const MOST_DISK: u64 = 256;

/// Where the slot control of QEMU's `pcie-root-port` is in its configuration space: in its capability at 0x54.
const SLOT_CONTROL: usize = 0x6c;
/// In there: events are told of, power is off. QEMU takes out what is in a slot when its power goes off, and does not ask who
/// switched it off.
const TORN: u16 = 0x7e9;

/// The place on the root bus of the port of device `index`: what QEMU would choose, too.
fn slot(index: usize) -> usize {
    index + 1
}

/// What becomes of a device while the machine runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It is plugged in.
    Plug(usize),
    /// The guest is asked to let it go.
    Unplug(usize),
    /// It is taken out and the guest is not asked.
    Tear(usize),
}

impl Change {
    /// The number of the device.
    pub fn device(self) -> usize {
        let (Change::Plug(index) | Change::Unplug(index) | Change::Tear(index)) = self;
        index
    }
}

/// A device, behind a root port of its own: there it can be reset alone, and unplugged.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// QEMU's name for it, as `virtio-rng-pci`.
    pub model: String,
    /// Its properties, as QEMU's command line has them: `max-bytes=1024,period=1000`.
    #[serde(default)]
    pub properties: String,
    /// Directly on the root bus instead.
    #[serde(default)]
    pub on_root: bool,
    /// Not plugged in yet.
    #[serde(default)]
    pub is_out: bool,
    /// What is on it, if it is a disk.
    #[serde(default)]
    pub disk: Option<Disk>,
    /// What it is connected to, if it is a network card.
    #[serde(default)]
    pub network: Option<Network>,
}

/// A network of QEMU's own, 10.0.2.0/24, which leads nowhere: only the host reaches the guest, on these ports.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Ports of the guest that the host reaches.
    #[serde(default)]
    pub forward: Vec<Forward>,
    /// Further options of QEMU's `-netdev user`.
    #[serde(default)]
    pub options: String,
}

/// A TCP port of the guest that is one of the host's loopback address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(from = "u16")]
pub struct Forward {
    /// The host's.
    pub host: u16,
    /// The guest's.
    pub guest: u16,
}

impl From<u16> for Forward {
    /// Of the host's ports one is chosen when the machine is run.
    fn from(guest: u16) -> Forward {
        Forward { host: 0, guest }
    }
}

/// A disk: a file that is made for the run. Each sector begins with its number (eight bytes, little-endian), the rest is zero.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Sectors of 512 bytes.
    pub sectors: u64,
    /// Further options of QEMU's `-drive`: `throttling.iops-total=10`, `readonly=on`.
    #[serde(default)]
    pub options: String,
}

impl Device {
    /// From a command line: `MODEL[,PROPERTIES]`; of a network card `forward=HOST:GUEST` is not QEMU's, and of a disk without a
    /// `drive=` neither is `size=MIB`.
    pub fn parse(text: &str) -> Result<Device> {
        let (model, properties) = text.split_once(',').unwrap_or((text, ""));
        if model.is_empty() {
            return Err(Failure::new(
                format!("add the device {text}"),
                "it has no name",
                "write it as `qemu-system-x86_64 -device help` does: virtio-rng-pci",
            ));
        }
        let mut device = Device { model: model.to_owned(), ..Device::default() };
        let (forwards, mut properties): (Vec<&str>, Vec<&str>) =
            properties.split(',').partition(|property| property.starts_with("forward="));
        if model.starts_with("virtio-net") {
            device.network = Some(Network::default());
        }
        if model.starts_with("virtio-blk") && !properties.iter().any(|it| it.starts_with("drive=")) {
            device.disk = Some(disk_of(text, &mut properties)?);
        }
        device.properties = properties.join(",");
        for forward in forwards {
            let ports = forward.trim_start_matches("forward=").split_once(':');
            let ports = ports.and_then(|(host, guest)| Some((host.parse().ok()?, guest.parse().ok()?)));
            let (Some((host, guest)), Some(network)) = (ports, &mut device.network) else {
                return Err(Failure::new(
                    format!("add the device {text}"),
                    format!("{forward} is not HOST:GUEST, two ports, of a virtio-net-pci"),
                    "write it as in virtio-net-pci,forward=8080:80",
                ));
            };
            network.forward.push(Forward { host, guest });
        }
        Ok(device)
    }

    /// Arguments for the device that is number `index` of the machine; its disk is at `disk`.
    pub fn arguments(&self, index: usize, disk: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |option: &str, value: String| arguments.extend([option.into(), value.into()]);
        if !self.on_root {
            let (chassis, slot) = (index + 1, slot(index));
            add("-device", format!("pcie-root-port,id=port{index},chassis={chassis},addr={slot:#x}"));
        }
        if self.disk.is_some() {
            add("-drive", self.drive(index, disk));
        }
        if let Some(Network { forward, options }) = &self.network {
            let forward = forward
                .iter()
                .map(|Forward { host, guest }| format!(",hostfwd=tcp:127.0.0.1:{host}-:{guest}"));
            let separator = if options.is_empty() { "" } else { "," };
            let forward: String = forward.collect();
            add("-netdev", format!("user,id=net{index},restrict=on{forward}{separator}{options}"));
        }
        if !self.is_out {
            add("-device", self.device(index));
        }
        arguments
    }

    /// The device itself, as both the command line and the monitor have it.
    fn device(&self, index: usize) -> String {
        let mut device = format!("{},id=device{index}", self.model);
        if !self.on_root {
            device += &format!(",bus=port{index}");
        }
        if self.disk.is_some() {
            device += &format!(",drive=disk{index}");
        }
        if self.network.is_some() {
            device += &format!(",netdev=net{index}");
        }
        if !self.properties.is_empty() {
            device += &format!(",{}", self.properties);
        }
        device
    }

    fn drive(&self, index: usize, disk: &Path) -> String {
        let options = self.disk.as_ref().map_or("", |disk| &disk.options);
        let path = disk.display().to_string().replace(',', ",,");
        let separator = if options.is_empty() { "" } else { "," };
        format!("if=none,id=disk{index},format=raw,file={path}{separator}{options}")
    }

    /// What to say to the monitor for this to happen, a command a line.
    pub fn commands(&self, change: Change, disk: &Path) -> String {
        match change {
            // What the disk is kept in goes with the disk.
            Change::Plug(index) if self.disk.is_some() => {
                let (drive, device) = (self.drive(index, disk), self.device(index));
                format!("drive_add 0 {drive}\ndevice_add {device}\n")
            }
            Change::Plug(index) => format!("device_add {}\n", self.device(index)),
            Change::Unplug(index) => format!("device_del device{index}\n"),
            Change::Tear(index) => {
                let port = 0x8000_0000 | slot(index) << 11 | SLOT_CONTROL;
                // The CPUs stand still: QEMU before 8.2 crashes when one is on its way to a register while the monitor changes
                // the memory map.
                format!("stop\no /w 0xcf8 {port:#x}\no /h 0xcfc {TORN:#x}\ncont\n")
            }
        }
    }

    /// Makes what its disk is kept in.
    pub fn make_disk(&self, path: &Path) -> Result<()> {
        let Some(Disk { sectors, .. }) = &self.disk else { return Ok(()) };
        write(path, *sectors).map_err(|error| {
            Failure::new(format!("make the disk {}", path.display()), error, "make room for it")
        })
    }
}

/// The disk that a command line asks for; takes its size out of the properties.
fn disk_of(text: &str, properties: &mut Vec<&str>) -> Result<Disk> {
    let mut mib = DISK;
    if let Some(at) = properties.iter().position(|property| property.starts_with("size=")) {
        let size = properties.remove(at).trim_start_matches("size=");
        mib = size.parse().ok().filter(|mib| (1..=MOST_DISK).contains(mib)).ok_or_else(|| {
            Failure::new(
                format!("add the device {text}"),
                format!("{size} is no number of MiB from 1 to {MOST_DISK}"),
                "write it as in virtio-blk-pci,size=64; QEMU takes a file as drive=ID with `-- -drive if=none,id=ID,…`",
            )
        })?;
    }
    Ok(Disk { sectors: mib * ((1 << 20) / SECTOR), options: String::new() })
}

fn write(path: &Path, sectors: u64) -> io::Result<()> {
    let sector = |number: u64| {
        let mut bytes = [0; SECTOR as usize];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes
    };
    fs::write(path, (0..sectors).flat_map(sector).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(device: &Device, index: usize) -> String {
        let arguments = device.arguments(index, Path::new("/a,b"));
        arguments.iter().map(|argument| argument.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_device_is_behind_a_port_of_its_own() {
        let device = Device::parse("virtio-rng-pci,max-bytes=1,period=2").unwrap();
        assert_eq!(
            said(&device, 3),
            "-device pcie-root-port,id=port3,chassis=4,addr=0x4 \
             -device virtio-rng-pci,id=device3,bus=port3,max-bytes=1,period=2"
        );
        let device = Device { on_root: true, ..Device::parse("virtio-rng-pci").unwrap() };
        assert_eq!(said(&device, 0), "-device virtio-rng-pci,id=device0");
        assert!(Device::parse("").is_err() && Device::parse(",vectors=0").is_err());
    }

    #[test]
    fn a_network_leads_to_the_host_alone() {
        let device = Device::parse("virtio-net-pci,forward=8080:80,mac=52:54:00:12:34:57").unwrap();
        assert_eq!(
            said(&device, 1),
            "-device pcie-root-port,id=port1,chassis=2,addr=0x2 \
             -netdev user,id=net1,restrict=on,hostfwd=tcp:127.0.0.1:8080-:80 \
             -device virtio-net-pci,id=device1,bus=port1,netdev=net1,mac=52:54:00:12:34:57"
        );
        assert_eq!(Device::parse("virtio-net-pci").unwrap().network, Some(Network::default()));
        for bad in ["virtio-net-pci,forward=80", "virtio-net-pci,forward=a:80", "virtio-rng-pci,forward=1:2"]
        {
            assert!(Device::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_plugged_in_later_is_as_at_the_start() {
        let mut device = Device::parse("virtio-rng-pci,max-bytes=1").unwrap();
        let commands = |device: &Device, change| device.commands(change, Path::new("/a,b"));
        assert_eq!(
            commands(&device, Change::Plug(2)),
            "device_add virtio-rng-pci,id=device2,bus=port2,max-bytes=1\n"
        );
        assert_eq!(commands(&device, Change::Unplug(2)), "device_del device2\n");
        assert_eq!(
            commands(&device, Change::Tear(2)),
            "stop\no /w 0xcf8 0x8000186c\no /h 0xcfc 0x7e9\ncont\n"
        );
        device.is_out = true;
        assert_eq!(said(&device, 2), "-device pcie-root-port,id=port2,chassis=3,addr=0x3");
        let disk = Device { disk: Some(Disk::default()), ..Device::parse("virtio-blk-pci").unwrap() };
        assert_eq!(
            commands(&disk, Change::Plug(0)),
            "drive_add 0 if=none,id=disk0,format=raw,file=/a,,b\n\
             device_add virtio-blk-pci,id=device0,bus=port0,drive=disk0\n"
        );
    }

    #[test]
    fn a_disk_of_the_command_line_is_made_for_the_run() {
        let disk = |text: &str| Device::parse(text).unwrap().disk.map(|disk| disk.sectors);
        assert_eq!(disk("virtio-blk-pci"), Some(16 << 11));
        assert_eq!(disk("virtio-blk-pci,size=1"), Some(1 << 11));
        assert_eq!(disk("virtio-blk-pci,drive=mine"), None);
        assert_eq!(disk("virtio-rng-pci"), None);
        let device = Device::parse("virtio-blk-pci,serial=1,size=3").unwrap();
        assert!(said(&device, 0).ends_with(",drive=disk0,serial=1"));
        for bad in ["size=0", "size=x", "size=257", "size="] {
            assert!(Device::parse(&format!("virtio-blk-pci,{bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_disk_has_numbered_sectors() {
        let disk = Some(Disk { sectors: 3, options: "readonly=on".to_owned() });
        let device = Device { disk, ..Device::parse("virtio-blk-pci").unwrap() };
        assert_eq!(
            said(&device, 0),
            "-device pcie-root-port,id=port0,chassis=1,addr=0x1 \
             -drive if=none,id=disk0,format=raw,file=/a,,b,readonly=on \
             -device virtio-blk-pci,id=device0,bus=port0,drive=disk0"
        );
        let path = std::env::temp_dir().join(format!("xtask-disk-{}", std::process::id()));
        device.make_disk(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!((bytes.len(), bytes[0], bytes[512], bytes[1024]), (1536, 0, 1, 2));
    }
}
