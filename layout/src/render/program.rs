//! The programs that rendered files call, and where each target has them: the one table, so that no other file of the
//! renderer names a path of `/usr`.

use crate::plan::Engine;

/// A program that a unit, a rule of udev or a script calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the program of its name")]
pub enum Program {
    Btrfs,
    Cp,
    Docker,
    Dockerd,
    Grep,
    Ip,
    Journalctl,
    Kill,
    Logger,
    Mount,
    Nft,
    Nsenter,
    Rm,
    Sh,
    Systemctl,
    SystemdSysctl,
    Touch,
    Tr,
    Umount,
    Unshare,
}

impl Program {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 20] = [
        Self::Btrfs,
        Self::Cp,
        Self::Docker,
        Self::Dockerd,
        Self::Grep,
        Self::Ip,
        Self::Journalctl,
        Self::Kill,
        Self::Logger,
        Self::Mount,
        Self::Nft,
        Self::Nsenter,
        Self::Rm,
        Self::Sh,
        Self::Systemctl,
        Self::SystemdSysctl,
        Self::Touch,
        Self::Tr,
        Self::Umount,
        Self::Unshare,
    ];

    /// The file name of the program, and its key in a map of programs.
    pub fn name(self) -> &'static str {
        let path = self.on_debian(Engine::DockerIo);
        path.rsplit_once('/').map_or(path, |(_, name)| name)
    }

    /// The program of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|program| program.name() == name)
    }

    /// Where a base with this engine has it.
    pub(in crate::render) fn on_debian(self, engine: Engine) -> &'static str {
        match self {
            Self::Btrfs => "/usr/bin/btrfs",
            Self::Cp => "/usr/bin/cp",
            Self::Docker => "/usr/bin/docker",
            Self::Dockerd => match engine {
                Engine::DockerIo => "/usr/sbin/dockerd",
                Engine::DockerCe => "/usr/bin/dockerd",
            },
            Self::Grep => "/usr/bin/grep",
            Self::Ip => "/usr/sbin/ip",
            Self::Journalctl => "/usr/bin/journalctl",
            Self::Kill => "/bin/kill",
            Self::Logger => "/usr/bin/logger",
            Self::Mount => "/usr/bin/mount",
            Self::Nft => "/usr/sbin/nft",
            Self::Nsenter => "/usr/bin/nsenter",
            Self::Rm => "/usr/bin/rm",
            Self::Sh => "/bin/sh",
            Self::Systemctl => "/usr/bin/systemctl",
            Self::SystemdSysctl => "/usr/lib/systemd/systemd-sysctl",
            Self::Touch => "/usr/bin/touch",
            Self::Tr => "/usr/bin/tr",
            Self::Umount => "/usr/bin/umount",
            Self::Unshare => "/usr/bin/unshare",
        }
    }

    /// Where a running NixOS system has it, if it is among its packages: the profile of the system.
    pub(in crate::render) fn on_nixos(self) -> String {
        match self {
            Self::SystemdSysctl => "/run/current-system/systemd/lib/systemd/systemd-sysctl".to_owned(),
            _ => format!("/run/current-system/sw/bin/{}", self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Program;

    #[test]
    fn every_name_names_one_program() {
        let names: Vec<_> = Program::ALL.into_iter().map(Program::name).collect();
        assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
        assert!(Program::ALL.into_iter().all(|program| Program::named(program.name()) == Some(program)));
        assert_eq!(Program::named("apt-get"), None);
    }
}
