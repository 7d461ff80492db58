//! The same layout for NixOS: what its own options say is left out, what it takes in another form is put into that form.
//!
//! Sources: NixOS' `nixos/lib/systemd-lib.nix` (units of packages: their drop-ins are taken, their `.wants` are not),
//! `pkgs/by-name/sw/switch-to-configuration-ng` (which units a switch restarts: those whose text has changed).

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::program::Program;
use super::target::{Nixos, Target};
use super::unit::{UNITS, UnitFile, put_unit};
use crate::layout::{Content, Layout};

/// The folder in which `/etc/resolv.conf` ends: of the host, and by a bind mount of each zone.
pub(super) const RESOLVER: &str = "/run/dmhost_resolver";

/// An entry of the layout for Debian that the NixOS module says with an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elsewhere {
    /// The path of the entry, or a folder with a `/` at its end.
    pub path: &'static str,
    /// The option of NixOS that says it.
    pub option: &'static str,
}

const ELSEWHERE: &[Elsewhere] = &[
    at("/etc/dpkg/", "boot.loader"),
    at("/etc/fstab", "fileSystems"),
    at("/etc/hostname", "networking.hostName"),
    at("/etc/hosts", "networking.hosts"),
    at("/etc/initramfs/", "boot.loader"),
    at("/etc/kernel/", "boot.loader"),
    at("/etc/machine-id", "none: NixOS makes it at the first boot"),
    at("/etc/repart.d/", "boot.growPartition"),
    at("/etc/ssh/authorized_keys.d/", "users.users.<name>.openssh.authorizedKeys.keys"),
    at("/etc/ssh/sshd_config.d/", "services.openssh.settings"),
    at("/etc/systemd/journald.conf.d/", "services.journald.storage"),
    at("/etc/systemd/networkd.conf.d/", "systemd.network.config.networkConfig"),
    at("/etc/systemd/system-generators/systemd-ssh-generator", "systemd.generators"),
    at("/etc/systemd/system/containerd.service", "virtualisation.containerd.enable"),
    at("/etc/systemd/system/default.target", "systemd.defaultUnit"),
    at("/etc/systemd/system/dmhost-grow.service", "boot.growPartition, fileSystems.\"/\".autoResize"),
    at("/etc/systemd/system/dmhost-hostkey.service", "services.openssh.hostKeys"),
    at("/etc/systemd/system/docker.service", "virtualisation.docker.enable"),
    at("/etc/systemd/system/docker.socket", "virtualisation.docker.enable"),
    at("/etc/systemd/system/multi-user.target.wants/dmhost-grow.service", "boot.growPartition"),
    at("/etc/systemd/system/multi-user.target.wants/dmhost-hostkey.service", "services.openssh.hostKeys"),
    at("/etc/systemd/system/multi-user.target.wants/systemd-networkd.service", "systemd.network.enable"),
    at("/etc/systemd/system/sockets.target.wants/ssh.socket", "services.openssh.startWhenNeeded"),
    at("/etc/systemd/system/ssh.service", "services.openssh.startWhenNeeded"),
    at("/etc/systemd/system/ssh.socket", "services.openssh.enable"),
    at("/etc/systemd/system/ssh@.service", "services.openssh.startWhenNeeded"),
    at("/etc/systemd/system/ssh@.service.d/", "services.openssh.hostKeys"),
    at("/etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service", "services.timesyncd.enable"),
    at("/etc/systemd/system/systemd-networkd-wait-online.service", "systemd.network.wait-online.enable"),
    at("/etc/systemd/system/systemd-repart.service", "systemd.repart.enable"),
    at("/etc/sysusers.d/", "users.groups, users.users"),
    at("/etc/tmpfiles.d/dmhost-admin.conf", "users.users.<name>.createHome"),
    at("/etc/tmpfiles.d/dmhost-files.conf", "environment.etc.<name>.user, systemd.tmpfiles.rules"),
    at("/usr/lib/dmhost/boot-entries", "boot.loader"),
    at("/usr/lib/dmhost/boot-loader", "boot.loader"),
    at("/usr/lib/dmhost/grow", "boot.growPartition"),
    at("/usr/lib/dmhost/host-key", "services.openssh.hostKeys"),
];

const fn at(path: &'static str, option: &'static str) -> Elsewhere {
    Elsewhere { path, option }
}

/// What says this entry of Debian's layout on NixOS, if the NixOS layout does not hold it.
pub fn elsewhere(path: &Utf8Path) -> Option<Elsewhere> {
    ELSEWHERE
        .iter()
        .find(|one| if one.path.ends_with('/') { path.as_str().starts_with(one.path) } else { path == one.path })
        .copied()
}

/// Entries that NixOS has under another name: the file that a link in [`RESOLVER`] leads to (no daemon has a `-` in its name),
/// and its unit of sshd.
const MOVED: &[(&str, &str)] = &[
    ("/etc/resolv.conf", "/etc/dmhost/host-resolv.conf"),
    ("/etc/systemd/system/ssh.socket.d/dmhost.conf", "/etc/systemd/system/sshd.socket.d/dmhost.conf"),
];

