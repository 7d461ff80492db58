# Options of `services.dmhost.spec`, made from docs/host-spec.schema.json when they are evaluated: they cannot drift from it.
{ lib }:
let
  inherit (lib) types mkOption;

  literal = value: lib.literalExpression (lib.generators.toPretty { } value);

  # Keys that may be absent are `null` unless they are set, and are then left out of the spec: an empty list is not absent.
  option =
    node:
    mkOption (
      {
        description = node.about;
        type = if node.required then type node else types.nullOr (type node);
      }
      // lib.optionalAttrs (!node.required) { default = null; }
      // lib.optionalAttrs (node ? example) { example = literal node.example; }
    );

  type =
    node:
    {
      any = json;
      boolean = types.bool;
      choice = types.enum node.words;
      either = types.oneOf (map type node.of);
      integer = types.addCheck types.int (
        number: (node.least == null || number >= node.least) && (node.most == null || number <= node.most)
      );
      list = types.listOf (type node.of);
      map = types.attrsOf (type node.of);
      number = types.number;
      string = types.str;
      table = types.submodule (
        {
          options = lib.mapAttrs (_: option) node.fields;
        }
        // lib.optionalAttrs (!node.closed) { freeformType = types.attrsOf json; }
      );
    }
    .${node.kind};

  json = lib.types.anything;
in
{
  inherit option;

  # A file is taken as it is; attributes are checked key by key. The manual shows the keys of the attributes.
  specType =
    node:
    let
      table = type node;
    in
    types.either types.path table // { inherit (table) getSubOptions; };
}
