//! Redis: its config file, the command line of a start, and what "ready" means.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::account::Account;
use crate::error::EmbeddedError;
use crate::password::{Password, write_private};

const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
const REPLY_BYTES_MAX: usize = 512;

/// Everything needed to start Redis, once or again.
#[derive(Debug)]
pub(crate) struct RedisLaunch {
    pub(crate) program: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) conf: PathBuf,
    pub(crate) log: crate::folder::Log,
    pub(crate) account: Account,
    pub(crate) password: Password,
    pub(crate) ephemeral: bool,
}

impl RedisLaunch {
    /// Writes the config file: the password must not be on a command line.
    pub(crate) fn write_conf(&self) -> Result<(), EmbeddedError> {
        let appendonly = if self.ephemeral { "no" } else { "yes" };
        let conf = format!(
            "bind 127.0.0.1\n\
             protected-mode yes\n\
             requirepass {}\n\
             dir \"{}\"\n\
             appendonly {appendonly}\n\
             save \"\"\n\
             maxmemory-policy noeviction\n\
             # The next start knows an orphan by its command line.\n\
             set-proc-title no\n",
            self.password.reveal(),
            self.dir.display().to_string().replace('\\', r"\\").replace('"', "\\\""),
        );
        write_private(&self.conf, &conf)?;
        self.account.give(&self.conf)
    }

    /// Returns the command that serves `dir` on `port` of loopback.
    pub(crate) fn command(&self, port: u16) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(&self.conf).args(["--port", &port.to_string()]).current_dir(&self.dir);
        self.account.apply(&mut command);
        command
    }

    /// Returns the URL of database 0.
    pub(crate) fn url(&self, port: u16) -> String {
        format!("redis://:{}@127.0.0.1:{port}/", self.password.reveal())
    }

    /// Succeeds when the server takes our password and has loaded its data.
    pub(crate) async fn probe(&self, port: u16) -> Result<(), String> {
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
            let line = format!("AUTH {}\r\nPING\r\n", self.password.reveal());
            stream.write_all(line.as_bytes()).await?;
            let mut reply = Vec::new();
            while reply.len() < REPLY_BYTES_MAX && reply.iter().filter(|b| **b == b'\n').count() < 2
            {
                if stream.read_buf(&mut reply).await? == 0 {
                    break;
                }
            }
            std::io::Result::Ok(String::from_utf8_lossy(&reply).into_owned())
        };
        match tokio::time::timeout(PROBE_TIMEOUT, ask).await {
            Ok(Ok(reply)) if reply == "+OK\r\n+PONG\r\n" => Ok(()),
            Ok(Ok(reply)) => Err(format!("replied {reply:?}")),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no reply".to_owned()),
        }
    }
}
