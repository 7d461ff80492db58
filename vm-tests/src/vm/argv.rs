//! The command line of a [`VmSpec`]: a pure function, so that a snapshot shows every change of it.
//!
//! Option meanings: `qemu-system-x86_64(1)`. What is left out of the machine (`hpet`, `sata`, `i8042`, …) is left out
//! because the guest's kernel would spend boot time on it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::accel::Engine;
use super::spec::{Boot, Card, Console, Disk, DiskBus, DiskFormat, Nic, VmSpec};

/// Name of the virtio-serial port that the guest's agent talks over.
pub(crate) const AGENT_PORT: &str = "dmhost.agent";
/// Sockets and files of the run folder, by the names that are on the command line.
pub(crate) const QMP_SOCKET: &str = "qmp.sock";
pub(crate) const AGENT_SOCKET: &str = "agent.sock";
pub(crate) const CONSOLE_SOCKET: &str = "console.sock";
pub(crate) const CONSOLE_LOG: &str = "console.log";

/// The arguments for QEMU (without the program itself). Its working folder has to be the spec's run folder.
pub fn argv(spec: &VmSpec) -> Vec<String> {
    let mut args = Args::default();
    args.flag("-nodefaults").flag("-no-user-config").flag("-no-reboot");
    args.pair("-display", "none");
    let sata = match spec.disk.as_ref().map(|disk| disk.bus) {
        Some(DiskBus::Ahci) => "on",
        Some(DiskBus::Virtio | DiskBus::Nvme) | None => "off",
    };
    let graphics = match spec.boot {
        // Without graphics SeaBIOS shows on the serial port what is shown through it.
        Boot::Bios => ",graphics=off",
        Boot::Kernel { .. } | Boot::Firmware { .. } => "",
    };
    args.pair("-machine", format!("q35,hpet=off,sata={sata},i8042=off,vmport=off,smbus=off{graphics}"));
    let (cpu, accel) = match spec.engine {
        Engine::Kvm => ("max", "kvm"),
        // A processor that says to be fast at `rep movsb` gets it for every copy of the guest's kernel, and emulation goes byte by byte.
        // The default translation cache takes 1 GiB: https://gitlab.com/qemu-project/qemu/-/issues/693
        Engine::Tcg => ("max,erms=off,fsrm=off", "tcg,thread=multi,tb-size=256"),
    };
    args.pair("-cpu", cpu);
    args.pair("-accel", accel);
    args.pair("-smp", spec.cpus.to_string());
    args.pair("-m", format!("{}M", spec.memory));
    boot(&mut args, &spec.boot);
    control(&mut args, spec);
    if let Some(disk) = &spec.disk {
        block(&mut args, disk);
    }
    args.pair("-device", "virtio-rng-pci,bus=pcie.0,addr=0x04");
    args.pair("-device", "pvpanic-pci,bus=pcie.0,addr=0x05");
    for (index, nic) in spec.nics.iter().enumerate() {
        network(&mut args, index, nic);
    }
    for credential in &spec.credentials {
        let value = STANDARD.encode(&credential.value);
        args.pair(
            "-smbios",
            format!("type=11,value=io.systemd.credential.binary:{}={value}", escape(&credential.name)),
        );
    }
    if spec.incoming {
        args.pair("-incoming", "defer");
    }
    args.0
}

fn boot(args: &mut Args, boot: &Boot) {
    match boot {
        Boot::Kernel { kernel, initrd, cmdline } => {
            args.pair("-kernel", path(kernel));
            if let Some(initrd) = initrd {
                args.pair("-initrd", path(initrd));
            }
            // With -no-reboot a panic then ends the process at once, told apart from a stall.
            args.pair("-append", format!("console=ttyS0 panic=-1 {cmdline}").trim_end());
        }
        Boot::Firmware { code, variables } => {
            for (unit, file, access) in [(0, code, "on"), (1, variables, "off")] {
                let file = path(file);
                args.pair("-drive", format!("if=pflash,format=raw,unit={unit},readonly={access},file={file}"));
            }
        }
        // It is QEMU's own default.
        Boot::Bios => {}
    }
}

