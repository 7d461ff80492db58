# shellcheck shell=sh disable=SC2154
# Somebody else's containerd runs, and no daemon is to use it.
systemctl stop "dmhost-$name.service"
systemd-run -q containerd --root /run/other/root --state /run/other/state
timeout 60 sh -c 'until [ -S /run/containerd/containerd.sock ]; do sleep 0.1; done'
if systemctl start "dmhost-$name.service"; then exit 1; fi
