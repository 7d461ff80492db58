# The module's pure part: functions of data, without nixpkgs, so that all of them are evaluated wherever Nix is.
{
  assertions = import ./assertions.nix;
  clashes = import ./clashes.nix;
  host = import ./host.nix;
  programs = import ./programs.nix;
  schema = import ./schema.nix;
  spec = import ./spec.nix;
  toml = import ./toml.nix;
  tree = import ./tree.nix;
  values = import ./values.nix;
}
