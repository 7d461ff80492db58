# shellcheck shell=sh disable=SC2154
# The NIC goes, its link is asked for before it is there again, and made when it is.
link=dmhost-$name-link.service
device=$(basename "$(readlink -f "/sys/class/net/$nic/device")")
wait_for() { timeout 60 sh -c "until systemctl show -P ActiveState,Job $link | grep -qx '$1'; do sleep 0.1; done"; }
echo "$device" >/sys/bus/virtio/drivers/virtio_net/unbind
wait_for inactive
systemctl start --no-block "$link"
# It has a job that waits, or has failed.
wait_for 'failed\|[1-9].*'
echo "$device" >/sys/bus/virtio/drivers/virtio_net/bind
wait_for active
