# The agent: runs scripts that come over a virtio-serial port, several at once.
#   host to guest:  run NUMBER SECONDS LENGTH\n  and LENGTH bytes of bash
#                   put NUMBER MODE LENGTH PATH\n  and LENGTH bytes for the file PATH
#   guest to host:  NUMBER STATUS OUT ERR\n  and OUT bytes of standard output, ERR bytes of standard error
# STATUS is an exit status, or `timeout`. The first message has number 0: hello, with the uptime as output.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 SYSTEMD_PAGER= SYSTEMD_COLORS=0
name=dmhost.agent
work=/run/dmhost-agent

port() {
    local file
    for file in /sys/class/virtio-ports/*/name; do
        if [[ -r $file && $(<"$file") == "$name" ]]; then
            file=${file%/name}
            device=/dev/${file##*/}
            [[ -c $device ]] && return 0
        fi
    done
    return 1
}

# The port's driver is a module that coldplug loads late; udev's own link to the port comes later still.
modprobe -q virtio_console
port || { udevadm wait --timeout=600 "/dev/virtio-ports/$name" && port; } || exit 1
exec 3<>"$device"
mkdir -p -m 0700 "$work"
: >"$work/lock"

answer() { # number status stem
    local sizes
    # A process costs as much as most scripts do.
    sizes=$(stat -c %s "$3.out" "$3.err")
    {
        flock 9
        printf '%s %s %s %s\n' "$1" "$2" $sizes >&3
        cat "$3.out" "$3.err" >&3
    } 9<"$work/lock"
    rm -f "$3" "$3.out" "$3.err"
}

run() { # number seconds
    local stem=$work/$1 status start
    start=${EPOCHREALTIME/[.,]/}
    timeout -k 2 "$2" bash "$stem" </dev/null >"$stem.out" 2>"$stem.err" 3>&-
    status=$?
    case $status in
    124 | 137) ((${EPOCHREALTIME/[.,]/} - start >= $2 * 1000000)) && status=timeout ;;
    esac
    answer "$1" "$status" "$stem"
}

read -r uptime _ </proc/uptime
printf '0 0 %s 0\n%s' "${#uptime}" "$uptime" >&3

while read -r verb number argument length path <&3; do
    stem=$work/$number
    case $verb in
    run)
        head -c "$length" <&3 >"$stem"
        run "$number" "$argument" &
        ;;
    put)
        head -c "$length" <&3 >"$stem"
        install -D -m "$argument" "$stem" "$path" >"$stem.out" 2>"$stem.err"
        answer "$number" $? "$stem"
        ;;
    esac
done
