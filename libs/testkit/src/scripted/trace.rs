//! What a scripted executor tells of traced runs, with the machine's monotonic time: it can be compared across processes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

/// Hears what happens to the shards of traced runs.
pub type Trace = Arc<dyn Fn(Traced) + Send + Sync>;

/// One thing that happened; as text it is one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traced {
    /// What.
    pub what: What,
    /// The run.
    pub run_id: Uuid,
    /// The shard.
    pub shard_index: i32,
    /// When, by [`monotonic_ns`].
    pub at_ns: u64,
}

/// What happened to a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Its work began.
    Started,
    /// Results acknowledged so many more attempts.
    Acknowledged(u32),
    /// Its token was tripped: the run was aborted or the lease is lost.
    Tripped,
}

impl Traced {
    pub(crate) fn now(what: What, run_id: Uuid, shard_index: i32) -> Self {
        Self { what, run_id, shard_index, at_ns: monotonic_ns() }
    }
}

/// Returns the machine's monotonic time.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    seconds.unwrap_or_default() * 1_000_000_000 + nanos.unwrap_or_default()
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, count) = match self.what {
            What::Started => ("started", 0),
            What::Acknowledged(count) => ("acknowledged", count),
            What::Tripped => ("tripped", 0),
        };
        write!(f, "{what} {count} {} {} {}", self.run_id, self.shard_index, self.at_ns)
    }
}

impl FromStr for Traced {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> anyhow::Result<Self> {
        let mut words = line.split(' ');
        let mut next = || words.next().ok_or_else(|| anyhow::anyhow!("short line {line:?}"));
        let (what, count) = (next()?, next()?.parse()?);
        let what = match what {
            "started" => What::Started,
            "acknowledged" => What::Acknowledged(count),
            "tripped" => What::Tripped,
            other => anyhow::bail!("unknown word {other:?}"),
        };
        let run_id = next()?.parse()?;
        Ok(Self { what, run_id, shard_index: next()?.parse()?, at_ns: next()?.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_travels_as_a_line_and_back() {
        for what in [What::Started, What::Acknowledged(7), What::Tripped] {
            let traced = Traced::now(what, Uuid::max(), 3);
            assert_eq!(traced.to_string().parse::<Traced>().unwrap(), traced);
        }
        assert!("tripped 0".parse::<Traced>().is_err());
    }
}
