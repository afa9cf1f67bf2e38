//! What is kept of a test besides its result (G6, A3).

use std::{path::Path, process::Command, time::Duration};

use gauntlet_browser::{
    BrowserKind, BrowserSlot, Capture, Chapter, Control, EncodeError, Encoder, TestOptions,
    TestOutcome, TestResult,
};
use gauntlet_core::flow::Flow;

use crate::{
    site,
    support::{config, config_of, turn},
};

const BIDI: [BrowserKind; 2] = [BrowserKind::HeadlessShell, BrowserKind::Firefox];

fn options(folder: &Path, every_step: bool, film: bool) -> TestOptions {
    let capture = Capture { folder: folder.to_owned(), every_step, film };
    TestOptions { capture: Some(capture), ..TestOptions::default() }
}

/// A test with time for a busy machine.
fn flow(base: &str, page: &str, steps: &str) -> Flow {
    let text = format!(
        r#"{{"title":"t","timeout":20000,"steps":[{{"type":"navigate","url":"{base}/{page}"}}{steps}]}}"#
    );
    gauntlet_recordings::parse(text.as_bytes(), "inline").expect("valid")
}

async fn run(kind: BrowserKind, test: &Flow, options: &TestOptions) -> TestOutcome {
    let mut slot = BrowserSlot::new(config_of(kind, &format!("capture-{kind:?}")));
    slot.run_test(test, options, &Control::default()).await.expect("the browser starts")
}

