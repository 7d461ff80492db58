# The base as every host shall find it: nobody's name, nobody's keys, nothing started that the layout did not ask for.
# $1: the tree; then the units whose enablement is taken back.
umask 022
root=$1
shift
for unit in "$@"; do
    rm -f "$root"/etc/systemd/system/*.wants/"$unit" "$root"/etc/systemd/system/*.requires/"$unit"
done
rm -f "$root/etc/hostname" "$root/etc/resolv.conf" "$root"/etc/ssh/ssh_host_* "$root/etc/apt/sources.list" \
    "$root/var/lib/dbus/machine-id" "$root"/etc/*- "$root/var/lib/systemd/random-seed"
: >"$root/etc/machine-id"
# For the making alone: a host that loses power in the middle of an upgrade needs dpkg's care.
rm "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
# What is left of the way here, which is another one with another mmdebstrap: older copies, and the order of accounts.
rm -rf "$root"/var/lib/dpkg/*-old "$root"/var/cache/debconf/*-old "$root/var/cache/debconf/tmp.ci"
for pair in passwd:shadow group:gshadow; do
    new=$root/etc/${pair#*:}.new
    awk -F: 'NR == FNR { line[$1] = $0; next } $1 in line { print line[$1] }' "$root/etc/${pair#*:}" "$root/etc/${pair%:*}" >"$new"
    # Mode and owner stay.
    cat "$new" >"$root/etc/${pair#*:}"
    rm "$new"
done
# apt gives it to its own user or not, by where the packages lay.
chown 0:0 "$root/var/cache/apt/archives/partial"
rm -rf "$root"/etc/apt/sources.list.d/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root/var/lib/docker" "$root/var/lib/containerd"
find "$root/dev" "$root/run" "$root/tmp" "$root/var/tmp" -mindepth 1 -delete
find "$root/var/log" -type f -delete
find "$root/var/cache/ldconfig" -type f -delete 2>/dev/null || :
# No account has a password: the field is `*` or `!*` or `!`.
if cut -d: -f2 "$root/etc/shadow" | grep -qvxE '!?\*|!'; then
    echo "an account of the base has a password field that is not locked" >&2
    exit 1
fi
tar --extract --directory "$root" --keep-directory-symlink --no-overwrite-dir --same-permissions --same-owner --numeric-owner
