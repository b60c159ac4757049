//! One figure, and what it is held against.

use std::{fmt, fs};

use dmvpn_benches::measure::Paired;

use crate::Done;

/// What a figure must reach.
#[derive(Clone, Copy, Debug)]
pub enum Bar {
    /// So much or more, and more than that if it goes well.
    AtLeast(f64, Option<f64>),
    /// So much or less, and less than that if it goes well.
    AtMost(f64, Option<f64>),
    /// It is for information.
    None,
}

/// Prints one figure: the part, what it is, how it came about, its value and its unit. One that could not be measured is no number.
pub fn print(
    part: &str,
    what: impl fmt::Display,
    how: impl fmt::Display,
    value: f64,
    unit: &str,
    bar: Bar,
) {
    let (bar, stretch, least) = match bar {
        Bar::AtLeast(bar, stretch) => (Some(bar), stretch, ">="),
        Bar::AtMost(bar, stretch) => (Some(bar), stretch, "<="),
        Bar::None => (None, None, ""),
    };
    let number = |number: Option<f64>| number.map_or_else(String::new, |number| number.to_string());
    println!(
        "{part}\t{what}\t{how}\t{value}\t{unit}\t{least}\t{}\t{}",
        number(bar),
        number(stretch)
    );
}

/// A ratio of two sides that were measured in turn.
pub fn ratio(part: &str, what: impl fmt::Display, yardstick: &str, paired: Paired, bar: Bar) {
    let how = format!("{} / {yardstick} {}", time(paired.ours), time(paired.theirs));
    print(part, what, how, paired.ratio, "x", bar);
}

/// Nanoseconds, readable.
pub fn time(nanoseconds: f64) -> String {
    if nanoseconds < 10_000.0 {
        format!("{nanoseconds:.0} ns")
    } else {
        format!("{:.1} us", nanoseconds / 1e3)
    }
}

/// Prints all `*.tsv` of a directory as one table.
pub fn table(directory: &str) -> Done {
    let mut files: Vec<_> =
        fs::read_dir(directory)?.filter_map(Result::ok).map(|e| e.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "tsv"));
    files.sort();
    let (mut met, mut missed) = (0, 0);
    println!(
        "{:<6} {:<58} {:>13} {:>10} {:>10}  {:<8} how",
        "part", "what", "value", "bar", "stretch", "verdict"
    );
    for line in files.iter().map(fs::read_to_string).collect::<Result<String, _>>()?.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [part, what, how, value, unit, sign, bar, stretch] = fields[..] else { continue };
        let value: f64 = value.parse()?;
        let holds = |limit: &str| {
            limit
                .parse()
                .ok()
                .map(|limit: f64| if sign == ">=" { value >= limit } else { value <= limit })
        };
        let verdict = match (holds(bar), holds(stretch)) {
            (None, _) => "",
            _ if value.is_nan() => "not run",
            (Some(false), _) => "MISSED",
            (Some(true), Some(true)) => "stretch",
            (Some(true), _) => "met",
        };
        match verdict {
            "" | "not run" => {}
            "MISSED" => missed += 1,
            _ => met += 1,
        }
        let limit =
            |limit: &str| if limit.is_empty() { String::new() } else { format!("{sign} {limit}") };
        let value = match unit {
            _ if value.abs() >= 1000.0 => format!("{value:.0}"),
            "x" => format!("{value:.3}"),
            _ => format!("{value:.2}"),
        };
        println!(
            "{part:<6} {what:<58} {:>13} {:>10} {:>10}  {verdict:<8} {how}",
            format!("{value} {unit}"),
            limit(bar),
            limit(stretch)
        );
    }
    println!("\n{met} bars met, {missed} missed");
    Ok(())
}
