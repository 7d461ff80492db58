# What of a host spec NixOS says with options of its own, and where: the counterpart of the entries that
# layout/src/render/nixos.rs leaves to them. Values of the spec as they are, and the defaults of docs/spec.md.
spec:
let
  inherit (builtins)
    attrNames
    listToAttrs
    map
    ;
  daemons = attrNames (spec.daemons or { });
  groups = map (name: "docker-${name}") daemons;
  admin = spec.host.admin or null;
  user = admin.user or "root";
in
{
  inherit admin daemons;
  name = spec.host.name or "";

  # Members of docker-NAME may use that daemon's socket, which makes them root on this machine.
  groups = listToAttrs (
    map (name: {
      inherit name;
      value = { };
    }) groups
  );

  users =
    if admin == null then
      { }
    else
      {
        ${user} = {
          openssh.authorizedKeys.keys = admin.authorized-keys or [ ];
        }
        // (
          if user == "root" then
            { }
          else
            {
              isNormalUser = true;
              description = "Administrator";
              extraGroups = groups;
            }
        );
      };

  # Keys only, this account only; on which addresses is said by sshd.socket.d/dmhost.conf of the layout.
  sshd =
    if admin == null then
      { }
    else
      {
        openFirewall = false;
        hostKeys = [
          {
            type = "ed25519";
            path = "/etc/ssh/ssh_host_ed25519_key";
          }
        ];
        authorizedKeysInHomedir = false;
        settings = {
          AllowUsers = [ user ];
          PermitRootLogin = "prohibit-password";
          PasswordAuthentication = false;
          KbdInteractiveAuthentication = false;
        };
      };

  # One subvolume per daemon, at the top level of the file system.
  subvolumes = listToAttrs (
    map (name: {
      name = "/srv/dmhost/${name}/docker";
      value = "@docker-${name}";
    }) daemons
  );

  # Quotas are simple quotas of btrfs, enabled on the file system of `/`.
  hasQuota = builtins.any (table: (table.storage.quota or null) != null) (
    [ (spec.defaults or { }) ] ++ builtins.attrValues (spec.daemons or { })
  );

  # Whether a daemon is in the host's own namespace, with routes and rules that networkd did not make.
  isShared = builtins.any (daemon: (daemon.isolation or "zone") == "shared") (
    builtins.attrValues (spec.daemons or { })
  );

  # Names of Debian's packages: which of nixpkgs' they are is for the user to say.
  packages = spec.host.packages or [ ];

  files = import ./files.nix (spec.host.files or [ ]);
}
