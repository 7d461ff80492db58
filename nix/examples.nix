# Every spec of examples/ by its name.
let
  folder = ../examples;
  stem = file: builtins.match "(.+)[.]toml" file;
  specs = builtins.filter (file: stem file != null) (builtins.attrNames (builtins.readDir folder));
in
builtins.listToAttrs (
  map (file: {
    name = builtins.head (stem file);
    value = folder + "/${file}";
  }) specs
)
