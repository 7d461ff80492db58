//! A small layout becomes a disk, and other people's programs read it: `sgdisk`, `fsck.vfat`, `btrfs`.
//!
//! The base comes from the user's own cache, so only the first run of all makes one.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_images::contents::{Contents, Kind};
use dmhost_images::{BuildRequest, Built, build, disk};
use dmhost_layout::layout::{CredentialId, Layout};
use dmhost_layout::plan::{Base, Engine, Host, HostPlan, Kernel};

const GIB: u64 = 1 << 30;

fn plan() -> HostPlan {
    let host = Host {
        name: "atlas".to_owned(),
        base: Base::Debian13,
        engine: Engine::DockerIo,
        kernel: Kernel::Cloud,
        disk: 3 * GIB,
        admin: None,
        packages: Vec::new(),
        files: Vec::new(),
    };
    HostPlan { host, interfaces: BTreeMap::new(), daemons: BTreeMap::new(), expects: Vec::new() }
}

fn layout() -> Layout {
    let mut layout = Layout::new();
    layout.subvolume("@", Some("/".into()));
    layout.subvolume("@log", Some("/var/log".into()));
    layout.subvolume("@home", Some("/home".into()));
    layout.subvolume("@docker-web", Some("/srv/dmhost/web/docker".into()));
    layout.subvolume("@snapshots", None);
    layout.text("/etc/hostname", "atlas\n");
    layout.text(
        "/etc/fstab",
        "PARTLABEL=dmhost-root / btrfs subvol=@ 0 0\n/run/dmhost-root /var/log btrfs subvol=@log 0 0\n\
         /run/dmhost-root /home btrfs subvol=@home 0 0\n\
         /run/dmhost-root /srv/dmhost/web/docker btrfs subvol=@docker-web 0 0\n",
    );
    layout.text("/usr/lib/sysusers.d/dmhost.conf", "g docker-web -\n");
    layout.link("/etc/systemd/system/docker.service", "/dev/null");
    // Through a link of the base: /lib is usr/lib there.
    layout.text("/lib/dmhost-was-here", "yes\n");
    layout.directory("/etc/dmhost/web/tls", 0o700);
    layout.secret("/etc/dmhost/web/tls/key.pem", CredentialId::ServerKey("web".parse().expect("a name")));
    layout
}

