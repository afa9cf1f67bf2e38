//! What the parser takes and refuses.

use super::run::RunArgs;
use super::*;
use clap::CommandFactory as _;
use gauntlet_proto::v1;

fn run(args: &[&str]) -> Result<Box<RunArgs>, clap::Error> {
    let cli = Cli::try_parse_from(["gauntlet", "run"].iter().chain(args))?;
    match cli.command {
        Command::Run(args) => Ok(args),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn flags_become_the_request() {
    let args = run(&[
        "a.json",
        "--shards",
        "4",
        "--workers",
        "2",
        "--browser",
        "chromium-full",
        "--headed",
        "--base-url",
        "http://x",
        "--var",
        "A=1=2",
        "--retries",
        "3",
        "--timeout",
        "30s",
        "--on-infra-failure",
        "stop-run",
        "--dialogs",
        "fail",
        "--label",
        "pr=7",
        "--callback-url",
        "http://hook",
        "--environment",
        "e",
        "--project",
        "p",
    ])
    .unwrap();
    let request = args.request("r".to_owned(), vec!["t".to_owned()], None);
    let options = request.options.unwrap();
    assert_eq!((options.shards, options.workers, options.retries), (4, 2, 3));
    assert_eq!(options.browser(), v1::Browser::ChromiumFull);
    assert_eq!(options.variables["A"], "1=2");
    assert_eq!(options.test_timeout.unwrap().seconds, 30);
    assert_eq!(options.on_infra_failure(), v1::OnInfraFailure::StopRun);
    assert_eq!(options.dialog_policy(), v1::DialogPolicy::Fail);
    let trigger = request.trigger.unwrap();
    assert_eq!(
        (trigger.callback_url.as_str(), trigger.labels["pr"].as_str()),
        ("http://hook", "7")
    );
    assert_eq!(request.selection.unwrap().test_ids, ["t"]);
}

#[test]
fn json_goes_to_standard_output_unless_a_file_is_named() {
    assert_eq!(run(&["a.json"]).unwrap().report.json, None);
    assert_eq!(run(&["--json", "a.json"]).unwrap().report.json, Some(None));
    let named = run(&["--json=out.json", "a.json"]).unwrap();
    assert_eq!(named.report.json, Some(Some(PathBuf::from("out.json"))));
    assert_eq!(named.paths, [PathBuf::from("a.json")]);
}

#[test]
fn nonsense_is_a_usage_error() {
    for args in [
        &["--shards", "0"][..],
        &["--shards", "1025"],
        &["--workers", "11"],
        &["--retries", "11"],
        &["--timeout", "soon"],
        &["--var", "novalue"],
        &["--browser", "lynx"],
        &["a.json", "--tag", "x"],
        &["a.json", "--demo", "--base-url", "http://x"],
        &["--detach", "--junit", "x"],
        &["--what"],
    ] {
        let error = run(args).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{args:?}");
    }
}

#[test]
fn an_ephemeral_mesh_takes_a_free_port() {
    for (args, port) in [
        (&["up"][..], 7430),
        (&["up", "--ephemeral"], 0),
        (&["up", "--ephemeral", "--listen", "127.0.0.1:9"], 9),
    ] {
        let cli = Cli::try_parse_from(["gauntlet"].iter().chain(args)).unwrap();
        let Command::Up(up) = cli.command else { panic!("{args:?}") };
        assert_eq!(up.listen().port(), port);
    }
}
