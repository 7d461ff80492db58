# shellcheck shell=sh disable=SC2154
# The host's rules come late, and are there before a daemon of its namespace is.
# The socket would have networkd start again, and with it the rules that it requires.
drop_in=/run/systemd/system/nftables.service.d
mkdir -p "$drop_in"
printf '[Service]\nExecStartPre=/usr/bin/sleep 5\n' >"$drop_in/late.conf"
systemctl daemon-reload
systemctl stop systemd-networkd.socket nftables.service "$home" "dmhost-$name.service"
systemctl start "dmhost-$name.service"
states=$(systemctl is-active nftables.service "$home" "dmhost-$name.service" | sort -u)
[ "$states" = active ]
[ "$(systemctl show -P NRestarts "dmhost-$name.service")" = 0 ]
