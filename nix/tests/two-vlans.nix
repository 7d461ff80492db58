# examples/two-vlans.toml on the NixOS test driver: each daemon serves its own VLAN and is not there on the other.
{
  keys,
  lib,
  self,
  ...
}:
let
  # The MAC addresses that the driver gives: the last byte is the node's number, in the order of the names.
  spec = lib.recursiveUpdate (builtins.fromTOML (builtins.readFile ../../examples/two-vlans.toml)) {
    interfaces.lan.nic.mac = "52:54:00:12:01:01";
    interfaces.trunk.nic.mac = "52:54:00:12:02:01";
  };
  client = daemon: "${keys}/pki/${daemon}/clients/admin";
in
{
  name = "dmhost-two-vlans";

  nodes.atlas = {
    imports = [ self.nixosModules.dmhost ];
    # The driver gives addresses of its own, which the module rightly refuses.
    networking.interfaces = lib.mkForce { };
    virtualisation.vlans = [
      1
      2
    ];
    services.dmhost = {
      enable = true;
      inherit spec;
    };
    # Keys of the tests: in the store, where everybody can read them.
    systemd.tmpfiles.rules = [ "C /var/lib/dmhost/credentials 0700 root root - ${keys}/credentials" ];
  };

  # On both VLANs of the trunk, each in a namespace of its own.
  nodes.neighbour =
    { pkgs, ... }:
    {
      virtualisation.vlans = [
        1
        2
      ];
      environment.systemPackages = [
        pkgs.docker
        pkgs.nmap
      ];
    };

  testScript = ''
    stations = {"web": (10, "198.51.100.77/24"), "lab": (20, "203.0.113.77/24")}
    apis = {"web": "198.51.100.2", "lab": "203.0.113.2"}
    clients = {"web": "${client "web"}", "lab": "${client "lab"}"}

    start_all()
    atlas.wait_for_unit("dmhost-web.service")
    atlas.wait_for_unit("dmhost-lab.service")
    neighbour.wait_for_unit("multi-user.target")

    for name, (vid, address) in stations.items():
        neighbour.succeed(
            f"ip netns add {name}",
            f"ip link add link eth2 name {name} type vlan id {vid}",
            "ip link set eth2 up",
            f"ip link set {name} netns {name}",
            f"ip -n {name} address add {address} dev {name}",
            f"ip -n {name} link set {name} up",
        )


    def docker(station, daemon, key):
        return (
            f"ip netns exec {station} docker --host tcp://{apis[daemon]}:2376 --tlsverify"
            f" --tlscacert {clients[key]}/ca.pem --tlscert {clients[key]}/cert.pem --tlskey {clients[key]}/key.pem version"
        )


    with subtest("each daemon serves its own VLAN"):
        for name in stations:
            neighbour.wait_until_succeeds(docker(name, name, name))

    with subtest("a client of the one is no client of the other"):
        neighbour.fail(docker("web", "web", "lab"))
        neighbour.fail(docker("lab", "lab", "web"))

    with subtest("nothing of a daemon is on the other's VLAN, and all ports but its own are closed"):
        for station in stations:
            for daemon, address in apis.items():
                expected = "2376/open" if station == daemon else None
                neighbour.succeed(f"ip -n {station} route replace default dev {station}")
                found = neighbour.succeed(f"ip netns exec {station} nmap -Pn -n -p 22,80,2375,2376 -oG - {address}")
                assert ("2376/open" in found) == (expected is not None), found
                assert "22/open" not in found and "2375/open" not in found, found

    with subtest("a restarted daemon keeps its containers, and the other one does not notice"):
        pid = atlas.succeed("systemctl show -P MainPID dmhost-lab.service")
        atlas.succeed("systemctl restart dmhost-web.service")
        atlas.wait_for_unit("dmhost-web.service")
        assert pid == atlas.succeed("systemctl show -P MainPID dmhost-lab.service")
        neighbour.wait_until_succeeds(docker("web", "web", "web"))

    with subtest("no unit has failed"):
        atlas.succeed("test -z \"$(systemctl --failed --plain --no-legend)\"")
  '';
}
