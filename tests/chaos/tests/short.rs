//! The short form of the chaos, as CI runs it: about a minute, every fault once if the machine allows.

use std::process::Command;
use std::time::Duration;

use gauntlet_testkit::GauntletProcess;

/// Longer than the chaos gives itself, so that it ends its own processes.
const PATIENCE: Duration = Duration::from_secs(720);

#[tokio::test]
async fn the_short_chaos_loses_and_doubles_nothing() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
    command.arg("--verbose");
    let mut chaos = GauntletProcess::spawn_command(command);
    let status = chaos.wait(PATIENCE).await;
    let output = chaos.output();
    assert!(status.success(), "{output}");
    let number = |after: &str| -> u32 {
        let rest = output.split(after).nth(1).unwrap_or_default();
        let digits = rest.chars().take_while(char::is_ascii_digit).collect::<String>();
        digits.parse().unwrap_or_else(|_| panic!("no number after {after:?} in {output}"))
    };
    assert!(number("\nruns ") >= 40, "{output}");
    assert!(number("faults counted ") >= 10, "{output}");
}
