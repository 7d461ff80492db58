# A disk of a host: an ESP with systemd-boot and the one entry that `dmhost verify --image` reads, and one btrfs with flat
# subvolumes. It holds no keys: they come to `services.dmhost.credentialsDirectory` by whatever brings secrets to the host.
{
  config,
  lib,
  modulesPath,
  pkgs,
  ...
}:
let
  # The name of the partition and of its file system; dmhost looks for it.
  label = "dmhost-root";
  device = "/dev/disk/by-partlabel/${label}";

  subvolumes = {
    "/" = "@";
    "/var/log" = "@log";
    "/home" = "@home";
  };
  pure = import ./lib;
  host = pure.host (pure.spec.data config.services.dmhost.spec);
  all = lib.attrValues subvolumes ++ [ "@snapshots" ] ++ lib.attrValues host.subvolumes;

  inherit (pkgs.stdenv.hostPlatform) efiArch;
  entry = pkgs.writeText "dmhost.conf" ''
    title ${config.networking.hostName}
    linux /dmhost/linux
    initrd /dmhost/initrd
    options init=${config.system.build.toplevel}/init ${toString config.boot.kernelParams}
  '';
in
{
  imports = [ "${modulesPath}/image/repart.nix" ];

  services.dmhost.device = device;

  fileSystems = lib.mapAttrs (_: subvolume: {
    inherit device;
    fsType = "btrfs";
    options = [
      "subvol=${subvolume}"
      "compress=zstd:1"
      "noatime"
      "x-systemd.growfs"
    ];
    neededForBoot = true;
  }) subvolumes;

  boot = {
    # The entry is written below; there is no other generation to choose.
    loader.grub.enable = false;
    initrd.systemd.enable = true;
    # The partition grows to the disk, and the file system with it.
    initrd.systemd.repart.enable = true;
    initrd.availableKernelModules = [
      "ahci"
      "nvme"
      "sd_mod"
      "virtio_blk"
      "virtio_pci"
      "virtio_scsi"
    ];
    kernelParams = [ "console=ttyS0,115200" ];
  };
  systemd.repart.partitions."20-root".Type = "root";

  image.repart = {
    name = config.networking.hostName;
    partitions = {
      "10-esp" = {
        contents = {
          "/EFI/BOOT/BOOT${lib.toUpper efiArch}.EFI".source =
            "${config.systemd.package}/lib/systemd/boot/efi/systemd-boot${efiArch}.efi";
          "/loader/loader.conf".source =
            pkgs.writeText "loader.conf" "timeout 0\ndefault dmhost.conf\neditor no\n";
          "/loader/entries/dmhost.conf".source = entry;
          "/dmhost/linux".source =
            "${config.boot.kernelPackages.kernel}/${config.system.boot.loader.kernelFile}";
          "/dmhost/initrd".source =
            "${config.system.build.initialRamdisk}/${config.system.boot.loader.initrdFile}";
        };
        repartConfig = {
          Type = "esp";
          Format = "vfat";
          Label = "dmhost-esp";
          SizeMinBytes = "512M";
        };
      };
      "20-root" = {
        storePaths = [ config.system.build.toplevel ];
        nixStorePrefix = "/@/nix/store";
        repartConfig = {
          Type = "root";
          Format = "btrfs";
          Label = label;
          Subvolumes = lib.concatMapStringsSep " " (name: "/${name}") all;
          SizeMinBytes = "8G";
        };
      };
    };
  };
}