fn control(args: &mut Args, spec: &VmSpec) {
    args.pair("-chardev", format!("socket,id=qmp,server=off,path={QMP_SOCKET}"));
    args.pair("-mon", "chardev=qmp,mode=control");
    let backend = match spec.console {
        Console::Watched => format!("socket,id=console,server=off,path={CONSOLE_SOCKET}"),
        Console::Terminal => "stdio,id=console,mux=on,signal=off".to_owned(),
    };
    args.pair("-chardev", format!("{backend},logfile={CONSOLE_LOG}"));
    args.pair("-serial", "chardev:console");
    match &spec.boot {
        Boot::Kernel { .. } => agent(args),
        Boot::Firmware { .. } | Boot::Bios => {}
    }
}

fn agent(args: &mut Args) {
    args.pair("-device", "virtio-serial-pci,id=ports,bus=pcie.0,addr=0x03,max_ports=2");
    args.pair("-chardev", format!("socket,id=agent,server=off,path={AGENT_SOCKET}"));
    args.pair("-device", format!("virtserialport,bus=ports.0,nr=1,chardev=agent,name={AGENT_PORT}"));
}

fn block(args: &mut Args, disk: &Disk) {
    let driver = match disk.format {
        DiskFormat::Raw => "raw",
        DiskFormat::Qcow2 => "qcow2",
    };
    // The disk is thrown away after the run: what the guest flushes need not reach the host's platter.
    let cache = json!({ "no-flush": true });
    let file = json!({ "driver": "file", "filename": disk.path, "cache": cache });
    let node =
        |name: &str| json!({ "driver": driver, "node-name": name, "discard": "unmap", "cache": cache, "file": file });
    let node = match &disk.writes {
        None => node("disk"),
        Some(log) => {
            let log = json!({ "driver": "file", "filename": log, "cache": cache });
            let file = node("cache");
            json!({ "driver": "blklogwrites", "node-name": "disk", "discard": "unmap", "file": file, "log": log })
        }
    };
    args.pair("-blockdev", node.to_string());
    let device = match disk.bus {
        DiskBus::Virtio => "virtio-blk-pci,bus=pcie.0,addr=0x02",
        DiskBus::Nvme => "nvme,bus=pcie.0,addr=0x02",
        DiskBus::Ahci => "ide-hd,bus=ide.0",
    };
    args.pair("-device", format!("{device},drive=disk,serial=dmhost"));
}

/// One card behind a root port, since q35's root bus itself has no hot-plug.
fn network(args: &mut Args, index: usize, nic: &Nic) {
    let chassis = index + 1;
    args.pair(
        "-device",
        format!(
            "pcie-root-port,id=port{index},bus=pcie.0,addr={},multifunction=on,chassis={chassis},slot={chassis}",
            nic.port
        ),
    );
    args.pair(
        "-netdev",
        format!("stream,id=net{index},server=off,reconnect-ms=100,addr.type=unix,addr.path={}", path(&nic.socket)),
    );
    let (card, queue) = match nic.card {
        Card::Virtio => ("virtio-net-pci", ",rx_queue_size=1024"),
        Card::E1000e => ("e1000e", ""),
    };
    let mac = nic.mac;
    args.pair(
        "-device",
        // `romfile=` empty: without the boot ROM a card costs no time and no fw_cfg entry.
        format!("{card},id=nic{index},bus=port{index},addr=0x00,netdev=net{index},mac={mac},romfile={queue}"),
    );
}

/// QEMU splits most options at commas; a comma that is meant is doubled.
fn escape(value: &str) -> String {
    value.replace(',', ",,")
}

fn path(path: &std::path::Path) -> String {
    escape(&path.display().to_string())
}

#[derive(Default)]
struct Args(Vec<String>);

impl Args {
    fn flag(&mut self, flag: &str) -> &mut Self {
        self.0.push(flag.to_owned());
        self
    }

