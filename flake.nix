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
      # By builtins: which outputs there are is evaluated without nixpkgs, too (nix/tests/flake.nix).
      each =
        names: of:
        builtins.listToAttrs (
          map (name: {
            inherit name;
            value = of name;
          }) names
        );
      eachSystem = of: each systems (system: of system nixpkgs.legacyPackages.${system});
      examples = import ./nix/examples.nix;
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
            services.dmhost.package = lib.mkDefault self.packages.${pkgs.stdenv.hostPlatform.system}.dmhost;
          };
        default = dmhost;
        # A disk of its own: `config.system.build.image`.
        image = ./nix/image.nix;
      };

      overlays.default = final: _: { dmhost = final.callPackage ./nix/package.nix { }; };

      packages = eachSystem (
        system: pkgs:
        rec {
          dmhost = pkgs.callPackage ./nix/package.nix { };
          default = dmhost;
        }
        // each (map (name: "${name}-image") (builtins.attrNames examples)) (
          image:
          (self.lib.mkHost {
            spec = examples.${builtins.head (builtins.match "(.+)-image" image)};
            inherit system;
            modules = [ self.nixosModules.image ];
          }).config.system.build.image
        )
      );

      apps = eachSystem (
        system: _: rec {
          dmhost = {
            type = "app";
            program = nixpkgs.lib.getExe self.packages.${system}.dmhost;
            meta.description = "Several Docker daemons on one host, each proven to serve only its own network";
          };
          default = dmhost;
        }
      );

      devShells = eachSystem (
        _: pkgs: {
          default = pkgs.callPackage ./nix/shell.nix { };
        }
      );

      checks = eachSystem (system: pkgs: import ./nix/checks.nix { inherit self system pkgs; });

      formatter = eachSystem (_: pkgs: pkgs.nixfmt);
    };
}
