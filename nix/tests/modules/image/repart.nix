# The options of NixOS' modules/image/repart.nix that ../../../image.nix sets.
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.image.repart.name = mkOption { type = types.str; };
  options.image.repart.partitions = mkOption {
    type = types.attrsOf (
      types.submodule {
        options = {
          storePaths = mkOption {
            type = types.listOf types.path;
            default = [ ];
          };
          nixStorePrefix = mkOption {
            type = types.path;
            default = "/nix/store";
          };
          contents = mkOption {
            default = { };
            type = types.attrsOf (types.submodule { options.source = mkOption { type = types.path; }; });
          };
          repartConfig = mkOption {
            type = types.attrsOf (
              types.oneOf [
                types.str
                types.int
                types.bool
              ]
            );
          };
        };
      }
    );
  };
}
