//! `dmhost man`: man pages of every command, made from what `--help` says.

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::args::Cli;
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(out: Option<&Utf8Path>, terminal: &Terminal) -> Result<(), Failure> {
    let mut pages = Vec::new();
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    collect(root, "dmhost", &mut pages)?;
    let Some(out) = out else {
        return terminal.print(pages.first().map_or("", |(_, page)| page));
    };
    fs_err::create_dir_all(out).context("cannot make the folder of the man pages")?;
    let mut files: Vec<Utf8PathBuf> = Vec::new();
    for (name, page) in pages {
        let path = out.join(&name);
        // A page of an older version may be there: what has our name is ours.
        fs_err::write(&path, page).context("cannot write a man page")?;
        files.push(name.into());
    }
    if terminal.json() {
        terminal.print(format!("{:#}", serde_json::json!({ "out": out, "files": files })))
    } else {
        terminal.print(format!("{out}: {} pages", files.len()))
    }
}

/// The page of a command, then those of its commands: `dmhost.1`, `dmhost-pki.1`, `dmhost-pki-init.1`.
fn collect(command: Command, name: &str, pages: &mut Vec<(String, String)>) -> Result<(), Failure> {
    let below: Vec<Command> = command.get_subcommands().cloned().collect();
    let mut page = Vec::new();
    let version = concat!("dmhost ", env!("CARGO_PKG_VERSION"));
    Man::new(command).render(&mut page).context("cannot make a man page")?;
    pages.push((format!("{name}.1"), tidy(&String::from_utf8_lossy(&page), name, version)));
    for one in below {
        let name = format!("{name}-{}", one.get_name());
        collect(one, &name, pages)?;
    }
    Ok(())
}

/// The page with a title line of its own, without a date, which would be that of no text; with its examples line by line;
/// and without the breaks beside empty lines, of which `mandoc -Tlint` says that they do nothing.
fn tidy(page: &str, name: &str, version: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut literal = false;
    for line in page.lines() {
        let indented = line.starts_with("  ");
        if indented != literal {
            lines.push(if indented { ".nf" } else { ".fi" }.to_owned());
            literal = indented;
        }
        let last = lines.last().map(String::as_str);
        match line {
            ".br" if matches!(last, Some(".sp" | "")) => {}
            ".sp" | "" if last == Some(".br") => {
                lines.pop();
                lines.push(".sp".to_owned());
            }
            ".SH EXTRA" => lines.push(".SH EXAMPLES".to_owned()),
            "Example:" | "Examples:" => {}
            _ if line.starts_with(".TH ") => lines.push(format!(".TH {name} 1 \"\" \"{version}\" dmhost")),
            _ => lines.push(line.to_owned()),
        }
    }
    if literal {
        lines.push(".fi".to_owned());
    }
    lines.join("\n") + "\n"
}
