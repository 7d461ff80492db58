# shellcheck shell=sh disable=SC2154
# What the daemon lives in, a zone or a bridge, comes late: whoever needs it waits.
drop_in=/run/systemd/system/$home.d
mkdir -p "$drop_in"
printf '[Service]\nExecStartPre=/usr/bin/sleep 5\n' >"$drop_in/late.conf"
systemctl daemon-reload
systemctl stop "$home" "dmhost-$name-link.service" "dmhost-$name.service"
systemctl start "dmhost-$name.service"
states=$(systemctl is-active "$home" "dmhost-$name-link.service" "dmhost-$name.service" | sort -u)
[ "$states" = active ]
[ "$(systemctl show -P NRestarts "dmhost-$name.service")" = 0 ]
# No interface is there before: in the host's namespace it would be one without rules.
[ "$(systemctl show -P ActiveEnterTimestampMonotonic "$home")" -le \
    "$(systemctl show -P InactiveExitTimestampMonotonic "dmhost-$name-link.service")" ]
