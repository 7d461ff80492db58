# shellcheck shell=sh disable=SC2154
# The mount that zones are kept in comes late, and is there before a zone is.
drop_in=/run/systemd/system/run-dmhost_ns.mount.d
systemctl stop "$home" "dmhost-$name-link.service" "dmhost-$name.service" run-dmhost_ns.mount
mkdir -p "$drop_in"
printf '[Service]\nType=oneshot\nExecStart=/usr/bin/sleep 5\n' >/run/systemd/system/late.service
printf '[Unit]\nRequires=late.service\nAfter=late.service\n' >"$drop_in/late.conf"
systemctl daemon-reload
systemctl start "dmhost-$name.service"
states=$(systemctl is-active run-dmhost_ns.mount "$home" "dmhost-$name.service" | sort -u)
[ "$states" = active ]
mountpoint "/run/dmhost_ns/$name"
[ "$(systemctl show -P NRestarts "dmhost-$name.service")" = 0 ]
