# What `nix flake check` builds, for one system.
{
  self,
  system,
  pkgs,
}:
let
  inherit (pkgs) lib;
  inherit (self.packages.${system}) dmhost;

  # The keys of the tests are made in the store, where everybody can read them. Those of a host never are.
  keys = pkgs.callPackage ./tests/keys.nix {
    inherit dmhost;
    spec = ../examples/two-vlans.toml;
  };
  image =
    (self.lib.mkHost {
      spec = ../examples/two-vlans.toml;
      inherit system;
      modules = [
        self.nixosModules.image
        {
          # Where the agent of the proof looks for bash and for all else.
          system.activationScripts.proof = ''
            mkdir -p /bin /usr/local
            ln -sfn /run/current-system/sw/bin/bash /bin/bash
            ln -sfn /run/current-system/sw/bin /usr/local/bin
          '';
          image.repart.partitions."20-root".contents."/@/var/lib/dmhost/credentials".source =
            "${keys}/credentials";
        }
      ];
    }).config.system.build.image;

  failures = import ./tests/module.nix { inherit lib; };

  # The same proof as on the Debian image, of the same spec. Its machine is one of x86.
  proof =
    pkgs.runCommand "dmhost-proof"
      {
        nativeBuildInputs = [ dmhost ];
        requiredSystemFeatures = [ "kvm" ];
      }
      ''
        export HOME=$PWD
        cp ${../examples/two-vlans.toml} host.toml
        cp -r ${keys}/pki host.pki
        find host.pki -type d -exec chmod 0700 {} +
        find host.pki -type f -exec chmod 0600 {} +
        install -m 0600 ${image}/*.raw host.raw
        dmhost verify host.toml --image host.raw --report "$out"
      '';
in
{
  inherit dmhost;

  module = pkgs.runCommand "dmhost-module" { } (
    if failures == [ ] then "touch $out" else throw (lib.concatStringsSep "\n" failures)
  );

  format = pkgs.runCommand "dmhost-nixfmt" { nativeBuildInputs = [ pkgs.nixfmt ]; } ''
    find ${../nix} ${../flake.nix} -name '*.nix' -exec nixfmt --check {} +
    touch $out
  '';

  # Two machines of the NixOS test driver: the host, and a neighbour on the trunk.
  two-vlans = pkgs.testers.runNixOSTest {
    imports = [ ./tests/two-vlans.nix ];
    _module.args = { inherit self keys; };
  };
}
// (if system == "x86_64-linux" then { two-vlans-proof = proof; } else { })
