//! An image as its user has it: on a disk, booted by UEFI, seen from its networks and told of over ssh.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use qapi::qmp;
use tempfile::TempDir;
use vm_tests::bed::Outside;
use vm_tests::proof::question::{Question, Vantage, Verdict};
use vm_tests::proof::report::{Cell, Report};
use vm_tests::proof::{self, Extent};
use vm_tests::truth::{self, Installed, Machine, Moment, Ssh, admin_key, api_listens, served};
use vm_tests::vm::{self, DiskBus, Limit, cache_dir};

use crate::support::Host;

/// From the start of QEMU to the last API, on the reference machine, which others may be using as well.
const BOOT: Duration = Duration::from_secs(480);
/// For a login and a script.
const LOGIN: Duration = Duration::from_secs(90);
/// For an initramfs to be made.
const UPDATE: Duration = Duration::from_secs(300);
/// For an orderly end.
const SHUTDOWN: Duration = Duration::from_secs(90);

const GIB: u64 = 1 << 30;

/// The administrator's key, made for this run.
#[derive(Debug)]
pub(crate) struct Admin {
    folder: TempDir,
    line: String,
}

impl Admin {
    /// With the key in a folder below `place`.
    pub(crate) fn new(place: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(place).context("cannot make a folder")?;
        let line = admin_key(&folder.path().join("admin"))?;
        Ok(Self { folder, line })
    }

    /// The spec with this key in place of its own, and with this kernel.
    pub(crate) fn may_log_in(&self, spec: &str, kernel: &str) -> String {
        let line = |line: &str| match line.split_once(" = ").map(|(key, _)| key) {
            Some("authorized-keys") => format!("authorized-keys = [\"{}\"]\n", self.line),
            Some("kernel") => format!("kernel = \"{kernel}\"\n"),
            _ => format!("{line}\n"),
        };
        spec.lines().map(line).collect()
    }

    /// This administrator at a host's ssh, who knows the host's key from the first login on.
    fn at(&self, disk: &Installed) -> Ssh {
        Ssh { key: self.folder.path().join("admin"), known_hosts: disk.folder().join("known_hosts") }
    }
}

/// What a host says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Inside {
    machine_id: String,
    boots: usize,
    root: u64,
    kernel: String,
    disk: String,
}

/// Waits until every API and sshd answer. How long that took from the start of QEMU, the firmware included, is a figure of its own.
#[expect(clippy::print_stderr, reason = "how long a boot took is shown with --nocapture, and if the case fails")]
fn serves(host: &Host, outside: &Outside) -> Result<()> {
    let answers = served(&host.plan, outside, &host.pki, BOOT)?;
    let last = answers.iter().max_by_key(|answer| answer.after).context("nothing is served")?;
    eprintln!("figure: boot by firmware, {} services, the last {last}", answers.len());
    Ok(())
}

/// Waits until a host serves, logs in, and sees to it that it is well.
fn look(host: &Host, outside: &Outside, ssh: &Ssh) -> Result<Inside> {
    serves(host, outside).with_context(|| {
        let script = "systemctl list-jobs --no-pager; systemctl --failed --no-pager; journalctl -b --no-pager -n 60";
        let told = ssh.run(&host.plan, outside, script, LOGIN).unwrap_or_else(|error| format!("{error:#}"));
        format!("the host says\n{told}\nand on its console\n{}", outside.console())
    })?;
    let script = "
        systemctl is-system-running --wait || { systemctl --failed --no-pager; journalctl -b -p err --no-pager; exit 1; }
        cat /etc/machine-id
        journalctl --list-boots --quiet --no-pager | wc -l
        btrfs filesystem usage --raw / | awk '/Device size:/ { print $3 }'
        uname -r
        readlink -f /run/dmhost-root
        echo journal on $(findmnt -no FSROOT -T /var/log/journal/$(cat /etc/machine-id)/system.journal)
        systemctl is-active systemd-timesyncd.service
        date +%s
        ls /etc/ssh/ssh_host_*";
    let said = ssh.run(&host.plan, outside, script, LOGIN)?;
    let lines: Vec<_> = said.lines().collect();
    let [
        "running",
        id,
        boots,
        root,
        kernel,
        disk,
        "journal on /@log",
        "active",
        clock,
        "/etc/ssh/ssh_host_ed25519_key",
        "/etc/ssh/ssh_host_ed25519_key.pub",
    ] = lines[..]
    else {
        anyhow::bail!("the host is not well: {said}");
    };
    let clock = UNIX_EPOCH + Duration::from_secs(clock.parse().context("no time of day")?);
    let now = SystemTime::now();
    let off = now.duration_since(clock).or_else(|_| clock.duration_since(now)).context("no time of day")?;
    ensure!(off < LOGIN, "the host's clock is off by {off:?}");
    Ok(Inside {
        machine_id: id.to_owned(),
        boots: boots.parse().context("no number of boots")?,
        root: root.parse().context("no size of the root")?,
        kernel: kernel.to_owned(),
        disk: disk.to_owned(),
    })
}

