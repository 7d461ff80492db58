# The programs that a layout calls, by the packages that have them: what `dmhost render --programs` reads.
{
  bash,
  btrfs-progs,
  coreutils,
  docker,
  gnugrep,
  iproute2,
  nftables,
  procps,
  systemd,
  util-linux,
}:
{
  btrfs = "${btrfs-progs}/bin/btrfs";
  cp = "${coreutils}/bin/cp";
  docker = "${docker}/bin/docker";
  dockerd = "${docker}/bin/dockerd";
  grep = "${gnugrep}/bin/grep";
  ip = "${iproute2}/bin/ip";
  journalctl = "${systemd}/bin/journalctl";
  kill = "${procps}/bin/kill";
  logger = "${util-linux}/bin/logger";
  mount = "${util-linux}/bin/mount";
  nft = "${nftables}/bin/nft";
  nsenter = "${util-linux}/bin/nsenter";
  rm = "${coreutils}/bin/rm";
  sh = "${bash}/bin/sh";
  systemctl = "${systemd}/bin/systemctl";
  systemd-sysctl = "${systemd}/lib/systemd/systemd-sysctl";
  touch = "${coreutils}/bin/touch";
  tr = "${coreutils}/bin/tr";
  umount = "${util-linux}/bin/umount";
  unshare = "${util-linux}/bin/unshare";
}
