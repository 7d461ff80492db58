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
    spec = builtins.toFile "host-spec.toml" (pure.spec.text cfg.spec);
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
  };

  path = option: lib.splitString "." option;
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
    lib.mkMerge [
      # Below what a user says, so that the assertion tells of it, and above NixOS' own defaults.
      (lib.mkMerge (
        map (clash: lib.setAttrByPath (path clash.option) (lib.mkOverride 900 clash.value)) pure.clashes
      ))
      {
        assertions =
          map (clash: {
            assertion = lib.getAttrFromPath (path clash.option) config == clash.value;
            message = "services.dmhost: `${clash.option}` must be ${lib.boolToString clash.value}: ${clash.why}.";
          }) pure.clashes
          ++ [
            {
              assertion = !(lib.hasPrefix builtins.storeDir cfg.credentialsDirectory);
              message = "services.dmhost.credentialsDirectory is in the store, which everybody can read: name a folder outside of it.";
            }
            {
              assertion = lib.hasPrefix "/" cfg.credentialsDirectory;
              message = "services.dmhost.credentialsDirectory must be an absolute path.";
            }
            {
              assertion = host.sshd.enable || !config.services.openssh.enable;
              message = "services.dmhost: the host spec has no `host.admin`, and `services.openssh.enable` would listen behind rules that drop it: add `host.admin`, or turn sshd off.";
            }
            {
              assertion = !host.sshd.enable || config.services.openssh.startWhenNeeded;
              message = "services.dmhost: `services.openssh.startWhenNeeded` must be true: an sshd that is always there would listen on every address.";
            }
            {
              assertion = config.networking.interfaces == { };
              message = "services.dmhost: `networking.interfaces` has ${lib.concatStringsSep ", " (lib.attrNames config.networking.interfaces)}: every interface and address belongs into the host spec.";
            }
            {
              assertion = !host.hasQuota || (config.fileSystems."/".fsType or null) == "btrfs";
              message = "services.dmhost: `storage.quota` needs btrfs as the root's file system, and `fileSystems.\"/\".fsType` is another.";
            }
          ];

        networking.hostName = host.name;
        systemd.defaultUnit = lib.mkDefault "multi-user.target";
        systemd.generators.systemd-ssh-generator = "/dev/null";

        systemd.packages = [ layout ];
        services.udev.packages = [ layout ];
        environment.etc = pure.tree.etc layout;
        systemd.tmpfiles.rules = pure.tree.tmpfiles;

        # Units of NixOS that read files of the layout.
        systemd.services.systemd-sysctl.restartTriggers = [ layout ];
        systemd.services.systemd-networkd.reloadTriggers = [ layout ];

        # dockerd asks for these, and its own way of loading them is not there on NixOS.
        boot.kernelModules = [
          "br_netfilter"
          "bridge"
          "overlay"
          "veth"
          "xt_nat"
        ];

        users.groups = host.groups;
        users.users = host.users;
        services.openssh = lib.mkIf host.sshd.enable (
          host.sshd // { startWhenNeeded = lib.mkOverride 900 true; }
        );

        environment.systemPackages = [
          cfg.dockerPackage
          cfg.package
          pkgs.btrfs-progs
          pkgs.nftables
        ];
      }
      (lib.mkIf (cfg.device != null) {
        fileSystems = lib.mapAttrs (_: subvolume: {
          inherit (cfg) device;
          fsType = "btrfs";
          options = [
            "subvol=${subvolume}"
            "compress=zstd:1"
            "noatime"
          ];
        }) host.subvolumes;

        systemd.services.dmhost-subvolumes = {
          description = "Subvolumes of the Docker daemons";
          before = map (name: "srv-dmhost-${name}-docker.mount") host.daemons;
          requiredBy = map (name: "srv-dmhost-${name}-docker.mount") host.daemons;
          unitConfig.DefaultDependencies = false;
          requires = [ "${utils.escapeSystemdPath cfg.device}.device" ];
          after = [ "${utils.escapeSystemdPath cfg.device}.device" ];
          serviceConfig = {
            Type = "oneshot";
            RemainAfterExit = true;
            PrivateMounts = true;
          };
          path = [
            pkgs.btrfs-progs
            pkgs.util-linux
          ];
          # Nothing is ever taken away: a subvolume that is there stays as it is.
          script = ''
            mkdir -p /run/dmhost-subvolumes
            mount -t btrfs -o subvolid=5 ${lib.escapeShellArg cfg.device} /run/dmhost-subvolumes
            for name in ${lib.escapeShellArgs (lib.attrValues host.subvolumes)}; do
              [ -e "/run/dmhost-subvolumes/$name" ] || btrfs subvolume create "/run/dmhost-subvolumes/$name"
            done
          '';
        };
      })
    ]
  );
}
