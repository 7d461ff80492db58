# Options of NixOS that would work against the layout: the module sets each to `value`, and asserts that it stayed so. Which
# they are does not depend on the host: to know it, NixOS would have to know the host first.
host: [
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
  {
    option = "services.openssh.enable";
    value = host.admin != null;
    why =
      if host.admin == null then
        "the host spec has no `host.admin`, and sshd would listen behind rules that drop it: add `host.admin`"
      else
        "`host.admin` of the host spec is how an administrator logs in: leave it out for a host without sshd";
  }
  {
    option = "services.openssh.startWhenNeeded";
    value = true;
    why = "an sshd that is always there would listen on every address";
  }
]
