//! The namespace in which the base's programs judge, and what they said there.

use anyhow::Context;
use camino::Utf8Path;
use dmhost_images::command::Command;
use dmhost_images::{Privilege, tree};
use dmhost_layout::CredentialId;

use crate::subject::Subject;

const JUDGE: &str = include_str!("judge.sh");

/// What one call of an oracle came to.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) status: i32,
    pub(crate) subject: String,
    pub(crate) oracle: String,
    pub(crate) arguments: String,
    pub(crate) said: String,
}

pub(crate) fn judge(subjects: &[Subject], base: &Utf8Path, stage: &Utf8Path) -> anyhow::Result<Vec<Verdict>> {
    let mut bundle = tar::Builder::new(Vec::new());
    for subject in subjects {
        let secrets = |id: &CredentialId| subject.pki.as_ref().context("there is no PKI")?.credential(id);
        let mut layout = subject.layout.clone();
        for mount in subject.layout.subvolumes()[1..].iter().filter_map(|subvolume| subvolume.mount.as_ref()) {
            layout.directory(mount, 0o755);
        }
        let bytes = tree::archive(&layout, &secrets, 0)?;
        let mut header = tar::Header::new_gnu();
        for entry in tar::Archive::new(&bytes[..]).entries()? {
            let entry = entry?;
            header.clone_from(entry.header());
            let path = format!("{}.tree/{}", subject.name, entry.path()?.display());
            match entry.link_name()? {
                Some(target) => bundle.append_link(&mut header, path, target)?,
                None => bundle.append_data(&mut header, path, entry)?,
            }
        }
        let (jobs, _) = subject.jobs()?;
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(jobs.len() as u64);
        bundle.append_data(&mut header, format!("{}.jobs", subject.name), jobs.as_bytes())?;
    }
    let words = ["unshare", "--net", "sh", "-euc", JUDGE, "judge", stage.as_str(), base.as_str()];
    let command = Command::privileged(Privilege::of_this_process(), words);
    let (mut verdicts, mut said) = (Vec::new(), String::new());
    command.run(bundle.into_inner()?, |line| {
        let mut words = line.splitn(5, ' ');
        match (words.next(), words.next().and_then(|word| word.parse().ok()), words.next(), words.next()) {
            (Some("verdict"), Some(status), Some(subject), Some(oracle)) => verdicts.push(Verdict {
                status,
                subject: subject.to_owned(),
                oracle: oracle.to_owned(),
                arguments: words.next().unwrap_or_default().to_owned(),
                said: std::mem::take(&mut said),
            }),
            _ => said += &format!("{line}\n"),
        }
    })?;
    Ok(verdicts)
}
