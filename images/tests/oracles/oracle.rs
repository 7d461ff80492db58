//! Which program judges the file at a path.

use dmhost_layout::plan::Base;

/// What is to become of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Oracle {
    /// `systemd-analyze verify`, all units of a layout at once.
    Units,
    /// `nft --check --file`.
    Rules,
    /// `dockerd --validate`, or where it knows no such flag a start that ends at its socket; both read certificates and keys.
    Dockerd,
    /// `sshd -t`.
    Sshd,
    /// `findmnt --verify`.
    Fstab,
    /// `udevadm verify`.
    Udev,
    /// `systemd-sysusers --dry-run`.
    Sysusers,
    /// `systemd-tmpfiles --dry-run`.
    Tmpfiles,
    /// `ssh-keygen -l`.
    Keys,
    /// `sh -n`.
    Script,
    /// `dpkg --configure --pending`: it reads its own files, and calls what they say.
    Dpkg,
    /// Read by another oracle along with its own files.
    WithAnother,
    /// No program judges such a file before it is used: the guest does, in `vm-tests`.
    InTheGuest,
}

impl Oracle {
    pub(crate) const JUDGES: [Self; 11] = [
        Self::Units,
        Self::Rules,
        Self::Dockerd,
        Self::Sshd,
        Self::Fstab,
        Self::Udev,
        Self::Sysusers,
        Self::Tmpfiles,
        Self::Keys,
        Self::Script,
        Self::Dpkg,
    ];

    /// Whether this base has a program that can do it.
    pub(crate) fn is_on(self, base: Base) -> bool {
        match self {
            // `udevadm verify` came with systemd 254, `systemd-tmpfiles --dry-run` with 256.
            Self::Udev | Self::Tmpfiles => base > Base::Debian12,
            Self::Units
            | Self::Rules
            | Self::Dockerd
            | Self::Sshd
            | Self::Fstab
            | Self::Sysusers
            | Self::Keys
            | Self::Script
            | Self::Dpkg
            | Self::WithAnother
            | Self::InTheGuest => true,
        }
    }

    /// Its word in `judge.sh`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Units => "units",
            Self::Rules => "rules",
            Self::Dockerd => "dockerd",
            Self::Sshd => "sshd",
            Self::Fstab => "fstab",
            Self::Udev => "udev",
            Self::Sysusers => "sysusers",
            Self::Tmpfiles => "tmpfiles",
            Self::Keys => "keys",
            Self::Script => "script",
            Self::Dpkg => "dpkg",
            Self::WithAnother | Self::InTheGuest => "none",
        }
    }
}

/// Who judges the file at this path.
pub(crate) fn oracle_of(path: &str) -> Option<Oracle> {
    let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
    Some(match parts.as_slice() {
        ["etc", "systemd", "system", _] | ["etc", "systemd", "system", _, _] => Oracle::Units,
        ["etc", "nftables.conf"] | ["etc", "dmhost", _, "nftables.conf" | "published.nft" | "egress.nft"] => {
            Oracle::Rules
        }
        ["etc", "dmhost", _, "daemon.json"] => Oracle::Dockerd,
        // The hooks are links to a script.
        ["etc", "dmhost", _, "tls", _] | ["etc", "initramfs" | "kernel", _, _] => Oracle::WithAnother,
        ["etc", "dmhost", "refusals.sh"] | ["etc", "dmhost", _, "networks.sh"] | ["usr", "lib", "dmhost", _] => Oracle::Script,
        ["etc", "ssh", "sshd_config.d", _] => Oracle::Sshd,
        ["etc", "ssh", "authorized_keys.d", _] => Oracle::Keys,
        ["etc", "fstab"] => Oracle::Fstab,
        ["etc", "dpkg", "dpkg.cfg.d", _] => Oracle::Dpkg,
        ["etc", "udev", "rules.d", _] => Oracle::Udev,
        ["etc", "sysusers.d", _] => Oracle::Sysusers,
        ["etc", "tmpfiles.d", _] => Oracle::Tmpfiles,
        ["etc", "systemd", "network" | "networkd.conf.d" | "system-generators" | "journald.conf.d" | "timesyncd.conf.d", _]
        | ["etc", "dmhost", _, "bridge.batch" | "link.batch" | "link.conf" | "sysctl.conf" | "resolv.conf"]
        // `ops` and `motd` are the user's own, of `host.files`.
        | ["etc", "sysctl.d" | "modules-load.d" | "repart.d" | "ops", _]
        | ["etc", "motd" | "hostname" | "hosts" | "machine-id" | "resolv.conf"] => Oracle::InTheGuest,
        _ => return None,
    })
}
