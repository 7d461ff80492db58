# The module, evaluated by nixpkgs' own module system: what is wrong, one sentence each; an empty list is a pass.
#
#   nix-instantiate --eval --strict --json nix/tests/module.nix --arg lib 'import NIXPKGS_LIB/lib'
{ lib }:
let
  examples = import ../examples.nix;

  # A package is the name of its folder; a derivation is what it was made of.
  pkgs =
    lib.genAttrs [
      "bash"
      "btrfs-progs"
      "coreutils"
      "dmhost"
      "docker"
      "gnugrep"
      "iproute2"
      "nftables"
      "procps"
      "util-linux"
    ] (name: package name)
    // {
      stdenv.hostPlatform.efiArch = "x64";
      writeText = name: text: package name // { inherit text; };
      callPackage = file: arguments: package "layout" // { inherit arguments; };
    };
  package = name: {
    type = "derivation";
    inherit name;
    outPath = "/nix/store/${name}";
  };

  evaluate =
    modules:
    (lib.evalModules {
      specialArgs = {
        inherit pkgs;
        modulesPath = toString ./modules;
        utils.escapeSystemdPath = path: lib.replaceStrings [ "/" ] [ "-" ] (lib.removePrefix "/" path);
      };
      modules = [
        ./nixos-options.nix
        ../module.nix
      ]
      ++ modules;
    }).config;

  on = spec: {
    services.dmhost = {
      enable = true;
      inherit spec;
    };
  };

  pure = import ../lib;
  clashes = pure.clashes (pure.host good);

  failures = config: map (one: one.message) (lib.filter (one: !one.assertion) config.assertions);
  fails = value: !(builtins.tryEval (builtins.deepSeq value value)).success;

  # [ ] if it holds.
  check = sentence: holds: lib.optional (!holds) sentence;

  ofExample =
    name: file:
    let
      data = builtins.fromTOML (builtins.readFile file);
      byFile = evaluate [ (on file) ];
      byAttributes = evaluate [ (on data) ];
      daemons = lib.attrNames data.daemons;
      arguments = config: config.services.dmhost.layout.arguments;
    in
    check "${name}: a good host fails an assertion: ${toString (failures byFile)}" (
      failures byFile == lib.optional (name == "atlas")
        "services.dmhost: `storage.quota` needs btrfs as the root's file system, and `fileSystems.\"/\".fsType` is another."
    )
    ++ check "${name}: hostName" (byFile.networking.hostName == "atlas")
    ++ check "${name}: groups" (
      lib.attrNames byFile.users.groups == map (daemon: "docker-${daemon}") daemons
    )
    ++ check "${name}: a clash is left on" (
      lib.all (
        clash: lib.getAttrFromPath (lib.splitString "." clash.option) byFile == clash.value
      ) clashes
    )
    ++ check "${name}: units come from the layout" (
      map toString byFile.systemd.packages == [ "/nix/store/layout" ]
    )
    ++ check "${name}: the programs of the layout are of the store" (
      lib.all (lib.hasPrefix "/nix/store/") (lib.attrValues (arguments byFile).programs)
    )
    ++ check "${name}: attributes are another spec than the file" (
      builtins.fromTOML (pure.spec.text byAttributes.services.dmhost.spec) == data
    )
    ++ check "${name}: attributes are another host than the file" (
      lib.all (of: of byFile == of byAttributes) [
        (config: config.users)
        (config: config.services.openssh)
        (config: lib.mapAttrs (_: entry: entry.source) config.environment.etc)
      ]
    );

  good = builtins.fromTOML (builtins.readFile examples.two-vlans);

  # Each clash, said by a user in plain words, fails its assertion and tells why.
  ofClash =
    clash:
    let
      user = lib.setAttrByPath (lib.splitString "." clash.option) (!clash.value);
      messages = failures (evaluate [
        (on examples.two-vlans)
        user
      ]);
    in
    check "${clash.option}: ${toString messages}" (
      messages == [
        "services.dmhost: `${clash.option}` must be ${lib.boolToString clash.value}: ${clash.why}."
      ]
    );

  asserted =
    sentence: modules:
    let
      messages = failures (evaluate modules);
    in
    check "not asserted, or not alone: ${sentence}: ${toString messages}" (
      lib.length messages == 1 && lib.hasInfix sentence (lib.head messages)
    );

  # The image of an example: flat subvolumes, and the entry that dmhost reads.
  disk =
    (evaluate [
      (on examples.two-vlans)
      ../image.nix
    ]).image.repart.partitions;
  ofImage =
    check "subvolumes of the image: ${disk."20-root".repartConfig.Subvolumes}" (
      disk."20-root".repartConfig.Subvolumes == "/@ /@home /@log /@snapshots /@docker-lab /@docker-web"
    )
    ++ check "the image's partition has the name that dmhost looks for" (
      disk."20-root".repartConfig.Label == "dmhost-root"
    )
    ++ check "files of the ESP: ${toString (lib.attrNames disk."10-esp".contents)}" (
      lib.attrNames disk."10-esp".contents == [
        "/EFI/BOOT/BOOTX64.EFI"
        "/dmhost/initrd"
        "/dmhost/linux"
        "/loader/entries/dmhost.conf"
        "/loader/loader.conf"
      ]
    )
    ++ check "keys are in the image" (
      lib.all (partition: !lib.any (lib.hasInfix "credentials") (lib.attrNames partition.contents)) (
        lib.attrValues disk
      )
    );

  # What is no spec by its types is refused before anything is built.
  refused =
    what: change:
    check "taken as a spec: ${what}" (
      fails (evaluate [ (on (lib.recursiveUpdate good change)) ]).services.dmhost.spec
    );

  # The keys of the options, against the keys of the schema.
  schema = builtins.fromJSON (builtins.readFile ../../docs/host-spec.schema.json);
  keysOfSchema =
    node:
    if node ? anyOf then
      { }
    else if node ? properties then
      lib.mapAttrs (_: keysOfSchema) node.properties
    else if lib.isAttrs (node.additionalProperties or null) then
      keysOfSchema node.additionalProperties
    else if node ? items then
      keysOfSchema node.items
    else
      { };
  below =
    option:
    removeAttrs (option.type.getSubOptions [ ]) [
      "_module"
      "_freeformOptions"
    ];
  keysOfOptions = lib.mapAttrs (_: option: keysOfOptions (below option));
  specType = (import ../options.nix { inherit lib; }).specType (pure.schema schema);
  options = below { type = specType; };

  documented =
    at: options:
    lib.concatLists (
      lib.mapAttrsToList (
        name: option:
        let
          path = "${at}.${name}";
        in
        check "${path} has no description" (option.description or "" != "" || lib.hasInfix "settings" path)
        ++ documented path (below option)
      ) options
    );

  # Files and packages of a spec, among the user's own.
  extras =
    let
      config = evaluate [
        (on (
          good
          // {
            host = good.host // {
              packages = [
                "tcpdump"
                "vim-tiny"
              ];
              files = [
                {
                  path = "/etc/ops/site.conf";
                  content = "key = value\n";
                  mode = "0640";
                  owner = "ops:adm";
                }
                {
                  path = "/opt/site";
                  content = "a b\n";
                }
              ];
            };
          }
        ))
        {
          services.dmhost.packages = {
            tcpdump = package "tcpdump";
            vim-tiny = null;
          };
          environment.systemPackages = [ (package "jq") ];
        }
      ];
    in
    check "packages: ${toString config.environment.systemPackages}" (
      lib.sort lib.lessThan (map (one: one.name) config.environment.systemPackages) == [
        "btrfs-progs"
        "dmhost"
        "docker"
        "jq"
        "nftables"
        "tcpdump"
      ]
    )
    ++
      check "a file of the spec: ${lib.generators.toPretty { } config.environment.etc."ops/site.conf"}"
        (
          config.environment.etc."ops/site.conf" == {
            source = "/nix/store/layout/etc/ops/site.conf";
            mode = "0640";
            user = "ops";
            group = "adm";
          }
        )
    ++ check "a file elsewhere: ${toString config.systemd.tmpfiles.rules}" (
      lib.elem "f+ /opt/site 0644 root root - a\\x20b\\n" config.systemd.tmpfiles.rules
    )
    ++ check "warnings: ${toString config.warnings}" (
      lib.length config.warnings == 1 && lib.hasInfix "/etc/ops/site.conf" (lib.head config.warnings)
    );
