# A spec given as attributes: what is wrong, one sentence each; an empty list is a pass.
let
  inherit (import ../lib) spec;

  # A string that refers to the store, as `"${pkgs.hello}/bin/hello"` does.
  path = "${builtins.storeDir}/00000000000000000000000000000000-hello";
  inStore = builtins.appendContext path { ${path}.path = true; };
  attributes = {
    host = {
      name = "atlas";
      admin = null;
      files = [
        {
          path = "/etc/hello";
          content = inStore;
          mode = null;
        }
      ];
    };
    daemons = { };
  };
  data = spec.data attributes;

  check = sentence: holds: if holds then [ ] else [ sentence ];
in
check "an option that was not set is in the data" (
  data == {
    host = {
      name = "atlas";
      files = [
        {
          path = "/etc/hello";
          content = path;
        }
      ];
    };
    daemons = { };
  }
)
++ check "an option that was not set is in the text" (
  builtins.fromTOML (builtins.unsafeDiscardStringContext (spec.text attributes)) == data
)
++ check "the data has lost what it needs of the store" (
  builtins.hasContext (builtins.head data.host.files).content
)
++ check "the text has lost what it needs of the store" (builtins.hasContext (spec.text attributes))
