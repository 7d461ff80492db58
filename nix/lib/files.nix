# `[[host.files]]`: each file of the user's own, taken by the option for its place. What is below /etc and taken with the
# layout's own files there (units, udev's rules, networkd's files) needs no option more.
files:
let
  tree = import ./tree.nix;

  # With the defaults of docs/spec.md. USER alone is its group's name, too.
  whole =
    file:
    let
      owner = builtins.match "([^:]+):?(.*)" (file.owner or "root:root");
      user = builtins.elemAt owner 0;
      group = builtins.elemAt owner 1;
    in
    {
      inherit user;
      inherit (file) path content;
      group = if group == "" then user else group;
      mode = file.mode or "0644";
    };
  all = map whole files;

  # Path below /etc, or null.
  below =
    file:
    let
      found = builtins.match "/etc/(.+)" file.path;
    in
    if found == null then null else builtins.head found;
  ofLayout = file: tree.taker (builtins.substring 1 (-1) file.path) != null;
  ofEtc = builtins.filter (file: below file != null && !ofLayout file) all;
  others = builtins.filter (file: below file == null) all;

  # An argument of tmpfiles.d(5), of which `f` takes escapes like C's, and then specifiers.
  argument =
    builtins.replaceStrings
      [ "\\" "%" " " "\n" "\r" "\t" ]
      [ "\\\\" "%%" "\\x20" "\\n" "\\r" "\\t" ];
in
{
  paths = map (file: file.path) all;

  # `environment.etc`: a link into the store; a copy, where it would say less than the spec does.
  etc =
    layout:
    builtins.listToAttrs (
      map (file: {
        name = below file;
        value = {
          source = "${layout}${file.path}";
        }
        // (
          if file.mode == "0644" && file.user == "root" && file.group == "root" then
            { }
          else
            { inherit (file) mode user group; }
        );
      }) ofEtc
    );

  # `systemd.tmpfiles.rules`: written anew at each boot and each switch.
  tmpfiles = map (
    file: "f+ ${file.path} ${file.mode} ${file.user} ${file.group} - ${argument file.content}"
  ) others;

  # Files that not everybody may read, as if that kept anything secret: the store does not.
  closed = map (file: file.path) (
    builtins.filter (file: builtins.match ".*[4-7]" file.mode == null) all
  );
}
