# Options of NixOS that would work against the layout: the module sets each to `value`, and asserts that it stayed so.
[
  {
    option = "virtualisation.docker.enable";
    value = false;
    why = "its dockerd would be one more daemon, in the host's own network; describe it as a daemon of the host spec";
  }
  {
    option = "virtualisation.containerd.enable";
    value = false;
    why = "every dockerd would use the system's containerd, and its containers would land in the host's own network";
  }
  {
    option = "networking.firewall.enable";
    value = false;
    why = "the layout has the host's whole firewall in /etc/nftables.conf; open ports with `expose` and `api.from`";
  }
  {
    option = "networking.nftables.enable";
    value = false;
    why = "it would replace the layout's nftables.service and its rules";
  }
  {
    option = "networking.nat.enable";
    value = false;
    why = "it turns forwarding on, and a host of dmhost forwards nothing between its interfaces";
  }
  {
    option = "networking.useDHCP";
    value = false;
    why = "the host spec has every address; a DHCP client would take leases on trunks and on interfaces of daemons";
  }
  {
    option = "networking.networkmanager.enable";
    value = false;
    why = "it would take interfaces that belong to the layout's networkd files and to daemons";
  }
  {
    option = "networking.resolvconf.enable";
    value = false;
    why = "/etc/resolv.conf is the layout's, from `dns` of the interfaces that the host keeps";
  }
  {
    option = "services.resolved.enable";
    value = false;
    why = "it answers in the host's own network alone, where no zone can ask it; name servers are `dns` of the interfaces";
  }
  {
    option = "systemd.network.enable";
    value = true;
    why = "the layout's interfaces are networkd's";
  }
  {
    option = "systemd.network.wait-online.enable";
    value = false;
    why = "nothing waits for \"online\": each daemon waits for its own interfaces";
  }
]
