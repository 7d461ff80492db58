//! UEFI for machines: OVMF, where distributions put it.

use std::path::Path;

use anyhow::Result;

use crate::vm::Verdict;

/// OVMF's two halves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Firmware {
    /// Its code.
    pub(super) code: &'static str,
    /// Its variables as they are before the first boot.
    pub(super) variables: &'static str,
}

/// Debian's `ovmf`, Fedora's `edk2-ovmf`, Arch's `edk2-ovmf`, and what QEMU itself brings along.
const PLACES: [Firmware; 4] = [
    Firmware { code: "/usr/share/OVMF/OVMF_CODE_4M.fd", variables: "/usr/share/OVMF/OVMF_VARS_4M.fd" },
    Firmware { code: "/usr/share/edk2/ovmf/OVMF_CODE.fd", variables: "/usr/share/edk2/ovmf/OVMF_VARS.fd" },
    Firmware { code: "/usr/share/edk2/x64/OVMF_CODE.4m.fd", variables: "/usr/share/edk2/x64/OVMF_VARS.4m.fd" },
    Firmware { code: "/usr/share/qemu/edk2-x86_64-code.fd", variables: "/usr/share/qemu/edk2-i386-vars.fd" },
];

/// Sees whether there is any.
///
/// # Errors
/// If not, with the package that has it.
pub fn preflight() -> Result<()> {
    find().map(drop)
}

/// The first that is there.
pub(super) fn find() -> Result<Firmware> {
    let there = |firmware: &Firmware| Path::new(firmware.code).is_file() && Path::new(firmware.variables).is_file();
    let missing = || {
        let (first, others) = (PLACES[0].code, PLACES.len() - 1);
        Verdict::Infrastructure(format!("no UEFI firmware at {first} or {others} other places (Debian: ovmf)"))
    };
    Ok(PLACES.into_iter().find(there).ok_or_else(missing)?)
}
