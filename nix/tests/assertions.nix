# Each assertion and each warning of the module, by its pure part: what is wrong, one sentence each; an empty list is a pass.
# The systems are written here; that NixOS evaluates to such is for ./module.nix.
let
  pure = import ../lib;
  data = builtins.fromTOML (builtins.readFile ../../examples/two-vlans.toml);
  withHost = change: data // { host = data.host // change; };

  # A system as the module wants it, for a host.
  system = host: {
    fileSystems = { };
    networking = {
      firewall = {
        allowedTCPPorts = [ ];
        allowedUDPPorts = [ ];
        enable = false;
      };
      interfaces = { };
      nat.enable = false;
      networkmanager.enable = false;
      nftables.enable = false;
      resolvconf.enable = false;
      useDHCP = false;
    };
    services = {
      dmhost = {
        credentialsDirectory = "/run/keys";
        packages = { };
      };
      openssh = {
        enable = host.admin != null;
        startWhenNeeded = true;
      };
      resolved.enable = false;
    };
    systemd.network = {
      enable = true;
      wait-online.enable = false;
    };
    virtualisation = {
      containerd.enable = false;
      docker.enable = false;
    };
  };

  # A set with the value at a dotted path of it changed.
  set =
    path: value: of:
    let
      found = builtins.match "([^.]+)[.]?(.*)" path;
      first = builtins.head found;
      rest = builtins.elemAt found 1;
    in
    of // { ${first} = if rest == "" then value else set rest value (of.${first} or { }); };

  judge =
    spec: change:
    let
      host = pure.host spec;
      judged = pure.assertions {
        inherit host;
        config = change (system host);
      };
    in
    map (one: one.message) (builtins.filter (one: !one.assertion) judged.assertions) ++ judged.warnings;

  expect =
    what: spec: change: messages:
    let
      said = judge spec change;
    in
    if said == messages then
      [ ]
    else
      [ "${what}: ${builtins.toJSON said} is not ${builtins.toJSON messages}" ];

  same = system: system;
  quota = data // {
    defaults = (data.defaults or { }) // {
      storage.quota = "1GiB";
    };
  };
  noAdmin = data // {
    host = removeAttrs data.host [ "admin" ];
  };
  ofClash =
    spec: clash:
    expect clash.option spec (set clash.option (!clash.value)) [
      "services.dmhost: `${clash.option}` must be ${builtins.toJSON clash.value}: ${clash.why}."
    ];
in
builtins.concatLists (
  [
    (expect "a good system" data same [ ])
    (expect "a good system without an administrator" noAdmin same [ ])
    (expect "keys in the store" data
      (set "services.dmhost.credentialsDirectory" "${builtins.storeDir}/keys")
      [
        "services.dmhost.credentialsDirectory is in the store, which everybody can read: name a folder outside of it."
      ]
    )
    (expect "keys by a relative path" data (set "services.dmhost.credentialsDirectory" "keys") [
      "services.dmhost.credentialsDirectory must be an absolute path."
    ])
    (expect "an interface beside the spec" data (set "networking.interfaces.eth0.useDHCP" true) [
      "services.dmhost: `networking.interfaces` has eth0: every interface and address belongs into the host spec."
    ])
    (expect "an open port" data (set "networking.firewall.allowedTCPPorts" [ 80 ]) [
      "services.dmhost: `networking.firewall.allowedTCPPorts` opens nothing: the host's rules are the layout's, and drop all but `host.admin`'s sshd."
    ])
    (expect "a quota without btrfs" quota same [
      "services.dmhost: `storage.quota` needs btrfs as the root's file system, and `fileSystems.\"/\".fsType` is another."
    ])
    (expect "a quota on btrfs" quota (set "fileSystems./.fsType" "btrfs") [ ])
    (expect "a package that the spec does not have" data
      (set "services.dmhost.packages.tcpdump" "/nix/store/tcpdump")
      [
        "services.dmhost.packages has tcpdump, and `host.packages` of the host spec does not: add it there, or use `environment.systemPackages`."
      ]
    )
    (expect "a package of Debian's" (withHost { packages = [ "tcpdump" ]; }) same [
      "services.dmhost.packages has nothing for the Debian package `tcpdump` of `host.packages`: give it the package of nixpkgs that has the same, or null."
    ])
    (expect "a package that is not needed" (withHost {
      packages = [ "tcpdump" ];
    }) (set "services.dmhost.packages.tcpdump" null) [ ])
    (expect "a file that is no secret"
      (withHost {
        files = [
          {
            path = "/etc/ops.key";
            content = "";
            mode = "0600";
          }
        ];
      })
      same
      [
        "services.dmhost: the mode of `/etc/ops.key` in `host.files` keeps others from reading it, and its content is in the store, which everybody can read: hold a secret by other means."
      ]
    )
  ]
  ++ map (ofClash data) (pure.clashes (pure.host data))
  ++ map (ofClash noAdmin) (pure.clashes (pure.host noAdmin))
)
