# Attributes -> TOML 1.0, one section per table, so that a diagnostic of dmhost points at a line of its own.
#
# A `null` is an option that was not set: it is left out. Lists are written on one line, with the tables in them inline.
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    filter
    isAttrs
    isBool
    isFloat
    isInt
    isList
    isString
    match
    toJSON
    typeOf
    ;

  given = table: filter (key: table.${key} != null) (attrNames table);

  # Bare where TOML lets it be.
  key = name: if match "[A-Za-z0-9_-]+" name != null then name else string name;

  # A JSON string is a TOML string: both escape quotes, backslashes and control characters alike, but for U+007F.
  delete = builtins.fromJSON "\"\\u007f\"";
  string = of: builtins.replaceStrings [ delete ] [ "\\u007f" ] (toJSON of);

  value =
    at: of:
    if isString of then
      string of
    else if isInt of || isFloat of || isBool of then
      toJSON of
    else if isList of then
      "[${concatStringsSep ", " (map (value at) of)}]"
    else if isAttrs of then
      "{ ${
        concatStringsSep ", " (map (name: "${key name} = ${value "${at}.${name}" of.${name}}") (given of))
      } }"
    else
      throw "${at} of the host spec is a ${typeOf of}, which TOML does not have";

  section =
    path: table:
    let
      name = concatStringsSep "." (map key path);
      tables = filter (below: isAttrs table.${below}) (given table);
      plain = filter (below: !isAttrs table.${below}) (given table);
      lines = map (below: "${key below} = ${value "${name}.${below}" table.${below}}") plain;
      heading = if path == [ ] || (lines == [ ] && tables != [ ]) then [ ] else [ "\n[${name}]" ];
    in
    heading ++ lines ++ concatMap (below: section (path ++ [ below ]) table.${below}) tables;
in
table: concatStringsSep "\n" (section [ ] table) + "\n"