fn make(out: &Utf8Path, force: bool, memory: Option<u64>) -> anyhow::Result<Built> {
    let (plan, layout) = (plan(), layout());
    let secrets = |id: &CredentialId| Ok(format!("the bytes of {id}\n").into_bytes());
    let request = BuildRequest { force, memory, ..BuildRequest::new(&plan, &layout, &secrets, out) };
    build(&request, &mut |_: dmhost_images::Event<'_>| {})
}

fn oracle(program: &str, args: &[&str]) -> anyhow::Result<String> {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let command = duct::cmd(program, args).env("PATH", path).stderr_to_stdout().stdout_capture().unchecked();
    let output = command.run().with_context(|| format!("could not run {program}: is it installed?"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    anyhow::ensure!(output.status.success(), "{program} {args:?}: {}\n{text}", output.status);
    Ok(text)
}

/// Takes a stretch of the image out into a file of its own.
fn cut(image: &Utf8Path, extent: disk::Extent, to: &Utf8Path) -> anyhow::Result<()> {
    let (skip, count) = (extent.start >> 20, extent.length >> 20);
    let args = [
        format!("if={image}"),
        format!("of={to}"),
        "bs=1M".to_owned(),
        format!("skip={skip}"),
        format!("count={count}"),
        "conv=sparse".to_owned(),
    ];
    oracle("dd", &args.iter().map(String::as_str).collect::<Vec<_>>()).map(drop)
}

#[test]
fn a_layout_becomes_a_disk_that_other_programs_read() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = Utf8PathBuf::try_from(folder.path().to_owned())?;
    fs_err::create_dir_all(&folder)?;
    let image = folder.join("atlas.raw");
    let built = make(&image, false, None)?;
    assert_eq!(built.bytes, 3 * GIB);
    assert!(built.allocated < 400 << 20, "{} bytes are allocated", built.allocated);
    assert_eq!(fs_err::metadata(&image)?.permissions().mode() & 0o777, 0o600);
    let mut left: Vec<_> = folder.read_dir_utf8()?.collect::<Result<Vec<_>, _>>()?;
    left.sort_by(|a, b| a.file_name().cmp(b.file_name()));
    assert_eq!(
        left.iter().map(camino::Utf8DirEntry::file_name).collect::<Vec<_>>(),
        ["atlas.raw", "atlas.raw.cdx.json", "atlas.raw.json"]
    );
    check_reports(&image, &built)?;

    let table = oracle("sgdisk", &["-v", image.as_str()])?;
    assert!(table.contains("No problems found"), "{table}");
    let opened = disk::open(&image)?;
    let boot = opened.boot()?;
    assert!(boot.command_line.starts_with("root=PARTLABEL=dmhost-root "), "{}", boot.command_line);
    assert_eq!(&boot.kernel[0x202..0x206], b"HdrS", "no Linux kernel");

    let esp = folder.join("esp");
    cut(&image, opened.esp, &esp)?;
    oracle("fsck.vfat", &["-n", esp.as_str()])?;

    let root = folder.join("root");
    cut(&image, opened.root, &root)?;
    oracle("btrfs", &["check", "--check-data-csum", root.as_str()])?;
    let tree = folder.join("tree");
    fs_err::create_dir(&tree)?;
    oracle("btrfs", &["restore", "--metadata", "--symlinks", root.as_str(), tree.as_str()])?;
    check_tree(&tree)?;
    check_same(&opened.contents()?, &tree)?;

    let refused = make(&image, false, None).expect_err("it is there already");
    assert_eq!(refused.to_string(), format!("{image} exists already: remove it, or say that it may be replaced"));
    let inode = fs_err::metadata(&image)?.ino();
    let first = folder.join("first.raw");
    fs_err::hard_link(&image, &first)?;
    let again = make(&image, true, None)?;
    assert!(again.base_cached);
    assert_eq!(again.tree, built.tree, "the same lock, layout and secrets, and another tree");
    assert_ne!(fs_err::metadata(&image)?.ino(), inode, "it was not replaced");
    // Of one input, every byte is the same. cmp names the first that is not.
    oracle("cmp", &[first.as_str(), image.as_str()])?;
    // Where memory is short, too.
    let beside = folder.join("beside.raw");
    make(&beside, false, Some(0))?;
    oracle("cmp", &[first.as_str(), beside.as_str()])?;
    Ok(fs_err::remove_dir_all(&folder)?)
}

fn check_reports(image: &Utf8Path, built: &Built) -> anyhow::Result<()> {
    let read = |ending: &str| -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_slice(&fs_err::read(dmhost_images::report::beside(image, ending))?)?)
    };
    let (report, bill) = (read("json")?, read("cdx.json")?);
    assert_eq!(report["tree_sha256"], built.tree.as_str());
    assert_eq!((&report["host"], &report["spec_sha256"]), (&"atlas".into(), &serde_json::Value::Null));
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let (packages, components) = (list(&report["packages"]), list(&bill["components"]));
    assert!(packages.len() > 100 && packages.len() == components.len(), "{} {}", packages.len(), components.len());
    let docker = packages.iter().find(|package| package["name"] == "docker.io").context("docker.io is in no report")?;
    assert!(docker["bytes"].as_u64() > Some(50 << 20), "{docker}");
    let volumes: Vec<_> = list(&report["subvolumes"]).iter().map(|volume| volume["name"].clone()).collect();
    assert_eq!(volumes, ["@", "@log", "@home", "@docker-web", "@snapshots"]);

    // What CycloneDX 1.6 requires of a document and of each component.
    assert_eq!(
        (&bill["bomFormat"], &bill["specVersion"], &bill["version"]),
        (&"CycloneDX".into(), &"1.6".into(), &1.into())
    );
    let mut references: Vec<_> = components.iter().map(|component| component["bom-ref"].to_string()).collect();
    references.sort();
    references.dedup();
    assert_eq!(references.len(), components.len(), "two components have one reference");
    for component in &components {
        let hash = component["hashes"][0]["content"].as_str().unwrap_or_default();
        assert!(component["type"] == "library" && component["name"].is_string() && hash.len() == 64, "{component}");
        assert!(component["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:deb/debian/")), "{component}");
    }
    Ok(())
}

