use std::process::ExitCode;

fn main() -> ExitCode {
    wi::cli::run(std::env::args_os())
}