fn ended(outside: &Outside, what: &str) -> Result<()> {
    let deadline = outside.vm.pace().scale(SHUTDOWN);
    let verdict = outside.vm.watch().wait_end(what, Limit { deadline, stall: None })?;
    ensure!(verdict == vm::Verdict::Pass, "{what}: {verdict}");
    Ok(())
}

/// One disk, larger than the image asks for, in three machines one after the other, and twice in the first: each boots it by
/// itself, and the fourth boot is as well as the first. A machine's firmware remembers what it booted; the disk is a qcow2.
pub(crate) fn on_three_machines(host: &Host, admin: &Admin) -> Result<()> {
    let cache = cache_dir()?;
    let request = host.request(&cache);
    let size = host.plan.host.disk + 4 * GIB;
    let disk = Installed::new(&host.build("host.qcow2")?, Some(size))?;
    let ssh = admin.at(&disk);
    let nvme = (Machine::uefi(DiskBus::Nvme)?, "/dev/nvme0n1p2");
    let ahci = (Machine::uefi(DiskBus::Ahci)?, "/dev/sda2");
    let virtio = (Machine::uefi(DiskBus::Virtio)?, "/dev/vda2");
    let mut first: Option<Inside> = None;
    for (boot, (machine, device)) in [&nvme, &nvme, &ahci, &virtio].into_iter().enumerate() {
        let outside = machine.boot(&request, &disk)?;
        let inside = look(host, &outside, &ssh).with_context(|| format!("boot {}, the root on {device}", boot + 1))?;
        ensure!(inside.disk == *device, "the root is {}, not {device}", inside.disk);
        ensure!(inside.boots == boot + 1, "the journal has {} boots after {}", inside.boots, boot + 1);
        ensure!(
            size - inside.root < GIB && inside.root > host.plan.host.disk,
            "the root has {} of {size}",
            inside.root
        );
        if let Some(first) = &first {
            ensure!(inside.machine_id == first.machine_id, "the machine-id is another at boot {}", boot + 1);
        } else {
            drivers(host, &outside, &ssh)?;
            extras(host, &outside, &ssh)?;
            first = Some(inside);
        }
        match boot {
            0 => {
                kernel_comes(host, &outside, &ssh)?;
                loader_comes(host, &outside, &ssh)?;
            }
            1 => kernel_goes(host, &outside, &ssh)?,
            _ => booted_with(host, &outside, &ssh, "$(uname -r)")?,
        }
        // The power button, as a hypervisor or a hand presses it.
        outside.vm.qmp().execute(&qmp::system_powerdown {}, LOGIN)?;
        ended(&outside, "the power button")?;
    }
    its_own(&first.context("no machine was booted")?.machine_id)
}

/// A version that no kernel has yet.
const NEXT: &str = "99.0-next";

/// What apt does when it brings a kernel: it is in `/boot`, its initramfs is made, and initramfs-tools calls its hooks. The kernel is
/// the same by another name; its initramfs leaves a mark.
fn kernel_comes(host: &Host, outside: &Outside, ssh: &Ssh) -> Result<()> {
    let script = format!(
        r#"set -eu
        mark=/etc/initramfs-tools/scripts/init-bottom/mark
        printf '#!/bin/sh\n[ "$1" = prereqs ] || : >/run/mark\n' >$mark
        chmod 755 $mark
        update-initramfs -u -k "$(uname -r)" >&2
        for file in vmlinuz initrd.img; do cp "/boot/$file-$(uname -r)" /boot/$file-{NEXT}; done
        run-parts --arg={NEXT} --arg=/boot/initrd.img-{NEXT} /etc/initramfs/post-update.d"#
    );
    ssh.run(&host.plan, outside, &script, UPDATE).context("a new kernel does not get to the boot loader").map(drop)
}

