//! Host specs of any size, for benches.

/// A host with so many daemons, each with every key a daemon can have.
pub(crate) fn spec(daemons: usize) -> String {
    let mut text = String::from(
        "version = 1\n[host]\nname = \"atlas\"\ndisk = \"64TiB\"\n\
         [interfaces.trunk]\nnic = { mac = \"52:54:00:00:00:01\" }\n\
         [defaults]\nsettings = { log-driver = \"journald\" }\n",
    );
    for n in 0..daemons {
        let (high, low) = (n / 256, n % 256);
        text.push_str(&format!(
            "[interfaces.vlan{n}]\nvlan = {{ parent = \"trunk\", id = {id} }}\n\
             addresses = [\"10.{high}.{low}.2/24\", \"2001:db8:{n:x}::2/64\"]\ngateways = [\"10.{high}.{low}.1\"]\n\
             [daemons.d{n}]\ninterfaces = [\"vlan{n}\"]\nexpose = [\"80/tcp\", \"443/tcp\", \"443/udp\"]\n\
             api = {{ names = [\"d{n}.example.org\"], from = [\"10.{high}.{low}.0/24\", \"2001:db8:{n:x}::/64\"] }}\n\
             storage = {{ quota = \"40GiB\" }}\nresources = {{ memory-max = \"4GiB\", cpu-weight = 200 }}\n\
             settings = {{ debug = true, labels = [\"org.example.n={n}\"] }}\n\
             [[daemons.d{n}.networks]]\nname = \"backend\"\ninternal = true\n\
             [[expect]]\nfrom = \"vlan:vlan{n}\"\nto = \"daemon:d{n}\"\nport = \"443/tcp\"\nverdict = \"serves\"\n",
            id = n + 1,
        ));
    }
    text
}