in
lib.concatLists (lib.mapAttrsToList ofExample examples)
++ lib.concatMap ofClash clashes
++ asserted "in the store" [
  (on examples.two-vlans)
  { services.dmhost.credentialsDirectory = "${builtins.storeDir}/keys"; }
]
++ asserted "must be an absolute path" [
  (on examples.two-vlans)
  { services.dmhost.credentialsDirectory = "keys"; }
]
++ asserted "`networking.interfaces` has eth0" [
  (on examples.two-vlans)
  { networking.interfaces.eth0.useDHCP = true; }
]
++ asserted "the host spec has no `host.admin`" [
  (on (good // { host = removeAttrs good.host [ "admin" ]; }))
  { services.openssh.enable = true; }
]
++ asserted "`host.packages` of the host spec does not" [
  (on examples.two-vlans)
  { services.dmhost.packages.tcpdump = package "tcpdump"; }
]
++ refused "a key that is not there" { daemons.web.expse = [ ]; }
++ refused "a VID out of range" { interfaces.web.vlan.id = 4095; }
++ refused "a verdict of another name" { expect = [ { verdict = "deaf"; } ]; }
++ refused "a list as a string" { daemons.web.interfaces = "web"; }
++ refused "a switch as a string" { daemons.web.live-restore = "yes"; }
++ check "options and schema differ" (keysOfOptions options == keysOfSchema schema)
++ documented "spec" options
++ extras
++ ofImage
++ check "subvolumes" (
  lib.mapAttrs (_: mount: lib.head mount.options)
    (evaluate [
      (on examples.two-vlans)
      { services.dmhost.device = "/dev/disk/by-label/data"; }
    ]).fileSystems == {
    "/srv/dmhost/lab/docker" = "subvol=@docker-lab";
    "/srv/dmhost/web/docker" = "subvol=@docker-web";
  }
)
