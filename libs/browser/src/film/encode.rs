//! Makes a video of a film with ffmpeg, below the same supervisor as browsers, so that it cannot outlive its owner either.

use std::{
    ffi::OsString,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{io::AsyncReadExt, process::Command};

use super::{Film, Frame};
use crate::{LaunchError, programs};

/// How long the last frame is shown after the end of the test.
const LAST_FRAME: Duration = Duration::from_secs(1);
/// What ffmpeg says that is kept.
const WORDS_BYTES_MAX: u64 = 2_000;
/// Looked at in a JPEG to find its size.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// Makes videos.
#[derive(Debug, Clone)]
pub struct Encoder {
    ffmpeg: PathBuf,
    supervisor: Vec<OsString>,
}

/// A part of a video with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chapter {
    /// When it begins, after the start of the test.
    pub offset: Duration,
    /// What it is called.
    pub title: String,
}

/// Why there is no video.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// There is nothing to make one of.
    #[error("no frame was taken")]
    NoFrames,
    /// A file cannot be written or read.
    #[error("the frames cannot be used")]
    Files(#[source] std::io::Error),
    /// The supervisor did not start.
    #[error("ffmpeg did not start")]
    Start(#[source] std::io::Error),
    /// It gave up.
    #[error("ffmpeg failed: {said}")]
    Failed {
        /// What it said.
        said: String,
    },
    /// It took too long.
    #[error("ffmpeg took longer than {after:?}")]
    TooSlow {
        /// The limit.
        after: Duration,
    },
}

impl Encoder {
    /// Returns what makes videos on this machine, with the ffmpeg given or with the one that is found.
    ///
    /// # Errors
    /// [`LaunchError::ProgramMissing`]: there is none.
    pub fn find(ffmpeg: Option<&Path>, supervisor: &[OsString]) -> Result<Self, LaunchError> {
        let ffmpeg = programs::ffmpeg(ffmpeg)?;
        Ok(Self { ffmpeg, supervisor: supervisor.to_vec() })
    }

    /// Writes a film as MP4 to `target`. Its time starts with the first frame.
    ///
    /// # Errors
    /// [`EncodeError`]; what was written until then is no video.
    ///
    /// # Cancel safety
    /// Dropping the future kills ffmpeg.
    pub async fn encode(
        &self,
        film: &Film,
        chapters: &[Chapter],
        target: &Path,
        limit: Duration,
    ) -> Result<(), EncodeError> {
        let first = film.frames.first().ok_or(EncodeError::NoFrames)?;
        let (frames, marks) = (target.with_extension("frames"), target.with_extension("chapters"));
        let head = tokio::fs::read(&first.file).await.map_err(EncodeError::Files)?;
        let size = jpeg_size(&head[..head.len().min(HEADER_BYTES_MAX)]).unwrap_or((1_280, 720));
        let last = film.frames.last().unwrap_or(first).offset;
        let end = film.length.max(last) + LAST_FRAME;
        let list = tokio::fs::write(&frames, frame_list(&film.frames, end)).await;
        list.map_err(EncodeError::Files)?;
        let list = tokio::fs::write(&marks, chapter_list(chapters, first.offset, end)).await;
        list.map_err(EncodeError::Files)?;
        let (program, prefix) = self.supervisor.split_first().ok_or_else(|| {
            EncodeError::Failed { said: "no supervisor command is configured".to_owned() }
        })?;
        let mut command = Command::new(program);
        command.args(prefix).arg("--").arg(&self.ffmpeg);
        command.args(arguments(&frames, &marks, size)).arg(target);
        let mut child = command
            // The life line: when it closes, the supervisor kills everything.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(EncodeError::Start)?;
        let life_line = child.stdin.take();
        let errors = child.stderr.take();
        let ended = async {
            let mut said = Vec::new();
            if let Some(mut errors) = errors {
                let _ = (&mut errors).take(WORDS_BYTES_MAX).read_to_end(&mut said).await;
                // Nobody below may ever wait for room in the pipe.
                let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
            }
            (child.wait().await, String::from_utf8_lossy(&said).trim().to_owned())
        };
        let ended = tokio::time::timeout(limit, ended).await;
        drop(life_line);
        match ended {
            Err(_) => Err(EncodeError::TooSlow { after: limit }),
            Ok((Ok(status), _)) if status.success() => Ok(()),
            Ok((_, said)) => Err(EncodeError::Failed { said: crate::error::cut(&said) }),
        }
    }
}

fn arguments(frames: &Path, chapters: &Path, (width, height): (u32, u32)) -> Vec<OsString> {
    // The codec takes even sides only.
    let (width, height) = (width.next_multiple_of(2), height.next_multiple_of(2));
    let fit = format!(
        "scale={width}:{height}:force_original_aspect_ratio=decrease,pad={width}:{height}:-1:-1,format=yuv420p"
    );
    let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
    let mut arguments = words("-hide_banner -loglevel error -nostdin -y -f concat -safe 0 -i");
    arguments.push(frames.into());
    arguments.extend(words("-f ffmetadata -i"));
    arguments.push(chapters.into());
    arguments.extend(words("-map 0:v -map_metadata 1 -map_chapters 1 -vsync vfr -vf"));
    arguments.push(fit.into());
    // One thread: it shares the processor with the tests that run now. The index goes to the front, for readers that seek.
    let codec = "-threads 1 -c:v libx264 -preset veryfast -crf 28 -movflags +faststart -f mp4";
    arguments.extend(words(codec));
    arguments
}

/// Each frame is shown until the next one was taken.
fn frame_list(frames: &[Frame], end: Duration) -> String {
    let mut list = "ffconcat version 1.0\n".to_owned();
    let name = |frame: &Frame| frame.file.display().to_string().replace('\'', r"'\''");
    for (index, frame) in frames.iter().enumerate() {
        let until = frames.get(index + 1).map_or(end, |next| next.offset);
        let seconds = until.saturating_sub(frame.offset).as_secs_f64().max(0.001);
        let _ = writeln!(list, "file '{}'\nduration {seconds:.3}", name(frame));
    }
    // The time of the last file counts only if another follows.
    if let Some(last) = frames.last() {
        let _ = writeln!(list, "file '{}'", name(last));
    }
    list
}

/// Each chapter lasts until the next one begins.
fn chapter_list(chapters: &[Chapter], start: Duration, end: Duration) -> String {
    let mut list = ";FFMETADATA1\n".to_owned();
    let at = |offset: Duration| offset.clamp(start, end).saturating_sub(start).as_millis();
    for (index, chapter) in chapters.iter().enumerate() {
        let until = chapters.get(index + 1).map_or(end, |next| next.offset);
        let (from, to) = (at(chapter.offset), at(until).max(at(chapter.offset) + 1));
        let title: String = chapter.title.chars().filter(|c| !c.is_control()).collect();
        let title = ["\\", "=", ";", "#"]
            .iter()
            .fold(title, |title, sign| title.replace(sign, &format!("\\{sign}")));
        let _ = writeln!(list, "[CHAPTER]\nTIMEBASE=1/1000\nSTART={from}\nEND={to}\ntitle={title}");
    }
    list
}

/// Returns width and height of a JPEG, from its frame header.
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let two = |at: usize| Some(u32::from(*bytes.get(at)?) << 8 | u32::from(*bytes.get(at + 1)?));
    let mut at = 2;
    loop {
        let marker = *bytes.get(at + 1)?;
        let is_frame = (0xC0..=0xCF).contains(&marker) && ![0xC4, 0xC8, 0xCC].contains(&marker);
        if is_frame {
            return Some((two(at + 7)?, two(at + 5)?)).filter(|(width, height)| width * height > 0);
        }
        at += 2 + usize::try_from(two(at + 2)?).ok()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g6_chapters_follow_each_other_from_the_first_frame_on() {
        let chapter = |ms, title: &str| Chapter {
            offset: Duration::from_millis(ms),
            title: title.to_owned(),
        };
        let chapters =
            [chapter(100, "1 navigate"), chapter(700, "2 a=b;c"), chapter(5_000, "3 late")];
        let list =
            chapter_list(&chapters, Duration::from_millis(300), Duration::from_millis(2_000));
        let lines: Vec<_> = list.lines().filter(|line| !line.starts_with('[')).collect();
        let of = |from, to, title| {
            [
                "TIMEBASE=1/1000".to_owned(),
                format!("START={from}"),
                format!("END={to}"),
                format!("title={title}"),
            ]
        };
        assert_eq!(lines[1..5], of(0, 400, "1 navigate"));
        assert_eq!(lines[5..9], of(400, 1_700, "2 a\\=b\\;c"));
        assert_eq!(lines[9..], of(1_700, 1_701, "3 late"));
    }

    #[test]
    fn the_size_of_a_picture_is_in_its_header() {
        let jpeg = [0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, 0xC0, 0, 17, 8, 2, 0xD0, 5, 0, 3];
        assert_eq!(jpeg_size(&jpeg), Some((1_280, 720)));
        assert_eq!(jpeg_size(&jpeg[..9]), None);
        assert_eq!(jpeg_size(b""), None);
    }
}