/// The tree as it was read back in process is the tree as `btrfs restore` has it, by names, modes and owners of each file.
fn check_same(ours: &Contents, theirs: &Utf8Path) -> anyhow::Result<()> {
    for (path, node) in &ours.nodes {
        let found = fs_err::symlink_metadata(theirs.join(path))?;
        assert_eq!((found.uid(), found.gid()), (node.uid, node.gid), "{path}");
        match &node.kind {
            Kind::File { size, .. } => assert_eq!((found.mode() & 0o7777, found.size()), (node.mode, *size), "{path}"),
            Kind::Directory => assert!(found.is_dir(), "{path}"),
            Kind::Link { target } => assert_eq!(fs_err::read_link(theirs.join(path))?, Utf8Path::new(target), "{path}"),
            Kind::Special { .. } => panic!("{path} is a device or a pipe"),
        }
    }
    // Every key is closed, wherever it is.
    for (path, node) in ours.nodes.iter().filter(|(path, _)| path.contains("/etc/dmhost/") && path.ends_with("key.pem"))
    {
        assert_eq!((node.mode, node.uid), (0o600, 0), "{path}");
    }
    let sums = ours.nodes.iter().filter_map(|(path, node)| match &node.kind {
        Kind::File { sha256, .. } if !path.contains('\n') && !path.contains('\\') => {
            Some(format!("{sha256}  {path}\n"))
        }
        Kind::File { .. } | Kind::Directory | Kind::Link { .. } | Kind::Special { .. } => None,
    });
    let list = theirs.with_file_name("sums");
    fs_err::write(&list, sums.collect::<String>())?;
    let said = duct::cmd!("sha256sum", "--check", "--quiet", "--strict", list.as_str())
        .dir(theirs.as_std_path())
        .stderr_to_stdout()
        .stdout_capture()
        .unchecked()
        .run()?;
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    Ok(())
}

fn check_tree(tree: &Utf8Path) -> anyhow::Result<()> {
    let mut volumes: Vec<_> =
        tree.read_dir_utf8()?.map(|entry| entry.map(|entry| entry.file_name().to_owned())).collect::<Result<_, _>>()?;
    volumes.sort();
    assert_eq!(volumes, ["@", "@docker-web", "@home", "@log", "@snapshots"]);
    let root = tree.join("@");
    let of = |path: &str| fs_err::symlink_metadata(root.join(path));
    assert_eq!(fs_err::read_to_string(root.join("etc/hostname"))?, "atlas\n");
    assert_eq!(fs_err::read_to_string(root.join("usr/lib/dmhost-was-here"))?, "yes\n");
    assert!(of("lib")?.is_symlink(), "a link of the base was replaced by a folder");
    assert_eq!(fs_err::read_link(root.join("etc/systemd/system/docker.service"))?, Utf8Path::new("/dev/null"));

    let key = of("etc/dmhost/web/tls/key.pem")?;
    assert_eq!((key.mode() & 0o7777, key.uid(), key.gid()), (0o600, 0, 0));
    assert_eq!(of("etc/dmhost/web/tls")?.mode() & 0o7777, 0o700);
    assert_eq!(of("etc/dmhost/web")?.mode() & 0o7777, 0o755);
    assert_eq!(fs_err::read_to_string(root.join("etc/dmhost/web/tls/key.pem"))?, "the bytes of web: server key\n");

    let group = fs_err::read_to_string(root.join("etc/group"))?;
    assert!(group.lines().any(|line| line.starts_with("docker-web:")), "{group}");
    let shadow = of("etc/shadow")?;
    assert_eq!((shadow.mode() & 0o7777, shadow.uid(), shadow.gid()), (0o640, 0, 42));

    for mountpoint in ["var/log", "home", "srv/dmhost/web/docker"] {
        assert_eq!(fs_err::read_dir(root.join(mountpoint))?.count(), 0, "{mountpoint} is not an empty folder");
    }
    assert!(tree.join("@log/journal").is_dir(), "what the base has in /var/log went nowhere");

    for absent in
        ["etc/ssh/ssh_host_ed25519_key", "etc/resolv.conf", "etc/.pwd.lock", "var/lib/docker", "var/lib/apt/lists/lock"]
    {
        assert!(of(absent).is_err(), "/{absent} is in the base");
    }
    assert_eq!(of("etc/machine-id")?.len(), 0);
    let sources = fs_err::read_to_string(root.join("etc/apt/sources.list.d/debian.sources"))?;
    assert_eq!(sources.lines().filter(|line| line.starts_with("URIs: http://deb.debian.org/")).count(), 2, "{sources}");
    assert_eq!(fs_err::read_dir(root.join("etc/apt/sources.list.d"))?.count(), 1);
    Ok(())
}
