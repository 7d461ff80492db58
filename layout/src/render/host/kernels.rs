//! Kernels and boot loaders that apt brings reach the ESP: it holds a copy of each kernel of `/boot` with its initramfs, and an entry for
//! each, of which systemd-boot takes the newest; and the systemd-boot of `/usr`, in both of its places.
//!
//! Every step can be cut off by a loss of power: an entry gets its name when all that it names is on the disk, and loses it before
//! that is taken away.
//!
//! Sources: update-initramfs(8), the Debian kernel handbook (`/etc/kernel`), systemd-boot(7), loader.conf(5);
//! dpkg(1), `--post-invoke`.

use crate::layout::{Content, Entry, Layout};
use crate::plan::HostPlan;

const SCRIPT: &str = "/usr/lib/dmhost/boot-entries";

/// What calls it: a kernel's initramfs was made, which is how the installation of a kernel ends; a kernel was removed.
const HOOKS: [&str; 2] = ["/etc/initramfs/post-update.d/zz-dmhost", "/etc/kernel/postrm.d/zz-dmhost"];

/// dpkg calls the other script whenever it has installed or removed something: a package of its own, which could have a trigger, is not
/// needed for that.
const LOADER: (&str, &str) = ("/etc/dpkg/dpkg.cfg.d/dmhost-boot", "/usr/lib/dmhost/boot-loader");

const CHECK: &str = r#"#!/bin/sh
# The ESP gets the boot loader of /usr when that has changed since.
set -eu
[ -e /run/dmhost-root ] || exit 0
loader=/usr/lib/systemd/boot/efi/systemd-bootx64.efi
[ -e "$loader" ] || exit 0
stamp=/var/lib/dmhost/boot-loader
now=$(sha256sum <"$loader")
[ ! -e "$stamp" ] || [ "$(cat "$stamp")" != "$now" ] || exit 0
/usr/lib/dmhost/boot-entries
mkdir -p "${stamp%/*}"
echo "$now" >"$stamp"
"#;

const COPY: &str = r#"#!/bin/sh
# The ESP's kernels and boot entries are made those of /boot, and its boot loader that of /usr.
set -eu
# Where the root was not mounted by this host's initramfs there is no boot to care for: a chroot, a rescue system.
[ -e /run/dmhost-root ] || exit 0
root=$(readlink -f /run/dmhost-root)
disk=$(readlink -f "/sys/class/block/${root##*/}/..")
for number in "$disk"/*/partition; do
    read -r at <"$number"
    if [ "$at" = 1 ]; then
        partition=${number%/partition}
        device=/dev/${partition##*/}
    fi
done
esp=$(mktemp -d /run/dmhost-esp.XXXXXX)
trap 'umount "$esp" || true; rmdir "$esp"' EXIT
mount -t vfat -o umask=0077 "$device" "$esp"
copy() {
    if cmp -s "$1" "$2"; then return; fi
    cp "$1" "$2.new"
    sync -f "$esp"
    mv "$2.new" "$2"
}
loader=/usr/lib/systemd/boot/efi/systemd-bootx64.efi
for place in EFI/systemd/systemd-bootx64.efi EFI/BOOT/BOOTX64.EFI; do
    [ ! -e "$loader" ] || copy "$loader" "$esp/$place"
    sync -f "$esp"
done
entries=$esp/loader/entries
template=$(find "$entries" -name 'dmhost-*.conf' | sort -V | tail -n 1)
found=
for kernel in /boot/vmlinuz-*; do
    version=${kernel#/boot/vmlinuz-}
    initrd=/boot/initrd.img-$version
    [ -e "$initrd" ] || continue
    found=yes
    mkdir -p "$esp/dmhost/$version"
    copy "$kernel" "$esp/dmhost/$version/linux"
    copy "$initrd" "$esp/dmhost/$version/initrd"
    sync -f "$esp"
    entry=$entries/dmhost-$version.conf
    [ ! -e "$entry" ] || continue
    sed -e "s|^version .*|version $version|" -e "s|^linux .*|linux /dmhost/$version/linux|" \
        -e "s|^initrd .*|initrd /dmhost/$version/initrd|" "$template" >"$entry.new"
    sync -f "$esp"
    mv "$entry.new" "$entry"
    sync -f "$esp"
done
[ "$found" = yes ] || exit 0
for entry in "$entries"/dmhost-*.conf; do
    version=${entry##*/dmhost-}
    version=${version%.conf}
    [ ! -e "/boot/vmlinuz-$version" ] || continue
    rm "$entry"
    sync -f "$esp"
    rm -r "${esp:?}/dmhost/$version"
done
"#;

pub(in crate::render) fn render(_: &HostPlan, layout: &mut Layout) {
    layout.insert(SCRIPT, Entry { mode: 0o755, content: Content::Text(COPY.to_owned()) });
    let (hook, check) = LOADER;
    layout.insert(check, Entry { mode: 0o755, content: Content::Text(CHECK.to_owned()) });
    layout.text(hook, format!("post-invoke={check}\n"));
    for hook in HOOKS {
        layout.link(hook, SCRIPT);
    }
}
