# The command, with the programs it calls on its PATH.
{
  lib,
  rustPlatform,
  makeWrapper,
  installShellFiles,
  btrfs-progs,
  glibc,
  mmdebstrap,
  qemu,
  util-linux,
}:
let
  manifest = lib.importTOML ../Cargo.toml;
in
rustPlatform.buildRustPackage {
  pname = "dmhost";
  inherit (manifest.workspace.package) version;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.toml
      ../Cargo.lock
      ../cli
      ../docs
      ../examples
      ../images
      ../layout
      ../pki
      ../vm-tests
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;
  cargoBuildFlags = [ "--package=dmhost" ];

  # The tests of the other crates build Debian images and boot them: they run where there is a network.
  cargoTestFlags = [ "--package=dmhost-layout" ];

  # The probe that runs in the guest's containers is linked statically.
  buildInputs = [ glibc.static ];

  nativeBuildInputs = [
    installShellFiles
    makeWrapper
  ];

  postInstall = ''
    installShellCompletion --cmd dmhost \
      --bash <($out/bin/dmhost completions bash) \
      --fish <($out/bin/dmhost completions fish) \
      --zsh <($out/bin/dmhost completions zsh)
    wrapProgram $out/bin/dmhost --suffix PATH : ${
      lib.makeBinPath [
        btrfs-progs
        mmdebstrap
        qemu
        util-linux
      ]
    }
  '';

  meta = {
    description = "Several Docker daemons on one host, each proven to serve only its own network";
    license = lib.licenses.mit;
    mainProgram = "dmhost";
    platforms = lib.platforms.linux;
  };
}
