# The script of the derivation that renders a layout, for cli/tests/nixos.rs to run: `lib` and `runCommand` are what of nixpkgs
# it uses.
{ spec, name }:
let
  pure = import ../lib;
in
import ../layout.nix {
  lib = {
    inherit (builtins) concatStringsSep;
    removePrefix = prefix: builtins.substring (builtins.stringLength prefix) (-1);
    escapeShellArg = word: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] word}'";
  };
  runCommand = _: variables: script: {
    inherit (variables) programs;
    inherit script;
  };
  dmhost = "dmhost";
  inherit spec name;
  programs = pure.programs (
    builtins.mapAttrs (package: _: "/nix/store/${package}") (builtins.functionArgs pure.programs)
  );
  credentialsDirectory = "/run/keys";
  inherit (pure.tree) taken;
  files = (pure.host (pure.spec.data spec)).files.paths;
}
