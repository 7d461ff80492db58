# The JSON schema of the host spec -> what an option needs to know of a key. No types of nixpkgs yet: see ../options.nix.
#
# A node is { kind; about; example; fallback; required; } and, by kind: `fields` of a table, `of` of a list or a map,
# `words` of a choice, `least` and `most` of an integer. What values mean, patterns among it, is judged by dmhost alone, which
# says more than a type can.
let
  inherit (builtins)
    elem
    filter
    head
    isAttrs
    mapAttrs
    ;

  kind =
    schema:
    if schema ? anyOf then
      {
        kind = "either";
        of = map node schema.anyOf;
      }
    else if schema ? enum then
      {
        kind = "choice";
        words = schema.enum;
      }
    else if schema.type or null == "object" && schema ? properties then
      {
        kind = "table";
        fields = mapAttrs (
          name: field: node field // { required = elem name (schema.required or [ ]); }
        ) schema.properties;
        closed = schema.additionalProperties or true == false;
      }
    else if schema.type or null == "object" && isAttrs (schema.additionalProperties or null) then
      {
        kind = "map";
        of = node schema.additionalProperties;
      }
    else if schema.type or null == "array" then
      {
        kind = "list";
        of = node schema.items;
      }
    else if schema.type or null == "integer" then
      {
        kind = "integer";
        least = schema.minimum or null;
        most = schema.maximum or null;
      }
    else if
      elem (schema.type or null) [
        "boolean"
        "number"
        "string"
      ]
    then
      { kind = schema.type; }
    else
      { kind = "any"; };

  node =
    schema:
    kind schema
    // {
      about = schema.description or "";
      fallback = schema.default or null;
      required = false;
    }
    // (if schema ? examples then { example = head schema.examples; } else { });
in
node
