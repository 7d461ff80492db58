# Lays a layout (a tar on standard input) over a base without copying it, and makes a btrfs of both.
# Standard output is the file, which need not have a name.
# $1: an empty folder to work in; $2: the base's tree; $3: options of mkfs.btrfs by words;
# $4: the root's subvolume; then, for each other subvolume, its name and its mount (or -), the deepest mounts first.
umask 022
exec 3>&1 >&2
stage=$1 base=$2 options=$3 root=$4
shift 4
mount -t tmpfs -o mode=0755 dmhost "$stage"
mkdir "$stage/base" "$stage/upper" "$stage/overlay" "$stage/top" "$stage/top/$root"
mount --bind -o ro "$base" "$stage/base"
chmod --reference="$stage/base" "$stage/upper"
cd "$stage"
mount -t overlay -o lowerdir=base,upperdir=upper,workdir=overlay dmhost "top/$root"
tree=$stage/top/$root
tar --extract --directory "$tree" --keep-directory-symlink --no-overwrite-dir --same-permissions --same-owner --numeric-owner
# Groups and users of the layout's sysusers.d: made here, so that nothing has to make them while the host boots.
chroot "$tree" systemd-sysusers
rm -f "$tree/etc/.pwd.lock" "$tree"/etc/*-
# What is mounted elsewhere at run time goes into that subvolume, and its mountpoint stays as an empty folder.
count=0
name=
for word in "$@"; do
    if [ -z "$name" ]; then
        name=$word
        continue
    fi
    if [ "$word" = - ]; then
        mkdir "$stage/top/$name"
    else
        count=$((count + 1))
        mkdir -p "$stage/top/$name" "$stage/empty$count" "$tree$word"
        mount --rbind "$tree$word" "$stage/top/$name"
        mount --bind "$stage/empty$count" "$tree$word"
    fi
    name=
done
# systemd takes a host for updated, and rebuilds caches for seconds, unless these are newer than /usr.
: >"$tree/etc/.updated"
: >"$tree/var/.updated"
set --
for name in "$stage"/top/*; do
    set -- "$@" --subvol "rw:${name##*/}"
done
# shellcheck disable=SC2086 -- the options are words
exec mkfs.btrfs $options --rootdir "$stage/top" "$@" /proc/self/fd/3
