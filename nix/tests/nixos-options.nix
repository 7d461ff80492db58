# The options of NixOS that the module reads or sets, with NixOS' own types and defaults, for evaluations against nixpkgs' lib
# alone. An option that is not here fails the evaluation: so this is the list of what the module touches.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  switch =
    default:
    mkOption {
      type = types.bool;
      inherit default;
    };
  word =
    default:
    mkOption {
      type = types.str;
      inherit default;
    };
  strings = mkOption {
    type = types.listOf types.str;
    default = [ ];
  };
  ports = mkOption {
    type = types.listOf types.port;
    default = [ ];
  };
  packages = mkOption {
    type = types.listOf types.anything;
    default = [ ];
  };
  free = mkOption {
    type = types.attrsOf types.anything;
    default = { };
  };
in
{
  options = {
    assertions = packages;
    warnings = strings;
    boot = {
      initrd.availableKernelModules = strings;
      initrd.systemd.enable = switch false;
      initrd.systemd.repart.enable = switch false;
      kernelModules = strings;
      kernelPackages = free;
      kernelParams = strings;
      loader.grub.enable = switch true;
    };
    environment.etc = mkOption {
      default = { };
      type = types.attrsOf (
        types.submodule {
          options = {
            source = mkOption { type = types.path; };
            mode = word "symlink";
            user = word "+0";
            group = word "+0";
          };
        }
      );
    };
    environment.systemPackages = packages;
    fileSystems = free;
    networking = {
      firewall = {
        allowedTCPPorts = ports;
        allowedUDPPorts = ports;
        enable = switch true;
      };
      hostName = mkOption {
        type = types.strMatching "^$|^[[:alnum:]]([[:alnum:]_-]{0,61}[[:alnum:]])?$";
        default = "nixos";
      };
      interfaces = free;
      nat.enable = switch false;
      networkmanager.enable = switch false;
      nftables.enable = switch false;
      resolvconf.enable = switch true;
      useDHCP = switch true;
    };
    services = {
      openssh = {
        authorizedKeysInHomedir = switch true;
        enable = switch false;
        hostKeys = mkOption { type = types.listOf types.attrs; };
        openFirewall = switch true;
        settings = free;
        startWhenNeeded = switch false;
      };
      resolved.enable = switch false;
      udev.packages = packages;
    };
    systemd = {
      defaultUnit = mkOption { type = types.str; };
      generators = mkOption {
        type = types.attrsOf types.path;
        default = { };
      };
      network.config = free;
      network.enable = switch false;
      network.wait-online.enable = switch true;
      package = mkOption { type = types.anything; };
      packages = packages;
      repart.partitions = free;
      services = free;
      tmpfiles.rules = strings;
    };
    system.boot = free;
    system.build = free;
    users.groups = free;
    users.users = free;
    virtualisation.containerd.enable = switch false;
    virtualisation.docker.enable = switch false;
  };

  config.boot.kernelPackages.kernel = "/nix/store/kernel";
  config.system.boot.loader = {
    initrdFile = "initrd";
    kernelFile = "bzImage";
  };
  config.system.build = {
    initialRamdisk = "/nix/store/initrd";
    toplevel = "/nix/store/toplevel";
  };

  # What systemd.network.enable does in NixOS.
  config.services.resolved.enable = lib.mkDefault true;
  config.systemd.defaultUnit = lib.mkOptionDefault "graphical.target";
  config.systemd.package = "/nix/store/systemd";
}
