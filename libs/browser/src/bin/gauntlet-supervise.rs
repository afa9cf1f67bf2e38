//! The supervisor alone, for tests of this crate; the product runs it as `gauntlet supervise`.

fn main() -> std::process::ExitCode {
    gauntlet_browser::supervise_main(std::env::args_os().skip(1))
}