/// What apt does when it brings a boot loader: it is in `/usr`, and dpkg calls its hooks. The loader is the same with a mark at its end;
/// the next boot is by it.
fn loader_comes(host: &Host, outside: &Outside, ssh: &Ssh) -> Result<()> {
    let script = r#"set -eu
        loader=/usr/lib/systemd/boot/efi/systemd-bootx64.efi
        printf mark >>$loader
        dpkg --configure --pending
        esp=$(mktemp -d)
        mount -o ro "$(readlink -f /run/dmhost-root | sed 's/2$/1/')" "$esp"
        for place in EFI/BOOT/BOOTX64.EFI EFI/systemd/systemd-bootx64.efi; do cmp $loader "$esp/$place"; done
        umount "$esp""#;
    ssh.run(&host.plan, outside, script, LOGIN).context("a new boot loader does not get to the ESP").map(drop)
}

/// It was booted; then it is removed, as dpkg does it.
fn kernel_goes(host: &Host, outside: &Outside, ssh: &Ssh) -> Result<()> {
    booted_with(host, outside, ssh, NEXT).context("the new kernel is not what was booted")?;
    let script = format!("set -eu; rm /boot/*-{NEXT}; /etc/kernel/postrm.d/zz-dmhost {NEXT} /boot/vmlinuz-{NEXT}");
    ssh.run(&host.plan, outside, &script, LOGIN).context("a kernel does not go from the boot loader").map(drop)
}

/// The boot loader took the entry of this version, whose initramfs is the one with the mark.
fn booted_with(host: &Host, outside: &Outside, ssh: &Ssh, version: &str) -> Result<()> {
    // Four bytes of attributes, then UTF-16: https://systemd.io/BOOT_LOADER_INTERFACE
    let script = format!(
        r#"entry=$(cat /sys/firmware/efi/efivars/LoaderEntrySelected-* | tail -c +5 | tr -d '\0')
        [ "$entry" = "dmhost-{version}.conf" ] && [ -e /run/mark ] || {{ echo "$entry"; ls /run/mark; exit 1; }}"#
    );
    ssh.run(&host.plan, outside, &script, LOGIN).map(drop)
}

/// A machine-id that no other host of this run has.
fn its_own(machine_id: &str) -> Result<()> {
    static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    ensure!(machine_id.len() == 32, "{machine_id:?} is no machine-id");
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(seen.insert(machine_id.to_owned()), "two hosts have the machine-id {machine_id}");
    Ok(())
}

/// The generic kernel brings what servers have, and the disks' part of it is in the initramfs.
fn drivers(host: &Host, outside: &Outside, ssh: &Ssh) -> Result<()> {
    let cards = "e1000e igb ixgbe i40e ice mlx5_core bnxt_en tg3 r8169";
    ssh.run(&host.plan, outside, &format!("for card in {cards}; do modinfo -F name $card || exit 1; done"), LOGIN)?;
    let disks = "nvme.ko ahci.ko megaraid_sas.ko mpt3sas.ko virtio_blk.ko usb-storage.ko";
    let script = format!(
        "lsinitramfs /boot/initrd.img-* >/run/initramfs.list; for disk in {disks}; do grep -q \"/$disk\" /run/initramfs.list || exit 1; done"
    );
    ssh.run(&host.plan, outside, &script, LOGIN).context("a disk's driver is not in the initramfs")?;
    Ok(())
}

/// The spec's own packages and files are there.
fn extras(host: &Host, outside: &Outside, ssh: &Ssh) -> Result<()> {
    let (packages, files) = (&host.plan.host.packages, &host.plan.host.files);
    ensure!(!packages.is_empty() && !files.is_empty(), "the spec has no packages or no files");
    for package in packages {
        let status = ssh.run(&host.plan, outside, &format!("dpkg-query -W -f '${{Status}}' {package}"), LOGIN)?;
        ensure!(status == "install ok installed", "{package}: {status}");
    }
    for file in files {
        let script = format!("stat -c '%a %U:%G' {0}; cat {0}", file.path);
        let expected = format!("{:o} {}:{}\n{}", file.mode, file.owner.user, file.owner.group, file.content);
        let found = ssh.run(&host.plan, outside, &script, LOGIN)?;
        ensure!(found == expected.trim_end(), "{} is {found:?}", file.path);
    }
    Ok(())
}

