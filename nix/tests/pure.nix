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
  inherit (pure.tree) taken takers tmpfiles;
  etc = builtins.mapAttrs (_: entry: entry.source) (pure.tree.etc "/nix/store/layout");
  specs = map (
    file:
    let
      data = pure.spec.data file;
      host = pure.host data;
    in
    {
      name = pure.spec.name file;
      text = pure.spec.text file;
      written = pure.spec.text data;
      same = pure.spec.data data == data && builtins.fromTOML (pure.spec.text data) == data;
      host = removeAttrs host [ "files" ];
      files = host.files.paths;
      values = pure.values {
        inherit host;
        layout = "/nix/store/layout";
        device = "/dev/disk/by-label/root";
        deviceUnit = "dev-disk-by\\x2dlabel-root.device";
      };
      clashes = builtins.listToAttrs (
        map (clash: {
          name = clash.option;
          inherit (clash) value;
        }) (pure.clashes host)
      );
    }
  ) specs;
}
