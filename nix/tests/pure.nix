# What the pure part makes of each spec, for cli/tests/nixos.rs to hold against what dmhost renders.
{ specs }:
let
  pure = import ../lib;
in
{
  # Each package as a folder of its own name.
  programs = pure.programs (
    builtins.mapAttrs (name: _: "/nix/store/${name}") (builtins.functionArgs pure.programs)
  );
  inherit (pure.tree) taken tmpfiles;
  etc = builtins.mapAttrs (_: entry: entry.source) (pure.tree.etc "/nix/store/layout");
  specs = map (
    file:
    let
      data = pure.spec.data file;
    in
    {
      name = pure.spec.name file;
      text = pure.spec.text file;
      written = pure.spec.text data;
      same = pure.spec.data data == data;
      host = pure.host data;
    }
  ) specs;
}
