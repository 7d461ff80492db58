# The outputs of flake.nix by their names, against a nixpkgs that throws whatever of it is asked for.
let
  flake = import ../../flake.nix;
  systems = [
    "x86_64-linux"
    "aarch64-linux"
  ];
  self = flake.outputs {
    inherit self;
    nixpkgs = {
      lib = throw "the name of an output depends on nixpkgs' lib";
      legacyPackages = ofSystems (
        system: throw "the name of an output depends on a package of ${system}"
      );
    };
  };
  examples = import ../examples.nix;
  files = builtins.filter (file: builtins.match ".+[.]toml" file != null) (
    builtins.attrNames (builtins.readDir ../../examples)
  );

  ofSystems =
    of:
    builtins.listToAttrs (
      map (name: {
        inherit name;
        value = of name;
      }) systems
    );
  sorted = builtins.sort builtins.lessThan;
  names = output: builtins.mapAttrs (_: builtins.attrNames) self.${output};

  expect =
    what: actual: expected:
    if actual == expected then
      true
    else
      throw "${what}: ${builtins.toJSON actual} is not ${builtins.toJSON expected}";
in
[
  (expect "inputs" flake.inputs { nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable"; })
  (expect "outputs" (builtins.attrNames self) [
    "apps"
    "checks"
    "devShells"
    "formatter"
    "lib"
    "nixosModules"
    "overlays"
    "packages"
  ])
  (expect "nixosModules" (builtins.attrNames self.nixosModules) [
    "default"
    "dmhost"
    "image"
  ])
  (expect "overlays" (builtins.attrNames self.overlays) [ "default" ])
  (expect "overlays.default" (builtins.attrNames (
    self.overlays.default { callPackage = file: _: file; } { }
  )) [ "dmhost" ])
  (expect "lib.mkHost" (builtins.functionArgs self.lib.mkHost) {
    modules = true;
    spec = false;
    system = true;
  })
  (expect "lib" (builtins.attrNames (removeAttrs self.lib [ "mkHost" ])) (
    builtins.attrNames (import ../lib)
  ))
  # Each example is read, and is a host.
  (expect "examples" (map (name: "${name}.toml") (builtins.attrNames examples)) files)
  (expect "hosts of the examples" (builtins.all (
    spec: (self.lib.host (self.lib.spec.data spec)).name != ""
  ) (builtins.attrValues examples)) true)
  (expect "packages" (names "packages") (
    ofSystems (
      _:
      sorted (
        [
          "default"
          "dmhost"
        ]
        ++ map (name: "${name}-image") (builtins.attrNames examples)
      )
    )
  ))
  (expect "apps" (names "apps") (
    ofSystems (_: [
      "default"
      "dmhost"
    ])
  ))
  (expect "devShells" (names "devShells") (ofSystems (_: [ "default" ])))
  # The proof boots a machine of x86.
  (expect "checks" (names "checks") (
    ofSystems (
      system:
      [
        "dmhost"
        "format"
        "module"
        "two-vlans"
      ]
      ++ (if system == "x86_64-linux" then [ "two-vlans-proof" ] else [ ])
    )
  ))
  (expect "formatter" (builtins.attrNames self.formatter) (sorted systems))
]
