//! The program in the guest's probe containers: static, so that an image needs nothing beside it.
//!
//! * `probe serve TEXT`: answers HTTP and datagrams on port 8000 with TEXT, until it is stopped;
//! * `probe wait`: does nothing until it is stopped, so that its container is there;
//! * `probe ask [FILE]`: takes questions from a file or from standard input and says what came of each;
//! * `probe send`: puts frames from standard input on interfaces, known by their names or IPv4 addresses, as they are;
//! * `probe flood ADDRESS COUNT`: sends a datagram to each of so many addresses, upwards from the first;
//! * `probe blast ADDRESS PORT COUNT`: sends so many datagrams as fast as they are taken;
//! * `probe rtt ADDRESS PORT COUNT`: sends so many, each after the answer to the one before it, and says how long each took;
//! * `probe call SOCKET METHOD PATH [BODY]`: one request to a daemon's API;
//! * `probe exec SOCKET CONTAINER COMMAND..`: a command in a container, as `docker exec -i`.
//!
//! The harness builds it (`vm-tests/build.rs`), carries it into the guest and reads its answers; nobody else runs it.

mod ask;
mod engine;
mod flood;
mod icmp;
mod pace;
mod send;
mod serve;
mod syn;
mod tcp;
mod udp;

use std::io::{BufReader, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if standard error is closed.
            let _ = writeln!(std::io::stderr(), "probe: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", text] => serve::run(text),
        ["wait"] => loop {
            std::thread::park();
        },
        ["ask"] => ask::run(std::io::stdin().lock()),
        ["ask", sheet] => ask::run(BufReader::new(fs_err::File::open(sheet)?)),
        ["send"] => send::run(),
        ["flood", address, count] => flood::run(address.parse()?, count.parse()?),
        ["blast", address, port, count] => pace::blast(address.parse()?, port.parse()?, count.parse()?),
        ["rtt", address, port, count] => {
            let told = pace::rtt(address.parse()?, port.parse()?, count.parse()?)?;
            std::io::stdout().write_all(told.as_bytes()).context("cannot answer")
        }
        ["call", socket, method, path] => engine::call(socket, method, path, ""),
        ["call", socket, method, path, body] => engine::call(socket, method, path, body),
        ["exec", socket, container, ref command @ ..] => engine::exec(socket, container, command),
        _ => bail!(
            "usage: probe serve TEXT | probe wait | probe ask [FILE] | probe send | probe flood ADDRESS COUNT \
             | probe blast ADDRESS PORT COUNT | probe rtt ADDRESS PORT COUNT | probe call SOCKET METHOD PATH [BODY] | probe exec SOCKET CONTAINER COMMAND.."
        ),
    }
}
