//! Questions from inside, one per line, and what came of them.
//!
//! ```text
//! control ADDRESS            every window closes with an echo that this address answers
//! from ADDRESS               datagrams have this source from here on, whoever's it is
//! echo ADDRESS
//! tcp ADDRESS PORT,... [PORT,...]    the second list: ports worth waiting for
//! syn ADDRESS PORT,...       as tcp, but ports that all ought to be silent: see [`syn`]
//! udp ADDRESS PORT,... [PORT,...]
//! ```
//! Answers: `echo ADDRESS WORD`, `tcp ADDRESS PORT WORD [TEXT]`, where WORD is `answers`, `refused` or `unreachable`;
//! silence has no line. The last line is `asked N`, so that an answer cut short is seen.
//!
//! Neighbouring namespaces are one kernel: what a packet causes is done before a later packet on the same way is answered.

use std::cell::Cell;
use std::io::{BufRead, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{icmp, syn, tcp, udp};

/// How long ports that ought to answer and do not are waited for, all in all: a program has to be scheduled for it.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long each is waited for at least.
const LEAST: Duration = Duration::from_secs(2);
/// How long the control may take: nobody decides anything by it but that the machine is dead.
const CONTROL: Duration = Duration::from_secs(60);
/// Questions under way at once, each a socket.
pub(crate) const BATCH: usize = 512;

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Somebody answers; with this, if asked for more.
    Answers(String),
    /// RST, or ICMP's "port unreachable".
    Refused,
    /// No way there, as the own namespace or a router says.
    Unreachable,
}

impl Answer {
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Answers(text) if text.is_empty() => "answers".to_owned(),
            // One line, whatever was said.
            Self::Answers(text) => format!("answers {}", text.escape_default()),
            Self::Refused => "refused".to_owned(),
            Self::Unreachable => "unreachable".to_owned(),
        }
    }
}

/// The positive control that closes windows, and what is left of the patience with those that ought to answer.
#[derive(Debug)]
pub(crate) struct Control {
    address: Option<IpAddr>,
    patience: Cell<Duration>,
}

impl Control {
    /// How long to wait for what ought to come.
    pub(crate) fn patience(&self) -> Duration {
        self.patience.get().max(LEAST)
    }

    /// It was waited for since then, and did not come.
    pub(crate) fn in_vain(&self, since: Instant) {
        self.patience.set(self.patience.get().saturating_sub(since.elapsed()));
    }

    /// Asks the control and waits for its answer: what was sent before is done then.
    pub(crate) fn close(&self) -> Result<()> {
        let address = self.address.context("no control is named before the first question")?;
        let until = Instant::now() + CONTROL;
        while Instant::now() < until {
            // Lost once is no verdict: asked again each second.
            if icmp::echo(address, Duration::from_secs(1))? == Some(Answer::Answers(String::new())) {
                return Ok(());
            }
        }
        bail!("the control {address} does not answer")
    }
}

pub(crate) fn run(sheet: impl BufRead) -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).context("cannot read the limit of open files")?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("cannot raise the limit of open files")?;
    let mut control = Control { address: None, patience: Cell::new(PATIENCE) };
    let (mut source, mut heard) = (None, false);
    let mut asked = 0_usize;
    let mut out = std::io::stdout().lock();
    for line in sheet.lines() {
        let line = line.context("cannot read a question")?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let address = words.get(1).context("a question names an address")?;
        let address: IpAddr = address.parse().with_context(|| format!("{address} is no address"))?;
        match words[..] {
            ["control", _] => {
                control.address = Some(address);
                control.close()?;
            }
            ["from", _] => source = Some(address),
            ["echo", _] => {
                asked += 1;
                let answer = icmp::ask(address, &control)?;
                if let Some(answer) = answer {
                    writeln!(out, "echo {address} {}", answer.line()).context("cannot answer")?;
                }
            }
            ["syn", _, list] => {
                if !std::mem::replace(&mut heard, true) {
                    syn::are_heard(&control)?;
                }
                let ports = ports(list)?;
                asked += ports.len();
                for batch in ports.chunks(BATCH) {
                    if !syn::are_silent(address, batch, &control)? {
                        for (port, answer) in tcp::ask(address, batch, &[], &control)? {
                            writeln!(out, "tcp {address} {port} {}", answer.line()).context("cannot answer")?;
                        }
                    }
                }
            }
            [verb @ ("tcp" | "udp"), _, list, ref wanted @ ..] => {
                let ports = ports(list)?;
                let wanted = wanted.first().map_or(Ok(Vec::new()), |list| self::ports(list))?;
                asked += ports.len();
                for batch in ports.chunks(BATCH) {
                    let answers = match verb {
                        "tcp" => tcp::ask(address, batch, &wanted, &control)?,
                        _ => udp::ask((source, address), batch, &wanted, &control)?,
                    };
                    for (port, answer) in answers {
                        writeln!(out, "{verb} {address} {port} {}", answer.line()).context("cannot answer")?;
                    }
                }
            }
            _ => bail!("not understood: {line}"),
        }
    }
    writeln!(out, "asked {asked}").context("cannot answer")
}

fn ports(list: &str) -> Result<Vec<u16>> {
    list.split(',').map(|port| port.parse().with_context(|| format!("{port} is no port"))).collect()
}
