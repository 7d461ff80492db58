# A host spec, given as a file or as attributes: its text for dmhost, and its data for the options that NixOS says.
#
# Nothing is judged here: that is dmhost's, when the layout is built. What is not there is absent in the data, too.
let
  toml = import ./toml.nix;
  isFile = spec: builtins.isPath spec || builtins.isString spec;

  # Without the options that were not set. By hand, and not by reading its text again: strings keep the store paths in them.
  given =
    value:
    if builtins.isAttrs value then
      builtins.mapAttrs (_: given) (
        removeAttrs value (builtins.filter (key: value.${key} == null) (builtins.attrNames value))
      )
    else if builtins.isList value then
      map given value
    else
      value;
in
rec {
  # The name that a diagnostic gives the file. A file of the store has a hash before its own name.
  name =
    spec:
    let
      base = baseNameOf (toString spec);
      stored = builtins.match "[0-9a-z]{32}-(.+)" base;
    in
    if !isFile spec then
      "spec.toml"
    else if stored == null then
      base
    else
      builtins.head stored;

  text = spec: if isFile spec then builtins.readFile spec else toml spec;

  data = spec: if isFile spec then builtins.fromTOML (text spec) else given spec;
}
