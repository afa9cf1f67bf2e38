//! The process between an executor and its driver, so that no process outlives its owner (G8).
//!
//! It is the same binary executed again. It adopts every orphan below it (child subreaper), and when its standard input
//! ends, because the owner closed it or died, it kills the whole tree, reaps it, removes the profile folder and exits.
//! A browser that needs a screen gets one of its own, an X server below the same supervisor, which dies the same death.
//! It uses no async runtime: it must work when everything else does not.

use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    io::{self, BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc, Once,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{
        Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper,
        wait,
    },
};

const KILL_PAUSE: Duration = Duration::from_millis(20);
const REMOVE_TRIES: u32 = 5;
const REMOVE_PAUSE: Duration = Duration::from_millis(3);

/// Runs `[--remove FOLDER] [--screen X_SERVER SIZE] -- PROGRAM ARGS...` as the head of its own process tree until standard
/// input ends or the program exits; then nothing of that tree is left, and neither is `FOLDER`.
#[must_use]
pub fn supervise_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Some(order) = Order::read(args) else { return ExitCode::from(2) };
    // Without adoption a crashed driver's browser would escape to init.
    if set_child_subreaper(Some(getpid())).is_err() {
        return ExitCode::from(3);
    }
    let group = Arc::new(AtomicI32::new(0));
    // Before anything is started: the owner may die, or lose interest, while the screen comes up.
    let known = Arc::clone(&group);
    std::thread::spawn(move || kill_at_end_of_input(&known));
    let code = match order.start() {
        Ok(child) => {
            let pid = i32::try_from(child.id()).unwrap_or_default();
            group.store(pid, Ordering::Relaxed);
            if let Some(pid) = Pid::from_raw(pid) {
                wait_for(pid);
                // From now on the number may be somebody else's.
                group.store(0, Ordering::Relaxed);
            }
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::from(127),
    };
    end_everything();
    if let Some(folder) = &order.remove {
        remove(folder);
    }
    code
}

struct Order {
    remove: Option<PathBuf>,
    screen: Option<(OsString, OsString)>,
    program: OsString,
    args: Vec<OsString>,
}

impl Order {
    fn read(args: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut args = args.into_iter();
        let (mut remove, mut screen) = (None, None);
        loop {
            match args.next()?.to_str() {
                Some("--remove") => remove = Some(PathBuf::from(args.next()?)),
                Some("--screen") => screen = Some((args.next()?, args.next()?)),
                Some("--") => break,
                _ => return None,
            }
        }
        let program = args.next()?;
        Some(Self { remove, screen, program, args: args.collect() })
    }

    fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::null()).process_group(0);
        if let Some((server, size)) = &self.screen {
            command.env("DISPLAY", start_screen(server, size)?).env_remove("WAYLAND_DISPLAY");
        }
        command.spawn()
    }
}

/// Starts an X server that finds a free number by itself, and returns the name of its display. It listens in no file
/// system: a socket or a lock there would outlive its death.
fn start_screen(server: &OsStr, size: &OsStr) -> io::Result<String> {
    let mut child = Command::new(server)
        .args([
            "-displayfd",
            "1",
            "-nolisten",
            "tcp",
            "-nolisten",
            "unix",
            "-nolock",
            "-screen",
            "0",
        ])
        .arg(size)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let mut number = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut number)?;
    }
    match number.trim() {
        "" => Err(io::Error::other("the X server did not start")),
        number => Ok(format!(":{number}")),
    }
}

/// The death of everything below wakes [`wait_for`]; whatever is started after that, [`end_everything`] finds.
fn kill_at_end_of_input(group: &AtomicI32) {
    let mut sink = [0; 64];
    let mut input = io::stdin();
    while matches!(input.read(&mut sink), Ok(read) if read > 0) {}
    // Most of them at one stroke, before the slower look at who else there is.
    if let Some(group) = Pid::from_raw(group.load(Ordering::Relaxed)) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    kill_from_now_on();
}

/// Kills whoever is there, and whoever was forked meanwhile, until this process ends.
fn kill_from_now_on() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        std::thread::spawn(|| {
            loop {
                kill_all();
                std::thread::sleep(KILL_PAUSE);
            }
        });
    });
}

/// Reaps whatever ends until the program itself has.
fn wait_for(program: Pid) {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, _))) if pid == program => return,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Kills and reaps until no descendant is left; whoever forks meanwhile is adopted by us and killed in the next round. It
/// waits for nothing but deaths: who owns us says how long it waits for ours.
fn end_everything() {
    kill_from_now_on();
    loop {
        match wait(WaitOptions::empty()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn kill_all() {
    for pid in descendants(getpid().as_raw_nonzero().get()) {
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Returns every process below `root`.
pub(crate) fn descendants(root: i32) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        if let Some((pid, parent)) =
            pid.and_then(|pid| parent_of(&entry.path()).map(|parent| (pid, parent)))
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut seen = HashSet::from([root]);
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        for &child in children.get(&pid).into_iter().flatten() {
            if seen.insert(child) {
                found.push(child);
                open.push(child);
            }
        }
    }
    found
}

fn parent_of(process: &Path) -> Option<i32> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    // The name may hold spaces and brackets; the fields after its last bracket do not.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn remove(folder: &Path) {
    for _ in 0..REMOVE_TRIES {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                std::thread::sleep(REMOVE_PAUSE)
            }
            _ => return,
        }
    }
}
