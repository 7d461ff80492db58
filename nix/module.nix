# `services.dmhost`: the host of a host spec, as a NixOS system.
#
# The layout is rendered by dmhost in a derivation; units are taken by `systemd.packages`, rules of udev by
# `services.udev.packages`, the rest by `environment.etc`. What NixOS has options for (see lib/host.nix) is said by them, and
# what would work against the layout is turned off (see lib/clashes.nix).
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  cfg = config.services.dmhost;
  pure = import ./lib;
  schema = pure.schema (builtins.fromJSON (builtins.readFile ../docs/host-spec.schema.json));

  data = pure.spec.data cfg.spec;
  host = pure.host data;

  layout = pkgs.callPackage ./layout.nix {
    dmhost = cfg.package;
    spec = pkgs.writeText "host-spec.toml" (pure.spec.text cfg.spec);
    name = pure.spec.name cfg.spec;
    programs = pure.programs {
      inherit (pkgs)
        bash
        btrfs-progs
        coreutils
        gnugrep
        iproute2
        nftables
        procps
        util-linux
        ;
      docker = cfg.dockerPackage;
      systemd = config.systemd.package;
    };
    inherit (cfg) credentialsDirectory;
    inherit (pure.tree) taken;
    files = host.files.paths;
  };

  judged = pure.assertions { inherit host config; };
in
{
  options.services.dmhost = {
    enable = lib.mkEnableOption "Docker daemons in zones of their own, from a host spec of dmhost";

    spec = lib.mkOption {
      type = (import ./options.nix { inherit lib; }).specType schema;
      example = lib.literalExpression "./host.toml";
      description = ''
        The host spec: a TOML file, or the same as attributes. What is wrong with it is reported when the system is built,
        by dmhost, with the place and what to write instead.
      '';
    };

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.dmhost or (pkgs.callPackage ./package.nix { });
      defaultText = lib.literalExpression "pkgs.dmhost";
      description = "The dmhost that renders the layout.";
    };

    dockerPackage = lib.mkPackageOption pkgs "docker" { };

    packages = lib.mkOption {
      type = lib.types.attrsOf (lib.types.nullOr lib.types.package);
      default = { };
      example = lib.literalExpression "{ inherit (pkgs) tcpdump; vim-tiny = pkgs.vim; }";
      description = ''
        What `host.packages` of the spec means here: for each of its names, which are Debian's, the package that has the
        same; `null` for one that is not needed. A name that is missing is a warning.
      '';
    };

    credentialsDirectory = lib.mkOption {
      type = lib.types.str;
      default = "/var/lib/dmhost/credentials";
      example = "/run/secrets/dmhost";
      description = ''
        The folder that holds `DAEMON/ca.pem`, `DAEMON/cert.pem` and `DAEMON/key.pem` of every daemon with an `api`, for root
        alone. They are read when a daemon starts. A string and not a path of Nix: a path would copy the keys into the
        store, which everybody can read.
      '';
    };

    device = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "/dev/disk/by-label/root";
      description = ''
        The btrfs file system with one subvolume `@docker-DAEMON` per daemon at its top level; one that is not there is made at
        boot. `null`: where the daemons' data lies is up to `fileSystems`, and without an entry there it lies on the root.
      '';
    };

    layout = lib.mkOption {
      type = lib.types.package;
      readOnly = true;
      default = layout;
      defaultText = lib.literalMD "what `dmhost render --target nixos` makes of `spec`";
      description = "The layout as a folder of the store, to be looked at: `nix build .#nixosConfigurations.HOST.config.services.dmhost.layout`.";
    };
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge (
      # Below what a user says, so that the assertion tells of it, and above NixOS' own defaults.
      map (clash: lib.setAttrByPath (lib.splitString "." clash.option) (lib.mkOverride 900 clash.value)) (
        pure.clashes host
      )
      ++ [
        (pure.values {
          inherit host layout;
          inherit (cfg) device;
          deviceUnit = "${utils.escapeSystemdPath (toString cfg.device)}.device";
        })
        {
          inherit (judged) assertions warnings;
          systemd.defaultUnit = lib.mkDefault "multi-user.target";
          environment.systemPackages = [
            cfg.dockerPackage
            cfg.package
            pkgs.btrfs-progs
            pkgs.nftables
          ]
          ++ lib.filter (package: package != null) (lib.attrValues cfg.packages);
        }
        (lib.mkIf (cfg.device != null) {
          systemd.services.dmhost-subvolumes.path = [
            pkgs.btrfs-progs
            pkgs.util-linux
          ];
        })
      ]
    )
  );
}