/// A step that paints the page and waits until that can have been seen.
fn paint(colour: &str) -> String {
    let script = format!(
        "(window.since_{colour} ||= (document.documentElement.style.background = '{colour}', document.body.style.visibility = 'hidden', performance.now())) + 1500 < performance.now()"
    );
    format!(r#",{{"type":"waitForExpression","expression":"{script}"}}"#)
}

fn ask(program: &str, arguments: &[&str], file: &Path) -> Vec<u8> {
    let output = Command::new(program).args(arguments).arg(file).output().expect(program);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Returns the colour of the middle of a video at a time.
fn colour_at(video: &Path, seconds: f64) -> Vec<u8> {
    let at = format!("{seconds:.2}");
    let output = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-ss", &at, "-i"])
        .arg(video)
        .args([
            "-frames:v",
            "1",
            "-vf",
            "crop=2:2,scale=1:1",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-",
        ])
        .output()
        .expect("ffmpeg");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[tokio::test]
async fn g6_a_video_shows_what_the_page_showed_with_a_chapter_for_each_step() {
    let _turn = turn().await;
    let base = site::start().await;
    let test = flow(&base, "list", &[paint("red"), paint("blue")].concat());
    for kind in BIDI {
        let folder = tempfile::tempdir().expect("a folder");
        let outcome = run(kind, &test, &options(folder.path(), false, true)).await;
        assert_eq!(outcome.result, TestResult::Passed, "{kind:?}");
        let film = outcome.film.expect("a film");
        assert_eq!(film.problem, None, "{kind:?}");
        let fastest = film.frames.windows(2).map(|two| two[1].offset - two[0].offset).min();
        assert!((2..200).contains(&film.frames.len()), "{kind:?}: {:?}", film.frames.len());
        println!("{kind:?}: {} frames, {fastest:?}, {:?}", film.frames.len(), outcome.duration);
        let chapters: Vec<_> = outcome
            .steps
            .iter()
            .map(|step| Chapter {
                offset: step.started_offset,
                title: format!("{} {}", step.index + 1, step.step_type),
            })
            .collect();
        let video = folder.path().join("video.mp4");
        let encoder = Encoder::find(None, &config("film").supervisor).expect("ffmpeg");
        let limit = Duration::from_secs(60);
        encoder.encode(&film, &chapters, &video, limit).await.expect("a video");
        let probe = ["-v", "error", "-show_chapters", "-show_format", "-of", "json"];
        let found: serde_json::Value =
            serde_json::from_slice(&ask("ffprobe", &probe, &video)).expect("json");
        let titles: Vec<_> = found["chapters"]
            .as_array()
            .expect("chapters")
            .iter()
            .map(|chapter| chapter["tags"]["title"].as_str().unwrap_or_default().to_owned())
            .collect();
        let expected: Vec<_> = chapters.iter().map(|chapter| chapter.title.clone()).collect();
        assert_eq!(titles, expected, "{kind:?}");
        let start = film.frames[0].offset;
        let shown = |step: usize| {
            let middle = outcome.steps[step].started_offset + outcome.steps[step].duration * 3 / 4;
            colour_at(&video, middle.saturating_sub(start).as_secs_f64())
        };
        let (red, blue) = (shown(outcome.steps.len() - 2), shown(outcome.steps.len() - 1));
        assert!(red[0] > 180 && red[2] < 80, "{kind:?}: {red:?}");
        assert!(blue[2] > 180 && blue[0] < 80, "{kind:?}: {blue:?}");
    }
}

#[tokio::test]
async fn g6_an_encoder_that_hangs_is_killed_in_time_and_one_that_fails_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let frame = folder.path().join("000000.jpg");
    std::fs::write(&frame, "no picture").expect("a file");
    let film = gauntlet_browser::Film {
        frames: vec![gauntlet_browser::Frame { file: frame, offset: Duration::ZERO }],
        ..Default::default()
    };
    let target = folder.path().join("video.mp4");
    let supervisor = config("film").supervisor;
    let encoder = Encoder::find(None, &supervisor).expect("ffmpeg");
    let failed = encoder.encode(&film, &[], &target, Duration::from_secs(30)).await;
    assert!(matches!(&failed, Err(EncodeError::Failed { said }) if !said.is_empty()), "{failed:?}");
    let hanging = folder.path().join("hanging");
    std::fs::write(&hanging, "#!/bin/sh\nsleep 60 &\nwait\n").expect("a script");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&hanging, mode).expect("executable");
    let encoder = Encoder::find(Some(&hanging), &supervisor).expect("a program");
    let began = std::time::Instant::now();
    let late = encoder.encode(&film, &[], &target, Duration::from_millis(300)).await;
    assert!(matches!(late, Err(EncodeError::TooSlow { .. })), "{late:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    let marker = folder.path().display().to_string();
    let end = std::time::Instant::now() + Duration::from_secs(5);
    while !crate::support::marked(&marker).is_empty() {
        assert!(std::time::Instant::now() < end, "{:?}", crate::support::marked(&marker));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(Encoder::find(Some(Path::new("/nowhere")), &supervisor).is_err());
}

#[tokio::test]
async fn a3_every_step_has_its_picture_but_not_the_one_that_types_a_secret() {
    let _turn = turn().await;
    let base = site::start().await;
    let steps = r##",{"type":"change","selectors":["#password"],"value":"hunter2"},{"type":"waitForExpression","expression":"true"}"##;
    let test = flow(&base, "login", steps);
    for kind in [BrowserKind::HeadlessShell, BrowserKind::Firefox, BrowserKind::WebKit] {
        let folder = tempfile::tempdir().expect("a folder");
        let outcome = run(kind, &test, &options(folder.path(), true, false)).await;
        assert_eq!(outcome.result, TestResult::Passed, "{kind:?}");
        let pictured: Vec<_> = outcome.steps.iter().map(|step| step.screenshot.is_some()).collect();
        assert_eq!(pictured, [true, false, true], "{kind:?}");
        for file in outcome.steps.iter().filter_map(|step| step.screenshot.as_ref()) {
            assert!(std::fs::read(file).expect("a file").starts_with(b"\x89PNG"), "{kind:?}");
        }
        assert!(outcome.film.is_none() && outcome.screenshot.is_none());
    }
}

#[tokio::test]
async fn g6_the_source_of_a_failed_page_is_kept_without_what_was_typed() {
    let _turn = turn().await;
    let base = site::start().await;
    let steps = r##",{"type":"change","selectors":["#password"],"value":"hunter2"},{"type":"waitForExpression","timeout":1000,"expression":"(document.body.dataset.leak = 'hunter2', false)"}"##;
    let test = flow(&base, "login", steps);
    for kind in [BrowserKind::HeadlessShell, BrowserKind::Firefox, BrowserKind::WebKit] {
        let mut slot = BrowserSlot::new(config_of(kind, &format!("source-{kind:?}")));
        let outcome = slot.run_test(&test, &TestOptions::default(), &Control::default()).await;
        let outcome = outcome.expect("the browser starts");
        let source = outcome.page_source.expect("a source");
        assert!(source.contains("data-leak") && source.contains("password"), "{kind:?}: {source}");
        assert!(!source.contains("hunter2"), "{kind:?}: {source}");
        let off = TestOptions { screenshot_on_failure: false, ..TestOptions::default() };
        let outcome = slot.run_test(&test, &off, &Control::default()).await.expect("it starts");
        assert!(outcome.page_source.is_none() && outcome.screenshot.is_none(), "{kind:?}");
    }
}
