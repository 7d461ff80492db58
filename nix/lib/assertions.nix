# What has to hold of an evaluated system, for the host to be what its spec says: NixOS' `assertions` and `warnings`.
{ host, config }:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    elem
    filter
    foldl'
    isString
    split
    substring
    stringLength
    toJSON
    ;
  cfg = config.services.dmhost;
  startsWith = prefix: text: substring 0 (stringLength prefix) text == prefix;
  valueOf = option: foldl' (value: name: value.${name}) config (filter isString (split "[.]" option));
  opened = filter (option: config.networking.firewall.${option} != [ ]) [
    "allowedTCPPorts"
    "allowedUDPPorts"
  ];
  unknown = filter (name: !elem name host.packages) (attrNames cfg.packages);
  unmapped = filter (name: !elem name (attrNames cfg.packages)) host.packages;
in
{
  assertions =
    map (clash: {
      assertion = valueOf clash.option == clash.value;
      message = "services.dmhost: `${clash.option}` must be ${toJSON clash.value}: ${clash.why}.";
    }) (import ./clashes.nix host)
    ++ [
      {
        assertion = !startsWith builtins.storeDir cfg.credentialsDirectory;
        message = "services.dmhost.credentialsDirectory is in the store, which everybody can read: name a folder outside of it.";
      }
      {
        assertion = startsWith "/" cfg.credentialsDirectory;
        message = "services.dmhost.credentialsDirectory must be an absolute path.";
      }
      {
        assertion = config.networking.interfaces == { };
        message = "services.dmhost: `networking.interfaces` has ${concatStringsSep ", " (attrNames config.networking.interfaces)}: every interface and address belongs into the host spec.";
      }
      {
        assertion = !host.hasQuota || (config.fileSystems."/".fsType or null) == "btrfs";
        message = "services.dmhost: `storage.quota` needs btrfs as the root's file system, and `fileSystems.\"/\".fsType` is another.";
      }
      {
        assertion = unknown == [ ];
        message = "services.dmhost.packages has ${concatStringsSep ", " unknown}, and `host.packages` of the host spec does not: add it there, or use `environment.systemPackages`.";
      }
    ];

  warnings =
    map (
      option:
      "services.dmhost: `networking.firewall.${option}` opens nothing: the host's rules are the layout's, and drop all but `host.admin`'s sshd."
    ) opened
    ++ map (
      name:
      "services.dmhost.packages has nothing for the Debian package `${name}` of `host.packages`: give it the package of nixpkgs that has the same, or null."
    ) unmapped
    ++ map (
      path:
      "services.dmhost: the mode of `${path}` in `host.files` keeps others from reading it, and its content is in the store, which everybody can read: hold a secret by other means."
    ) host.files.closed;
}
