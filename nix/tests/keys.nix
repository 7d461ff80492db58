# Certificates and keys of a spec, for tests alone: `pki` beside the spec, and `credentials` as a host has them.
{
  runCommand,
  dmhost,
  spec,
}:
runCommand "dmhost-test-keys" { nativeBuildInputs = [ dmhost ]; } ''
  cp ${spec} host.toml
  dmhost pki init host.toml
  dmhost render host.toml --out layout
  mkdir -p "$out/credentials"
  cp -r host.pki "$out/pki"
  for folder in layout/etc/dmhost/*/tls; do
    daemon=$(basename "$(dirname "$folder")")
    cp -r "$folder" "$out/credentials/$daemon"
  done
  chmod -R u+rwX,go+rX "$out"
''
