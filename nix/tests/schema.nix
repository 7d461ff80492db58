# What the options are made of, against the schema itself: what is wrong, one sentence each; an empty list is a pass.
let
  inherit (builtins)
    attrNames
    concatLists
    elem
    filter
    isAttrs
    mapAttrs
    ;
  schema = builtins.fromJSON (builtins.readFile ../../docs/host-spec.schema.json);
  node = (import ../lib).schema schema;

  # Every key of a table, whatever it is in.
  keysOfNode =
    node:
    if node.kind == "table" then
      mapAttrs (_: keysOfNode) node.fields
    else if node.kind == "list" || node.kind == "map" then
      keysOfNode node.of
    else
      { };
  keysOfSchema =
    schema:
    if schema ? anyOf then
      { }
    else if schema ? properties then
      mapAttrs (_: keysOfSchema) schema.properties
    else if isAttrs (schema.additionalProperties or null) then
      keysOfSchema schema.additionalProperties
    else if schema ? items then
      keysOfSchema schema.items
    else
      { };

  # What ../lib/schema.nix reads of a schema, and what it leaves to dmhost.
  read = [
    "additionalProperties"
    "anyOf"
    "default"
    "description"
    "enum"
    "examples"
    "items"
    "maximum"
    "minimum"
    "properties"
    "required"
    "type"
  ];
  left = [
    "$id"
    "$schema"
    "maxItems"
    "maxLength"
    "minItems"
    "minLength"
    "minProperties"
    "not"
    "oneOf"
    "pattern"
    "propertyNames"
    "title"
    "uniqueItems"
  ];
  children =
    schema:
    (schema.properties or { })
    // (if schema ? items then { inherit (schema) items; } else { })
    // (
      if isAttrs (schema.additionalProperties or null) then
        { inherit (schema) additionalProperties; }
      else
        { }
    );
  walk =
    at: schema:
    map (keyword: "${at}: the keyword ${keyword} is not read") (
      filter (keyword: !elem keyword (read ++ left)) (attrNames schema)
    )
    ++ concatLists (builtins.attrValues (mapAttrs (name: walk "${at}.${name}") (children schema)));

  # Keys of a table: each has its words, and is required where the schema says so.
  described =
    at: node:
    if node.kind == "table" then
      concatLists (
        builtins.attrValues (
          mapAttrs (
            name: field:
            (
              if field.about != "" || elem "settings" (filter builtins.isString (builtins.split "[.]" at)) then
                [ ]
              else
                [ "${at}.${name} has no description" ]
            )
            ++ described "${at}.${name}" field
          ) node.fields
        )
      )
    else if node.kind == "list" || node.kind == "map" then
      described at node.of
    else
      [ ];

  check = sentence: holds: if holds then [ ] else [ sentence ];
in
check "keys of the options and of the schema differ" (keysOfNode node == keysOfSchema schema)
++ check "keys of a host that are required: ${toString (attrNames node.fields.host.fields)}" (
  filter (name: node.fields.host.fields.${name}.required) (attrNames node.fields.host.fields)
  == schema.properties.host.required
)
++ walk "spec" schema
++ described "spec" node
