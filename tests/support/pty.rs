//! A terminal of a given size that a command runs in, and what is on its screen at the end.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// How many lines are kept above the screen.
const SCROLLBACK: u16 = 2_000;

/// Runs `command` in a terminal of `columns`; what it shows once the command has ended, scrollback included, without the blanks
/// at the ends of lines and of the whole.
pub fn screen(command: &mut Command, columns: u16) -> String {
    answered(command, columns, "")
}

/// As [`screen`]; `answer` is typed ahead.
pub fn answered(command: &mut Command, columns: u16, answer: &str) -> String {
    answering(command, columns, "", || answer.to_owned())
}

/// As [`screen`]; `answer` is typed once what is shown ends with `question`.
pub fn answering(
    command: &mut Command,
    columns: u16,
    question: &str,
    answer: impl FnOnce() -> String,
) -> String {
    let mut answer = Some(answer);
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("granted");
    unlockpt(&master).expect("unlocked");
    let name = ptsname(&master, Vec::new()).expect("its name");
    let name = name.into_string().expect("UTF-8");
    let terminal = || {
        let opened = File::options().read(true).write(true).open(&name);
        Stdio::from(opened.expect("opened"))
    };
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&master, size).expect("sized");
    command
        .env("TERM", "xterm-256color")
        .env_remove("COLUMNS")
        .stdin(terminal())
        .stdout(terminal())
        .stderr(terminal());
    let mut child = command.spawn().expect("wi runs");
    // The command's own copies are the last ones: their end is the end of the output.
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut written = Vec::new();
    let mut file = File::from(master);
    let mut part = [0; 4096];
    loop {
        if written.ends_with(question.as_bytes())
            && let Some(answer) = answer.take()
        {
            file.write_all(answer().as_bytes()).expect("typed");
        }
        // A terminal whose other end is closed answers EIO.
        let Ok(n @ 1..) = file.read(&mut part) else {
            break;
        };
        written.extend_from_slice(&part[..n]);
    }
    child.wait().expect("ended");
    // A screen that is high enough for all lines: the command drew for 24.
    let mut parser = vt100::Parser::new(SCROLLBACK, columns, 0);
    parser.process(&written);
    let text: Vec<String> = parser
        .screen()
        .rows(0, columns)
        .map(|line| line.trim_end().to_owned())
        .collect();
    text.join("\n").trim_end().to_owned()
}
