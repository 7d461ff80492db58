# What `./test` needs, without installing anything.
{
  mkShell,
  btrfs-progs,
  cargo,
  cargo-deny,
  clippy,
  dosfstools,
  glibc,
  gptfdisk,
  mmdebstrap,
  openssl,
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
    glibc.static
    gptfdisk
    mmdebstrap
    openssl
    qemu
    rustc
    rustfmt
    util-linux
  ];
}