    fn pair(&mut self, option: &str, value: impl Into<String>) {
        self.0.push(option.to_owned());
        self.0.push(value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::{Credential, Mac, PciSlot};

    /// One option with its value per line, as a reader wants to see it.
    fn listing(args: &[String]) -> String {
        let mut text = String::new();
        for arg in args {
            let separator = if text.is_empty() {
                ""
            } else if arg.starts_with('-') {
                "\n"
            } else {
                " "
            };
            text.push_str(separator);
            text.push_str(arg);
        }
        text
    }

    fn kernel(initrd: Option<std::path::PathBuf>) -> Boot {
        let cmdline = "root=/dev/vda".to_owned();
        Boot::Kernel { kernel: "/images/two,vlans/vmlinuz".into(), initrd, cmdline }
    }

    fn two_cards() -> VmSpec {
        let nic = |index: u8| Nic {
            socket: format!("/run/dmhost-test/nic{index}.sock").into(),
            mac: Mac([0x52, 0x54, 0, 0, 0, index + 1]),
            card: Card::Virtio,
            port: PciSlot::nth(index.into()),
        };
        VmSpec {
            boot: kernel(Some("/images/two,vlans/initrd.img".into())),
            disk: Some(Disk {
                path: "disk.qcow2".into(),
                format: DiskFormat::Qcow2,
                bus: DiskBus::Virtio,
                writes: None,
            }),
            memory: 1024,
            cpus: 2,
            nics: vec![nic(0), nic(1)],
            run_dir: "/run/dmhost-test".into(),
            engine: Engine::Tcg,
            credentials: vec![Credential::new("dmhost.greeting", "hello, guest")],
            console: Console::Watched,
            incoming: false,
        }
    }

    #[test]
    fn two_cards_under_emulation() {
        insta::assert_snapshot!(listing(&argv(&two_cards())));
    }

    #[test]
    fn terminal_under_kvm_from_a_raw_disk() {
        let spec = VmSpec {
            engine: Engine::Kvm,
            console: Console::Terminal,
            disk: Some(Disk {
                path: "/copies/atlas.raw".into(),
                format: DiskFormat::Raw,
                bus: DiskBus::Virtio,
                writes: None,
            }),
            nics: Vec::new(),
            credentials: Vec::new(),
            boot: kernel(None),
            incoming: true,
            ..two_cards()
        };
        insta::assert_snapshot!(listing(&argv(&spec)));
    }

    #[test]
    fn hardware_with_firmware() {
        let mut spec = two_cards();
        spec.boot = Boot::Firmware { code: "/usr/share/OVMF/OVMF_CODE_4M.fd".into(), variables: "variables.fd".into() };
        spec.credentials.clear();
        spec.disk =
            Some(Disk { path: "disk.qcow2".into(), format: DiskFormat::Qcow2, bus: DiskBus::Nvme, writes: None });
        for nic in &mut spec.nics {
            nic.card = Card::E1000e;
        }
        insta::assert_snapshot!(listing(&argv(&spec)));
        spec.disk =
            Some(Disk { path: "disk.qcow2".into(), format: DiskFormat::Qcow2, bus: DiskBus::Ahci, writes: None });
        assert!(listing(&argv(&spec)).contains("sata=on") && listing(&argv(&spec)).contains("ide-hd,bus=ide.0"));
    }

    #[test]
    fn a_machine_of_before_uefi_and_a_log_of_writes() {
        let mut spec = two_cards();
        spec.boot = Boot::Bios;
        spec.credentials.clear();
        spec.nics.clear();
        spec.disk = spec.disk.map(|disk| Disk { writes: Some("writes.log".into()), ..disk });
        insta::assert_snapshot!(listing(&argv(&spec)));
    }

    #[test]
    fn the_run_folder_is_not_in_the_command_line() {
        let mut elsewhere = two_cards();
        elsewhere.run_dir = "/somewhere/else".into();
        assert_eq!(argv(&two_cards()), argv(&elsewhere));
    }
}
