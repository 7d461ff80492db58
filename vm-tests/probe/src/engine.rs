//! A daemon's API over its socket, without the time that a start of the docker client takes in an emulated guest.
//!
//! A request of HTTP/1.0 has one answer, which ends where the connection does.
//! Docker Engine API: <https://docs.docker.com/reference/api/engine/version/v1.45/>

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// One request; what it answers goes to standard output.
pub(crate) fn call(socket: &str, method: &str, path: &str, body: &str) -> Result<()> {
    std::io::stdout().write_all(&ask(socket, method, path, body)?).context("cannot tell what the daemon answered")
}

/// A command in a container, with this program's standard streams.
pub(crate) fn exec(socket: &str, container: &str, command: &[&str]) -> Result<()> {
    let config = json!({ "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Cmd": command });
    let made = ask(socket, "POST", &format!("/containers/{container}/exec"), &config.to_string())?;
    let made: Value = serde_json::from_slice(&made).context("an exec that is not understood")?;
    let id = made["Id"].as_str().with_context(|| format!("an exec without an id: {made}"))?;
    let start = json!({ "Detach": false, "Tty": false }).to_string();
    let mut streams =
        send(socket, "POST", &format!("/exec/{id}/start"), "Connection: Upgrade\r\nUpgrade: tcp\r\n", &start)?;
    let mut writer = streams.get_ref().try_clone().context("cannot write to the command")?;
    std::thread::scope(|scope| -> Result<()> {
        scope.spawn(move || {
            // A command that ends before it has read all says so by its status.
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut writer);
            let _ = writer.shutdown(Shutdown::Write);
        });
        told(&mut streams)
    })?;
    let ended: Value = serde_json::from_slice(&ask(socket, "GET", &format!("/exec/{id}/json"), "")?)?;
    ensure!(ended["ExitCode"] == 0, "{} in {container}: status {}", command.join(" "), ended["ExitCode"]);
    Ok(())
}

/// The command's output and errors: each piece has a header with the stream's number and its length ("Attach to a container",
/// stream format).
fn told(streams: &mut impl Read) -> Result<()> {
    let mut header = [0; 8];
    while streams.by_ref().take(1).read(&mut header)? == 1 {
        streams.read_exact(&mut header[1..]).context("the command's words are cut short")?;
        let [stream, _, _, _, length @ ..] = header;
        let mut piece = streams.by_ref().take(u32::from_be_bytes(length).into());
        match stream {
            1 => std::io::copy(&mut piece, &mut std::io::stdout())?,
            2 => std::io::copy(&mut piece, &mut std::io::stderr())?,
            other => bail!("a stream {other}, which is neither output nor error"),
        };
        ensure!(piece.limit() == 0, "the command's words are cut short");
    }
    Ok(())
}

fn ask(socket: &str, method: &str, path: &str, body: &str) -> Result<Vec<u8>> {
    let mut answer = Vec::new();
    send(socket, method, path, "", body)?.read_to_end(&mut answer).context("the daemon's answer is cut short")?;
    Ok(answer)
}

/// A request; the reader stands behind the header of a good answer.
fn send(socket: &str, method: &str, path: &str, headers: &str, body: &str) -> Result<BufReader<UnixStream>> {
    let mut stream = UnixStream::connect(socket).with_context(|| format!("cannot connect to {socket}"))?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).context("the daemon takes no request")?;
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).context("the daemon does not answer")?;
    let status: u16 =
        first.split(' ').nth(1).and_then(|word| word.parse().ok()).with_context(|| format!("no status: {first}"))?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).context("the daemon's answer is cut short")?;
        if line.trim_end().is_empty() {
            break;
        }
    }
    if !matches!(status, 101 | 200..=299) {
        let mut why = String::new();
        reader.read_to_string(&mut why).context("the daemon's answer is cut short")?;
        bail!("{method} {path}: status {status}: {}", why.trim());
    }
    Ok(reader)
}
