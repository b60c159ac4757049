//! The command line.

use alloc::collections::BTreeSet;
use core::ops::Range;
use std::path::PathBuf;

use dmvpn_sim::{Crypto, Scenario, Wishes};

pub(crate) const USAGE: &str = "\
dmvpn-sim --seeds FROM..TO   run these seeds
          --spokes N         at most N spokes (50: 8 on average)
          --exactly N        exactly N spokes
          --real             real cryptography instead of null
          --ledger FILE      keep count there, and go on from where it ends
          --no-shrink        do not look for the shortest replay
          --trace            print the scenario and the routers' debug output
          --keep A,B,…       with --trace: only these operations
          --with A,B,…       with --trace: only these spokes";

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) seeds: Range<u64>,
    pub(crate) wishes: Wishes,
    pub(crate) ledger: Option<PathBuf>,
    pub(crate) shrink: bool,
    pub(crate) trace: bool,
    keep: Option<Vec<usize>>,
    with: Option<BTreeSet<usize>>,
}

impl Arguments {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self {
            seeds: 0..100,
            wishes: Wishes::default(),
            ledger: None,
            shrink: true,
            trace: false,
            keep: None,
            with: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            match word.as_str() {
                "--seeds" => arguments.seeds = seeds(&value()?)?,
                "--spokes" => arguments.wishes.spokes = number(&value()?)?,
                "--exactly" => {
                    arguments.wishes.spokes = number(&value()?)?;
                    arguments.wishes.exactly = true;
                }
                "--real" => arguments.wishes.crypto = Crypto::Real,
                "--ledger" => arguments.ledger = Some(value()?.into()),
                "--no-shrink" => arguments.shrink = false,
                "--trace" => arguments.trace = true,
                "--keep" => arguments.keep = Some(list(&value()?)?),
                "--with" => arguments.with = Some(list(&value()?)?.into_iter().collect()),
                _ => return Err(format!("what is {word}?")),
            }
        }
        Ok(arguments)
    }

    /// The scenario with the operations and spokes that were asked for.
    pub(crate) fn narrow(&self, scenario: &Scenario) -> Scenario {
        let all = || (0..scenario.operations.len()).collect();
        let kept = self.keep.clone().unwrap_or_else(all);
        let absent = self.with.as_ref().map(|with| {
            scenario.spokes().filter(|spoke| !with.contains(spoke)).collect::<BTreeSet<_>>()
        });
        scenario.only(&kept, absent.unwrap_or_default())
    }
}

fn number<T: core::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or_else(|| format!("{text} is not FROM..TO"))?;
    Ok(number(from)?..number(to)?)
}

fn list(text: &str) -> Result<Vec<usize>, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    text.split(',').map(number).collect()
}
