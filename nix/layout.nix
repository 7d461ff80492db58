# The layout of a host spec for NixOS, as a folder. A spec that dmhost refuses fails here, with dmhost's own words.
{
  lib,
  runCommand,
  dmhost,
  # The text of the spec as a file of the store, and the name that diagnostics give it.
  spec,
  name,
  # Program -> path.
  programs,
  credentialsDirectory,
  # Patterns of the files that the module takes of each layout, and paths of the spec's own files.
  taken,
  files,
}:
runCommand "dmhost-layout"
  {
    nativeBuildInputs = [ dmhost ];
    programs = builtins.toJSON programs;
    passAsFile = [ "programs" ];
  }
  ''
    ln -s ${spec} ${lib.escapeShellArg name}
    dmhost render ${lib.escapeShellArg name} --target nixos --out layout \
      --programs "$programsPath" --credentials ${lib.escapeShellArg credentialsDirectory}

    (cd layout && find . ! -type d ! -name .dmhost-layout -printf '%P\n') | while read -r file; do
      case $file in
        ${
          lib.concatStringsSep " | " (
            taken ++ map (path: lib.escapeShellArg (lib.removePrefix "/" path)) files
          )
        }) ;;
        *)
          echo "no option of the module takes $file of the layout" >&2
          exit 1
          ;;
      esac
    done

    mkdir "$out"
    cp -a layout/etc "$out"
  ''
