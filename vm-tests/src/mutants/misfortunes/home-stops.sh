# shellcheck shell=sh disable=SC2154
# What the daemon lives in, a zone or a bridge, is stopped, and nothing of it stays.
systemctl stop "$home"
[ "$(systemctl is-active "dmhost-$name-link.service")" = inactive ]
[ "$(systemctl is-active "dmhost-$name.service")" = inactive ]
