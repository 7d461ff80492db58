# shellcheck shell=sh disable=SC2154
# The host's rules go, and no daemon of its namespace stays without them.
systemctl stop nftables.service
[ "$(systemctl is-active "dmhost-$name$home.service")" = inactive ]
[ "$(systemctl is-active "dmhost-$name.service")" = inactive ]
