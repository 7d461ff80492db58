# The outputs of flake.nix, as far as they can be told without nixpkgs, or with its `lib` alone (else null).
{ lib }:
let
  flake = import ../../flake.nix;
  self = flake.outputs {
    inherit self;
    nixpkgs =
      if lib == null then
        throw "an output that needs no nixpkgs asks for it"
      else
        {
          inherit lib;
          # Names of outputs do not depend on packages: none is there.
          legacyPackages = lib.genAttrs systems (_: throw "the name of an output depends on a package");
        };
  };
  systems = [
    "x86_64-linux"
    "aarch64-linux"
  ];
  examples = builtins.attrNames (import ../examples.nix);

  expect =
    what: actual: expected:
    if actual == expected then
      true
    else
      throw "${what}: ${builtins.toJSON actual} is not ${builtins.toJSON expected}";
  each = set: of: builtins.mapAttrs (_: of) set;
in
[
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
  (expect "lib.mkHost" (builtins.functionArgs self.lib.mkHost) {
    modules = true;
    spec = false;
    system = true;
  })
  (expect "examples" (examples != [ ]) true)
  # Each example is read, and is a host.
  (expect "hosts of the examples" (builtins.all (
    name: (self.lib.host (self.lib.spec.data (import ../examples.nix).${name})).name != ""
  ) examples) true)
]
++ (
  if lib == null then
    [ ]
  else
    [
      (expect "packages" (each self.packages (packages: builtins.attrNames packages)) (
        lib.genAttrs systems (
          _:
          builtins.sort builtins.lessThan (
            [
              "default"
              "dmhost"
            ]
            ++ map (name: "${name}-image") examples
          )
        )
      ))
      (expect "apps" (each self.apps (apps: builtins.attrNames apps)) (
        lib.genAttrs systems (_: [
          "default"
          "dmhost"
        ])
      ))
      (expect "formatter, devShells, checks"
        (map builtins.attrNames [
          self.formatter
          self.devShells
          self.checks
        ])
        (
          map (_: builtins.sort builtins.lessThan systems) [
            1
            2
            3
          ]
        )
      )
    ]
)
