{
  description = "Several Docker daemons on one host, each bound to its own network and proven to serve only that network";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      eachSystem = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
    in
    {
      packages = eachSystem (pkgs: rec {
        dmhost = pkgs.callPackage ./nix/package.nix { };
        default = dmhost;
      });

      devShells = eachSystem (pkgs: {
        default = pkgs.callPackage ./nix/shell.nix { };
      });

      formatter = eachSystem (pkgs: pkgs.nixfmt-rfc-style);
    };
}
