# shellcheck shell=sh disable=SC2154
# The host's rules go, and no daemon of its namespace stays without them.
# The socket would have networkd start again, and with it the rules that it requires.
systemctl stop systemd-networkd.socket nftables.service
[ "$(systemctl is-active "$home")" = inactive ]
[ "$(systemctl is-active "dmhost-$name.service")" = inactive ]
