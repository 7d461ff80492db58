# Lays each layout over the base in turn and has the base's own programs judge its files.
# Standard input: a tar of `LAYOUT.tree/...` (the files) and `LAYOUT.jobs` (lines: oracle, then what it is to judge).
# Standard output: for each job a line `verdict STATUS LAYOUT ORACLE ARGUMENTS`, after the lines the oracle said.
# $1: an empty folder; $2: the base's tree. The caller has made the namespaces of mounts and of the network.
stage=$1 base=$2
mount -t tmpfs -o mode=0755 oracles "$stage"
cd "$stage"
mkdir in base
mount --bind -o ro "$base" base
tar --extract --directory in --same-permissions --same-owner --numeric-owner

# Engines before 23.0 have no such flag.
validates=$(chroot base dockerd --help 2>&1 | grep -e --validate || :)

judge() {
    oracle=$1
    shift
    for file in "$@"; do
        # An oracle that is given nothing judges nothing.
        # An instance stands for its template.
        stands=$tree$(echo "$file" | sed s/@oracle/@/)
        case $file in /*) [ -s "$stands" ] || { echo "$file is not there"; return 99; } ;; esac
    done
    case $oracle in
        # Without the flag unknown keys are no errors.
        units) chroot "$tree" systemd-analyze verify --recursive-errors=no --man=no "$@" ;;
        # What adds to a table needs it loaded: the first file is loaded, the last one judged.
        rules)
            chroot "$tree" nft flush ruleset || return
            while [ $# -gt 1 ]; do
                chroot "$tree" nft -f "$1" || return
                shift
            done
            chroot "$tree" nft -c -f "$1"
            ;;
        dockerd)
            if [ -n "$validates" ]; then
                chroot "$tree" dockerd --validate --config-file "$1"
                return
            fi
            # It is started and ends at its socket, in whose place it finds a folder, after it has read all that it is given.
            socket=$(sed -n 's,.*"unix://\([^"]*\)".*,\1,p' "$tree$1")
            mkdir -p "$tree$socket/taken"
            said=$(chroot "$tree" dockerd --config-file "$1" 2>&1)
            echo "$said"
            case $said in *"can't create unix socket ${socket:-nowhere}: is a directory"*) ;; *) return 1 ;; esac
            ;;
        sshd) chroot "$tree" /usr/sbin/sshd -t ;;
        fstab) chroot "$tree" findmnt --verify --tab-file "$1" ;;
        udev) chroot "$tree" udevadm verify "$@" ;;
        sysusers) chroot "$tree" systemd-sysusers --dry-run "$@" ;;
        tmpfiles) chroot "$tree" systemd-tmpfiles --create --dry-run "$1" ;;
        keys) chroot "$tree" ssh-keygen -l -f "$1" ;;
        script) chroot "$tree" sh -n "$1" ;;
        # What it calls is called, and finds that no host runs here.
        dpkg) chroot "$tree" dpkg --configure --pending ;;
        *) echo "there is no oracle $oracle"; return 98 ;;
    esac
}

for jobs in in/*.jobs; do
    layout=${jobs##*/}
    layout=${layout%.jobs}
    tree=$stage/$layout
    mkdir "$tree" "in/$layout.work"
    chmod 0755 "in/$layout.tree"
    mount -t overlay -o "lowerdir=base,upperdir=in/$layout.tree,workdir=in/$layout.work" oracles "$tree"
    mount -t proc proc "$tree/proc"
    for folder in run tmp sys dev; do
        mount -t tmpfs oracles "$tree/$folder"
    done
    mount --bind /dev/null "$(: >"$tree/dev/null" && echo "$tree/dev/null")"
    # nft asks which control group a path is; the kernel is not asked.
    for slice in "$tree"/etc/systemd/system/dmhost-*.slice; do
        daemon=$(basename "$slice" .slice)
        mkdir -p "$tree/sys/fs/cgroup/dmhost.slice/$daemon.slice/$daemon.service"
    done
    mkdir "$tree/run/sshd" "$tree/run/dmhost_ns" "$tree/run/netns"
    chroot "$tree" systemd-sysusers
    chroot "$tree" ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
    while read -r oracle arguments; do
        status=0
        # shellcheck disable=SC2086 -- paths of a layout have no spaces
        judge "$oracle" $arguments </dev/null 2>&1 || status=$?
        echo "verdict $status $layout $oracle $arguments"
    done <"$jobs"
    umount -R "$tree"
done
