# What the module sets, as plain values of NixOS' options. Those that it holds against the user are in ./clashes.nix.
{
  host,
  # The folder that `dmhost render --target nixos` wrote.
  layout,
  # The file system of the daemons' subvolumes and its unit, or null.
  device,
  deviceUnit,
}:
let
  tree = import ./tree.nix;
  mounts = map (name: "srv-dmhost-${name}-docker.mount") host.daemons;

  subvolumes = {
    description = "Subvolumes of the Docker daemons";
    before = mounts;
    requiredBy = mounts;
    requires = [ deviceUnit ];
    after = [ deviceUnit ];
    unitConfig.DefaultDependencies = false;
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      PrivateMounts = true;
    };
    environment = {
      DEVICE = device;
      SUBVOLUMES = toString (builtins.attrValues host.subvolumes);
    };
    # Nothing is ever taken away: a subvolume that is there stays as it is.
    script = ''
      mkdir -p /run/dmhost-subvolumes
      mount -t btrfs -o subvolid=5 "$DEVICE" /run/dmhost-subvolumes
      for name in $SUBVOLUMES; do
        [ -e "/run/dmhost-subvolumes/$name" ] || btrfs subvolume create "/run/dmhost-subvolumes/$name"
      done
    '';
  };
in
{
  networking.hostName = host.name;

  environment.etc = tree.etc layout // host.files.etc layout;
  services.udev.packages = [ layout ];
  services.openssh = host.sshd;

  systemd = {
    packages = [ layout ];
    generators.systemd-ssh-generator = "/dev/null";
    tmpfiles.rules = tree.tmpfiles ++ host.files.tmpfiles;

    services = {
      # Units of NixOS that read files of the layout.
      systemd-sysctl.restartTriggers = [ layout ];
      systemd-networkd.reloadTriggers = [ layout ];
    }
    // (if device == null then { } else { dmhost-subvolumes = subvolumes; });
  }
  # networkd takes away what it did not make.
  // (
    if host.isShared then
      {
        network.config.networkConfig = {
          ManageForeignRoutes = false;
          ManageForeignRoutingPolicyRules = false;
        };
      }
    else
      { }
  );

  # dockerd asks for these, and its own way of loading them is not there on NixOS.
  boot.kernelModules = [
    "br_netfilter"
    "bridge"
    "overlay"
    "veth"
    "xt_nat"
  ];

  users = { inherit (host) groups users; };

  fileSystems =
    if device == null then
      { }
    else
      builtins.mapAttrs (_: subvolume: {
        inherit device;
        fsType = "btrfs";
        options = [
          "subvol=${subvolume}"
          "compress=zstd:1"
          "noatime"
        ];
      }) host.subvolumes;
}