/// Debian's layout, rendered with the paths of NixOS, in the form that NixOS takes.
pub(super) fn adapt(debian: &Layout, nixos: &Nixos) -> Layout {
    let mut layout = Layout::new();
    let mut wants: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for subvolume in debian.subvolumes() {
        layout.subvolume(subvolume.name.clone(), subvolume.mount.clone());
    }
    let secrets: Vec<_> = debian.iter().filter(|(_, entry)| matches!(entry.content, Content::Secret(_))).collect();
    for (path, entry) in debian.iter() {
        if elsewhere(path).is_some() {
            continue;
        }
        if let Some((target, unit)) = wanted(path) {
            wants.entry(target.to_owned()).or_default().push(unit.to_owned());
            continue;
        }
        match &entry.content {
            Content::Secret(id) => {
                let folder = path.parent().unwrap_or(path);
                layout.link(folder, nixos.credentials.join(id.daemon().as_str()));
            }
            // The folder of the secrets is not ours to make: a link stands in its place.
            Content::Directory if secrets.iter().any(|(secret, _)| secret.parent() == Some(path)) => {}
            Content::Text(_) | Content::Link(_) | Content::Directory => {
                let path = MOVED.iter().find(|(from, _)| path == *from).map_or(path, |(_, to)| Utf8Path::new(to));
                layout.insert(path, entry.clone());
            }
        }
    }
    for (target, units) in wants {
        let dropin = UnitFile::new(&format!("What {target} starts.")).section("Unit").each("Wants", units);
        layout.text(format!("{UNITS}/{target}.d/dmhost-wants.conf"), dropin.text());
    }
    put_unit(&mut layout, "nftables.service", nftables(nixos));
    let restarted = triggers(&layout);
    for (path, text) in restarted {
        layout.text(path, text);
    }
    layout
}

/// The target and the unit of a link in a `.wants` folder.
fn wanted(path: &Utf8Path) -> Option<(&str, &str)> {
    let (target, unit) = path.strip_prefix(UNITS).ok()?.as_str().split_once(".wants/")?;
    Some((target, unit))
}

/// What Debian's package of nftables has. A switch reloads it: without rules, even for a moment, nothing may be up.
fn nftables(nixos: &Nixos) -> UnitFile {
    let load = format!("{} -f /etc/nftables.conf", Target::Nixos(nixos.clone()).path(Program::Nft));
    UnitFile::new("The rules of the host's own namespace; they stay when the unit stops.")
        .section("Unit")
        .set("Description", "Rules of the host's own network namespace")
        .set("Wants", "network-pre.target")
        .set("Before", "network-pre.target shutdown.target")
        .set("Conflicts", "shutdown.target")
        .set("DefaultDependencies", "no")
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .set("ExecStart", &load)
        .set("ExecReload", &load)
        .set("X-ReloadIfChanged", "true")
}

/// Units that read files of the layout, each with a line that changes with these files: a switch to another generation
/// restarts a unit only if its own text has changed.
fn triggers(layout: &Layout) -> Vec<(Utf8PathBuf, String)> {
    let texts: Vec<_> = layout.iter().filter_map(|(path, _)| Some((path, layout.text_at(path)?))).collect();
    let units = texts.iter().filter(|(path, _)| path.parent() == Some(UNITS.into()));
    units
        .filter_map(|(unit, text)| {
            let words: Vec<_> = text.split([' ', '=', '\n']).filter(|word| word.starts_with("/etc/")).collect();
            let read = texts.iter().filter(|(path, _)| words.iter().any(|word| path.starts_with(word)));
            let digest = read.fold(None, |digest, (path, text)| {
                Some([path.as_str(), text].iter().fold(digest.unwrap_or(FNV_OFFSET), |digest, part| fnv(digest, part)))
            })?;
            let line = format!("[Unit]\nX-Restart-Triggers={digest:016x}\n");
            Some((unit.to_path_buf(), text.replacen("[Unit]\n", &line, 1)))
        })
        .collect()
}

/// FNV-1a, 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>): the same in every version of Rust, which the standard
/// hasher does not promise.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

fn fnv(digest: u64, text: &str) -> u64 {
    // The byte 0xff is in no UTF-8 text: it ends each part.
    text.bytes().chain([0xff]).fold(digest, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

#[cfg(test)]
mod tests {
    use super::{FNV_OFFSET, fnv};

    #[test]
    fn the_digest_is_fnv_1a() {
        // "a" is one of its published test vectors; the end mark is one more round.
        let a = (FNV_OFFSET ^ 0x61).wrapping_mul(super::FNV_PRIME);
        assert_eq!(a, 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv(FNV_OFFSET, "a"), (a ^ 0xff).wrapping_mul(super::FNV_PRIME));
    }
}
