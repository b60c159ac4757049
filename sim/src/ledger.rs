//! What came of a campaign, kept in a file so that it can go on another day.

use core::fmt;
use core::time::Duration;
use std::fs;
use std::io;
use std::path::PathBuf;

use dmvpn_sim::{Broken, Report};

use crate::arguments::Arguments;

/// After so many seeds the file is written.
const BATCH: u64 = 100;

/// Counts over a campaign.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: Option<PathBuf>,
    first: u64,
    /// The next seed to run.
    pub(crate) next: u64,
    spokes: u64,
    events: u64,
    packets: u64,
    delivered: u64,
    seconds: u64,
    slowest: Duration,
    slowest_seed: u64,
    broken: Vec<u64>,
}

impl Ledger {
    /// The file's, if there is one that began with the same seed, else a new one.
    pub(crate) fn open(arguments: &Arguments) -> io::Result<Self> {
        let mut ledger = Self {
            file: arguments.ledger.clone(),
            first: arguments.seeds.start,
            next: arguments.seeds.start,
            spokes: 0,
            events: 0,
            packets: 0,
            delivered: 0,
            seconds: 0,
            slowest: Duration::ZERO,
            slowest_seed: 0,
            broken: Vec::new(),
        };
        if let Some(file) = &ledger.file
            && file.exists()
        {
            let text = fs::read_to_string(file)?;
            ledger.read(&text)?;
        }
        Ok(ledger)
    }

    fn read(&mut self, text: &str) -> io::Result<()> {
        let bad =
            |line: &str| io::Error::new(io::ErrorKind::InvalidData, format!("ledger: {line}"));
        for line in text.lines() {
            let (name, value) = line.split_once(' ').ok_or_else(|| bad(line))?;
            let number = || value.parse::<u64>().map_err(|_| bad(line));
            match name {
                "first" if number()? != self.first => return Err(bad("another campaign's")),
                "first" => {}
                "next" => self.next = number()?,
                "spokes" => self.spokes = number()?,
                "events" => self.events = number()?,
                "packets" => self.packets = number()?,
                "delivered" => self.delivered = number()?,
                "seconds" => self.seconds = number()?,
                "slowest" => self.slowest = Duration::from_millis(number()?),
                "slowest-seed" => self.slowest_seed = number()?,
                "broken" => self.broken.push(number()?),
                _ => return Err(bad(line)),
            }
        }
        Ok(())
    }

    /// Counts what came of a seed.
    pub(crate) fn record(&mut self, seed: u64, outcome: Result<Report, Broken>) -> io::Result<()> {
        match outcome {
            Ok(report) => {
                self.spokes += report.spokes as u64;
                self.events += report.counts.events;
                self.packets += report.counts.packets;
                self.delivered += report.counts.delivered;
                self.seconds += report.watched.as_secs();
                if report.converged > self.slowest {
                    self.slowest = report.converged;
                    self.slowest_seed = seed;
                }
            }
            Err(_) => self.broken.push(seed),
        }
        self.next = seed + 1;
        if self.next.is_multiple_of(BATCH) { self.save() } else { Ok(()) }
    }

    /// How many seeds broke something.
    pub(crate) fn broken(&self) -> u64 {
        self.broken.len() as u64
    }

    /// Writes the file.
    pub(crate) fn save(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut text = format!(
            "first {}\nnext {}\nspokes {}\nevents {}\npackets {}\ndelivered {}\nseconds {}\n\
             slowest {}\nslowest-seed {}\n",
            self.first,
            self.next,
            self.spokes,
            self.events,
            self.packets,
            self.delivered,
            self.seconds,
            self.slowest.as_millis(),
            self.slowest_seed,
        );
        for seed in &self.broken {
            text.push_str(&format!("broken {seed}\n"));
        }
        fs::write(file, text)
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scenarios = self.next.saturating_sub(self.first);
        let whole = scenarios.saturating_sub(self.broken()).max(1);
        write!(
            f,
            "{scenarios} scenarios, {} broken; of the others: {} spokes, {} events, {} packets, \
             {} delivered, {} hours; the slowest converged {:.1} s after the last fault (seed {})",
            self.broken(),
            format_args!("{:.1}", self.spokes as f64 / whole as f64),
            self.events,
            self.packets,
            self.delivered,
            self.seconds / 3600,
            self.slowest.as_secs_f64(),
            self.slowest_seed,
        )
    }
}
