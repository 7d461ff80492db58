# What `./test` needs, without installing anything.
{
  mkShell,
  btrfs-progs,
  cargo,
  cargo-deny,
  clippy,
  dosfstools,
  gptfdisk,
  mmdebstrap,
  openssl,
  pkgsStatic,
  qemu,
  rustc,
  rustfmt,
  util-linux,
}:
mkShell {
  packages = [
    btrfs-progs
    cargo
    cargo-deny
    clippy
    dosfstools
    gptfdisk
    mmdebstrap
    openssl
    pkgsStatic.busybox
    qemu
    rustc
    rustfmt
    util-linux
  ];
}
