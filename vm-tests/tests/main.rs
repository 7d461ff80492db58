//! Virtual machines: one test binary, so that two machines never boot side by side under emulation.
//!
//! A case is a function in a file of `cases/`; a machine is slow to boot, so each host runs a list of cases on one. What ends
//! a machine goes last.

mod cases;
mod support;

use anyhow::{Context, Result, ensure};
use dmhost_layout::plan::Base;

use support::{Own, two_vlans};

#[test]
fn a_guest_and_its_agent() -> Result<()> {
    let host = two_vlans()?;
    let bed = host.settled()?;
    cases::vm::agent_runs_scripts(&bed.guest).context("the agent runs scripts")?;
    cases::vm::agent_kills_what_takes_too_long(&bed.guest).context("the agent kills what takes too long")?;
    cases::vm::units_are_waited_for_and_blamed(&bed.guest).context("units are waited for and blamed")?;
    cases::vm::power_off_ends_cleanly(&bed.vm, &bed.guest).context("a power-off ends cleanly")
}

#[test]
fn a_settled_host_is_there_in_a_moment() -> Result<()> {
    cases::state::is_where_it_was(&*two_vlans()?)
}

#[test]
fn two_vlans_and_an_admin_nic() -> Result<()> {
    let host = two_vlans()?;
    cases::matrix::holds(&host.settled()?, &host).context("the matrix is as planned")
}

#[test]
fn killing_one_daemon_loses_no_frame_of_another() -> Result<()> {
    let host = two_vlans()?;
    cases::blast::kill_one_daemon(&host.settled()?, &host)
}

#[test]
fn faults_are_told_by_their_names() -> Result<()> {
    let host = two_vlans()?;
    cases::watch::faults_are_told(&host.settled()?, &host)
}

#[test]
fn real_clients() -> Result<()> {
    cases::lab::real_clients(&*two_vlans()?).context("docker, curl, arping and nmap as they are")
}

#[test]
fn mutants_are_killed() -> Result<()> {
    cases::mutants::are_killed(&*two_vlans()?)
}

#[test]
fn an_image_boots_after_power_cuts() -> Result<()> {
    let host = two_vlans()?;
    cases::truth::bios_is_told(&host).context("a BIOS is told that the disk wants UEFI")?;
    let truth = cases::truth::power_cuts(&host, host.admin).context("power cuts in the first boots")?;
    cases::truth::same_matrix(&host, &truth).context("both lanes see the same")
}

#[test]
fn an_image_boots_by_itself_on_three_machines() -> Result<()> {
    let admin = cases::truth::Admin::new(&std::env::temp_dir())?;
    let host = Own::edited("../examples/atlas.toml", |text| admin.may_log_in(&text, "generic"))?;
    cases::truth::on_three_machines(&host, &admin).context("one disk, three machines")
}

#[test]
fn the_older_base() -> Result<()> {
    let older = |text: String| text.replace("base = \"debian-13\"", "base = \"debian-12\"");
    let host = Own::edited("../examples/two-vlans.toml", older)?;
    ensure!(host.plan.host.base == Base::Debian12, "the example names its base");
    let bed = host.boot()?;
    cases::matrix::quickly_holds(&bed, &host).context("the matrix is as planned on Debian 12")
}

#[test]
fn a_host_that_no_code_names() -> Result<()> {
    let host = Own::of("tests/specs/foundry.toml")?;
    let bed = host.boot()?;
    cases::matrix::holds(&bed, &host).context("the matrix is as planned")?;
    cases::vm::panic_is_a_verdict(&bed.vm, &bed.guest).context("a panic is seen as one")
}

#[test]
fn shared_daemons() -> Result<()> {
    let host = Own::of("../examples/classic-shared.toml")?;
    cases::matrix::holds(&host.settled()?, &host).context("the matrix is as planned")?;
    let bed = host.settled()?;
    cases::shared::borrowed_addresses(&bed, &host).context("an address is its own daemon's")?;
    cases::shared::misfortunes(&bed, &host).context("one daemon's misfortune is its own")
}

#[test]
fn ipv6_alone() -> Result<()> {
    // Its registry in this test has no certificate.
    let settings = "[daemons.web.settings]\ninsecure-registries = [\"registry.example.org:5000\"]\n";
    let host = Own::edited("../examples/ipv6-only.toml", |text| text + "\n" + settings)?;
    cases::matrix::quickly_holds(&host.settled()?, &host)
        .context("the matrix is as planned without an IPv4 address")?;
    cases::lab::pull_over_ipv6(&host).context("images and names over IPv6 alone")
}

#[test]
fn zones_and_shared_daemons() -> Result<()> {
    let host = Own::of("../examples/mixed.toml")?;
    cases::matrix::quickly_holds(&host.boot()?, &host).context("the matrix is as planned")
}

#[test]
fn every_key_that_a_spec_has() -> Result<()> {
    let host = Own::of("../examples/atlas.toml")?;
    let bed = host.boot()?;
    cases::matrix::quickly_holds(&bed, &host).context("the matrix is as planned, the user's own lines included")?;
    cases::budget::stands(&bed, &host).context("quotas and budgets are as planned")?;
    cases::networks::stand(&bed, &host).context("networks are as planned, and stay")
}