/// The power goes halfway through the first boot, and once more in the second, when a daemon first answers; then the host is well,
/// and its matrix is as planned. What the host had not flushed is lost each time.
#[expect(clippy::print_stderr, reason = "what a cut did is shown with --nocapture, and if the case fails")]
pub(crate) fn power_cuts(host: &Host, admin: &Admin) -> Result<Report> {
    let cache = cache_dir()?;
    let request = host.request(&cache);
    let disk = Installed::new(&host.image, None)?;
    let machine = Machine::uefi(DiskBus::Virtio)?;
    let ssh = admin.at(&disk);
    for moment in [Moment::Halfway, Moment::Now] {
        let doomed = machine.boot_doomed(&request, &disk)?;
        api_listens(&host.plan, doomed.outside(), BOOT).with_context(|| doomed.outside().console())?;
        let lost = doomed.cut(moment)?;
        eprintln!("power cut, {moment:?}: {lost:?}");
        ensure!(lost.kept > 0 && lost.lost > 0, "it was no cut in the middle: {lost:?}");
    }
    let outside = machine.boot(&request, &disk)?;
    let inside = look(host, &outside, &ssh).context("after two power cuts")?;
    ensure!(inside.kernel.contains("cloud"), "the kernel is {}", inside.kernel);
    let report = truth::prove(&host.plan, &outside, &host.pki, Extent::Quick, &mut |_| {})?;
    ensure!(report.holds(), "{}", report.red(false));
    // The host takes the connection with it.
    ssh.output(&host.plan, &outside, "systemctl poweroff", LOGIN)?;
    ended(&outside, "poweroff over ssh")?;
    its_own(&inside.machine_id)?;
    Ok(report)
}

/// A machine of before UEFI is told what the disk wants.
pub(crate) fn bios_is_told(host: &Host) -> Result<()> {
    let cache = cache_dir()?;
    let disk = Installed::new(&host.image, None)?;
    let outside = Machine::bios(DiskBus::Virtio)?.boot(&host.request(&cache), &disk)?;
    let limit = Limit { deadline: outside.vm.pace().scale(LOGIN), stall: None };
    for words in ["This disk boots by UEFI only", "Choose UEFI in the firmware's setup"] {
        outside.vm.watch().wait_line(words, limit).with_context(|| outside.console())?;
    }
    Ok(())
}

/// The matrix of a host that booted by itself is that of the fast lane, wherever both can ask.
pub(crate) fn same_matrix(host: &Host, truth: &Report) -> Result<()> {
    let fast = proof::prove(&host.plan, &host.settled()?, &host.pki, Extent::Quick, &mut |_| {})?;
    let key = |cell: &Cell| {
        let Question { vantage, target, ask, .. } = &cell.question;
        (format!("{vantage} -> {target} {ask}"), cell.observed)
    };
    let cells = |report: &Report| -> BTreeMap<String, Verdict> {
        report.cells.iter().filter(|cell| cell.question.vantage != Vantage::Host).map(key).collect()
    };
    let (fast, truth) = (cells(&fast), cells(truth));
    let differ = |one: &BTreeMap<String, Verdict>, other: &BTreeMap<String, Verdict>| -> Vec<String> {
        let only = one.iter().filter(|(key, verdict)| other.get(*key) != Some(verdict));
        only.map(|(key, verdict)| format!("{key}: {verdict}")).collect()
    };
    let (by_fast, by_truth) = (differ(&fast, &truth), differ(&truth, &fast));
    ensure!(by_fast.is_empty() && by_truth.is_empty(), "fast lane: {by_fast:#?}\ntruth lane: {by_truth:#?}");
    let containers = truth.keys().filter(|key| key.starts_with("container:")).count();
    ensure!(containers > 0 && truth.len() > containers, "{containers} of {} cells are containers'", truth.len());
    Ok(())
}
