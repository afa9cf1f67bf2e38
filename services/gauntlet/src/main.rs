//! The one binary of Gauntlet. Everything is in the library beside it.

fn main() -> std::process::ExitCode {
    gauntlet::main()
}
