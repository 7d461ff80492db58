# shellcheck shell=sh disable=SC2154
# The zone is stopped, and nothing of it stays.
systemctl stop "dmhost-$name-zone.service"
[ "$(systemctl is-active "dmhost-$name-link.service")" = inactive ]
[ "$(systemctl is-active "dmhost-$name.service")" = inactive ]
