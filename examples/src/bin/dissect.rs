//! Prints what a capture holds of GRE, NHRP, ISAKMP and ESP: one JSON object a line.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use dmvpn_examples::capture::Frames;
use dmvpn_examples::dissect::Dissector;
use dmvpn_examples::keys::Keys;

const USAGE: &str = "usage: dissect FILE.pcap[ng] [--keys DIR]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dissect: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn core::error::Error>> {
    let (file, keys) = arguments()?;
    let keys = keys.map_or_else(|| Ok(Keys::default()), |directory| Keys::read(&directory))?;
    let mut dissector = Dissector::new(keys)?;
    let octets = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut out = BufWriter::new(io::stdout().lock());
    for frame in Frames::new(&octets)? {
        if let Some(object) = dissector.frame(&frame?) {
            match writeln!(out, "{object}") {
                // Whoever reads has seen enough, as `head` has.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                written => written?,
            }
        }
    }
    Ok(out.flush()?)
}

fn arguments() -> Result<(PathBuf, Option<PathBuf>), &'static str> {
    let (mut file, mut keys) = (None, None);
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--keys" {
            keys = Some(arguments.next().ok_or(USAGE)?.into());
        } else if file.is_none() && !argument.to_string_lossy().starts_with("--") {
            file = Some(argument.into());
        } else {
            return Err(USAGE);
        }
    }
    Ok((file.ok_or(USAGE)?, keys))
}
