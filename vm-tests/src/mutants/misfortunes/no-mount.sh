# shellcheck shell=sh disable=SC2154
# The daemon's subvolume is not mounted when it starts. One of two units is enough to have it mounted.
sed -i /^RequiresMountsFor=/d "/etc/systemd/system/$other"
systemctl daemon-reload
systemctl stop "$home" "dmhost-$name.service" "srv-dmhost-$name-docker.mount"
systemctl start "dmhost-$name.service"
mountpoint "/srv/dmhost/$name/docker"
