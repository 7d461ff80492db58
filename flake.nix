{
  description = "Several Docker daemons on one host, each bound to its own network and proven to serve only that network";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      pure = import ./nix/lib;

      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      eachSystem = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      systemOf = pkgs: pkgs.stdenv.hostPlatform.system;
    in
    {
      # What needs no nixpkgs, and `mkHost { spec = ./host.toml; }`, which makes a NixOS system of a host spec.
      lib = pure // {
        mkHost =
          {
            spec,
            system ? "x86_64-linux",
            modules ? [ ],
          }:
          nixpkgs.lib.nixosSystem {
            modules = [
              self.nixosModules.dmhost
              {
                nixpkgs.hostPlatform = system;
                services.dmhost = {
                  enable = true;
                  inherit spec;
                };
              }
            ]
            ++ modules;
          };
      };

      nixosModules = rec {
        dmhost =
          { lib, pkgs, ... }:
          {
            imports = [ ./nix/module.nix ];
            services.dmhost.package = lib.mkDefault self.packages.${systemOf pkgs}.dmhost;
          };
        default = dmhost;
        # A disk of its own: `config.system.build.image`.
        image = ./nix/image.nix;
      };

      overlays.default = final: _: { dmhost = final.callPackage ./nix/package.nix { }; };

      packages = eachSystem (
        pkgs:
        rec {
          dmhost = pkgs.callPackage ./nix/package.nix { };
          default = dmhost;
        }
        // nixpkgs.lib.mapAttrs' (name: spec: {
          name = "${name}-image";
          value =
            (self.lib.mkHost {
              inherit spec;
              system = systemOf pkgs;
              modules = [ self.nixosModules.image ];
            }).config.system.build.image;
        }) (import ./nix/examples.nix)
      );

      apps = eachSystem (pkgs: rec {
        dmhost = {
          type = "app";
          program = nixpkgs.lib.getExe self.packages.${systemOf pkgs}.dmhost;
          meta.description = "Several Docker daemons on one host, each proven to serve only its own network";
        };
        default = dmhost;
      });

      devShells = eachSystem (pkgs: {
        default = pkgs.callPackage ./nix/shell.nix { };
      });

      checks = eachSystem (pkgs: import ./nix/checks.nix { inherit self pkgs; });

      formatter = eachSystem (pkgs: pkgs.nixfmt);
    };
}
