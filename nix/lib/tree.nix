# A layout for NixOS -> the options that take its files. `layout` is the folder that `dmhost render --target nixos` wrote.
#
# Which files a layout has depends on the spec; which options take them does not. So nothing has to be built to evaluate a
# system, and `taken` lets the build fail on a file that no option takes.
let
  # Folder or file below /etc -> what takes it.
  takers = {
    "dmhost/" = "environment.etc";
    "modules-load.d/dmhost.conf" = "environment.etc";
    "nftables.conf" = "environment.etc";
    "sysctl.d/90-dmhost.conf" = "environment.etc";
    "systemd/network/" = "environment.etc";
    "systemd/system/" = "systemd.packages";
    "udev/rules.d/" = "services.udev.packages";
  };

  isFolder = path: builtins.match ".*/" path != null;
  below = folder: path: builtins.substring 0 (builtins.stringLength folder) path == folder;
  ofEtc = builtins.filter (path: takers.${path} == "environment.etc") (builtins.attrNames takers);
in
rec {
  inherit takers;

  # The option that takes a file, given by its path below the layout; null if none does.
  taker =
    path:
    let
      found = builtins.filter (
        taken: if isFolder taken then below "etc/${taken}" path else path == "etc/${taken}"
      ) (builtins.attrNames takers);
    in
    if found == [ ] then null else takers.${builtins.head found};

  # The same as patterns of the shell's `case`, for the build.
  taken = map (path: if isFolder path then "etc/${path}*" else "etc/${path}") (
    builtins.attrNames takers
  );

  # `environment.etc`. NixOS' own files stand in /etc/systemd/network, too: so its entry is a pattern, each match of
  # which becomes a link there.
  etc =
    layout:
    builtins.listToAttrs (
      map (path: rec {
        name = builtins.head (builtins.match "(.*[^/])/?" path);
        value.source = "${layout}/etc/${name}${if path == "systemd/network/" then "/*" else ""}";
      }) ofEtc
    )
    // {
      # Ends in a folder of /run, over which each zone binds its own.
      "resolv.conf".source = "/run/dmhost_resolver/resolv.conf";
    };

  tmpfiles = [
    "d /run/dmhost_resolver 0755 root root -"
    "L+ /run/dmhost_resolver/resolv.conf - - - - /etc/dmhost/host-resolv.conf"
  ];
}
