//! curl, as far as probes in pods use it: several transfers in a row, their bodies and what `-w` asks for.

/// A transfer that is asked for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub url: String,
    pub headers: Vec<String>,
    /// The body goes elsewhere (`-o`).
    hides_body: bool,
    /// Errors are told (`-S`, or without `-s`).
    tells_errors: bool,
    write_out: String,
}

/// What came of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// The status and the body.
    Answer(u16, String),
    /// Nothing came back in time.
    TimedOut,
    /// Nobody knows the host.
    NoHost,
}

/// Runs a command line without its program; answers with the exit status and all that is printed.
pub fn run(args: &[String], mut get: impl FnMut(&Transfer) -> Got) -> (i32, String) {
    let transfers = match parse(args) {
        Ok(transfers) => transfers,
        Err(why) => {
            return (
                2,
                format!("curl: {why}\ncurl: try 'curl --help' for more information\n"),
            );
        }
    };
    let (mut code, mut out) = (0, String::new());
    for transfer in &transfers {
        let (status, error) = match get(transfer) {
            Got::Answer(status, body) => {
                if !transfer.hides_body {
                    out.push_str(&body);
                }
                (status, None)
            }
            Got::TimedOut => (0, Some((28, "Connection timed out".to_owned()))),
            Got::NoHost => {
                let host = host(&transfer.url);
                (0, Some((6, format!("Could not resolve host: {host}"))))
            }
        };
        let told = format!("{status:03}");
        out.push_str(
            &transfer
                .write_out
                .replace("%{http_code}", &told)
                .replace("\\n", "\n"),
        );
        code = 0;
        if let Some((number, why)) = error {
            code = number;
            if transfer.tells_errors {
                out.push_str(&format!("curl: ({number}) {why}\n"));
            }
        }
    }
    (code, out)
}

/// The host that a URL names.
pub fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['/', ':', '?']).unwrap_or(rest.len());
    &rest[..end]
}

/// The path that a URL names, with its query.
pub fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("/", |at| &rest[at..])
}

fn parse(args: &[String]) -> Result<Vec<Transfer>, String> {
    let mut all = Vec::new();
    let mut now = Transfer::default();
    let mut is_silent = false;
    let mut shows = false;
    let mut rest = args.iter();
    let mut done = |now: &mut Transfer, is_silent: &mut bool, shows: &mut bool| {
        if !now.url.is_empty() {
            now.tells_errors = *shows || !*is_silent;
            all.push(std::mem::take(now));
        }
        (*is_silent, *shows) = (false, false);
    };
    while let Some(arg) = rest.next() {
        let mut value = || {
            let value = rest.next().cloned();
            value.ok_or_else(|| format!("option {arg}: requires parameter"))
        };
        match arg.as_str() {
            "-s" | "--silent" => is_silent = true,
            "-S" | "--show-error" => shows = true,
            "-sS" | "-Ss" => (is_silent, shows) = (true, true),
            "-o" | "--output" => {
                value()?;
                now.hides_body = true;
            }
            "-w" | "--write-out" => now.write_out = value()?,
            "-H" | "--header" => now.headers.push(value()?),
            "-m" | "--max-time" | "--retry" | "--retry-delay" | "--connect-timeout" => {
                value()?;
            }
            "--retry-connrefused" => {}
            "--next" | "-:" => done(&mut now, &mut is_silent, &mut shows),
            option if option.starts_with('-') => {
                return Err(format!("option {option}: is unknown"));
            }
            url => url.clone_into(&mut now.url),
        }
    }
    done(&mut now, &mut is_silent, &mut shows);
    match all.is_empty() {
        true => Err("no URL specified".to_owned()),
        false => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_are_made_in_a_row_and_what_is_hidden_is_not_printed() {
        let args = [
            "-sS",
            "-H",
            "A: b",
            "-w",
            "\\nfirst %{http_code}\\n",
            "http://a/x?y",
            "--next",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "second %{http_code}\\n",
            "https://b.example.com/",
            "--next",
            "-sS",
            "-w",
            "third %{http_code}\\n",
            "http://c:80/",
        ]
        .map(str::to_owned);
        let mut seen = Vec::new();
        let (code, out) = run(&args, |transfer| {
            seen.push((
                host(&transfer.url).to_owned(),
                path(&transfer.url).to_owned(),
            ));
            match seen.len() {
                1 => Got::Answer(200, "body".to_owned()),
                2 => Got::Answer(404, "hidden".to_owned()),
                _ => Got::NoHost,
            }
        });
        assert_eq!(code, 6);
        assert_eq!(
            out,
            "body\nfirst 200\nsecond 404\nthird 000\ncurl: (6) Could not resolve host: c\n"
        );
        assert_eq!(seen[0], ("a".to_owned(), "/x?y".to_owned()));
        assert_eq!(run(&["--bad".to_owned()], |_| Got::NoHost).0, 2);
        assert_eq!(run(&[], |_| Got::NoHost).0, 2);
    }
}
