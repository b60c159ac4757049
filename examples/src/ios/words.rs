//! One line, word by word, and the errors that name line and word.

use core::net::Ipv4Addr;
use core::ops::RangeInclusive;

use thiserror::Error;

use super::Secret;

/// Why a configuration was not understood, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {kind}")]
pub struct ReadError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub kind: ReadErrorKind,
}

/// What is wrong on a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// A word that this reader does not know at this place.
    #[error("unknown word `{word}`{}", following(.after))]
    UnknownWord {
        /// The word.
        word: String,
        /// The words of the line before it.
        after: String,
    },
    /// The line ended where a word was needed.
    #[error("{what} expected{}", following(.after))]
    Missing {
        /// What was needed.
        what: &'static str,
        /// The words of the line.
        after: String,
    },
    /// A word that is not what its place needs.
    #[error("`{word}` is not {what}{}", following(.after))]
    Invalid {
        /// What the place needs.
        what: String,
        /// The word.
        word: String,
        /// The words of the line before it.
        after: String,
    },
    /// A section lacks a line without which it means nothing here.
    #[error("{section} needs {needs}")]
    Incomplete {
        /// The section, by its heading.
        section: String,
        /// The line it lacks.
        needs: &'static str,
    },
    /// A name that nothing in the configuration defines.
    #[error("{section} names `{name}`, which is not defined")]
    Undefined {
        /// The section, by its heading.
        section: String,
        /// The name.
        name: String,
    },
    /// Two lines of a section that exclude each other.
    #[error("{section} has {first} and {second}, which exclude each other")]
    Conflict {
        /// The section, by its heading.
        section: String,
        /// One line.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
}

fn following(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(" after `{words}`") }
}

/// The words of one line that are still to be read.
pub(super) struct Words<'a> {
    line: usize,
    /// As errors show them: of a secret nothing.
    read: Vec<&'a str>,
    rest: core::iter::Peekable<core::str::SplitWhitespace<'a>>,
}

impl<'a> Words<'a> {
    pub(super) fn new(line: usize, text: &'a str) -> Self {
        Self { line, read: Vec::new(), rest: text.split_whitespace().peekable() }
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn error(&self, kind: ReadErrorKind) -> ReadError {
        ReadError { line: self.line, kind }
    }

    /// The next word without reading it.
    pub(super) fn peek(&mut self) -> Option<&'a str> {
        self.rest.peek().copied()
    }

    /// Whether the next words are these, without reading them.
    pub(super) fn starts_with(&self, words: &[&str]) -> bool {
        let mut rest = self.rest.clone();
        words.iter().all(|word| rest.next() == Some(*word))
    }

    /// Reads the next word if it is this one.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let next = self.rest.next_if_eq(&word);
        self.read.extend(next);
        next.is_some()
    }

    /// The next word, whatever it is; `what` says what the line lacks where there is none.
    pub(super) fn word(&mut self, what: &'static str) -> Result<&'a str, ReadError> {
        let after = self.read.join(" ");
        let word =
            self.rest.next().ok_or_else(|| self.error(ReadErrorKind::Missing { what, after }))?;
        self.record(word);
        Ok(word)
    }

    /// The next word, which no error shows.
    pub(super) fn secret(&mut self, what: &'static str) -> Result<Secret, ReadError> {
        let word = self.word(what)?;
        self.read.pop();
        self.read.push(Secret::HIDDEN);
        Ok(Secret::new(word))
    }

    /// What is not known behind a secret may be more of it: the key behind the number of its
    /// encryption, or the end of one with a space.
    fn record(&mut self, word: &'a str) {
        let behind_a_secret = self.read.last() == Some(&Secret::HIDDEN);
        self.read.push(if behind_a_secret { Secret::HIDDEN } else { word });
    }

    /// The next word, which must be one of `known`; its value.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        what: &'static str,
        known: &[(&str, T)],
    ) -> Result<T, ReadError> {
        let word = self.word(what)?;
        let found = known.iter().find(|(name, _)| *name == word);
        found.map(|(_, value)| *value).ok_or_else(|| self.unknown())
    }

    /// The next words, which must be exactly these.
    pub(super) fn expect(&mut self, words: &[&'static str]) -> Result<(), ReadError> {
        for expected in words {
            self.one_of(expected, &[(expected, ())])?;
        }
        Ok(())
    }

    /// The end of the line.
    pub(super) fn end(&mut self) -> Result<(), ReadError> {
        match self.rest.next() {
            None => Ok(()),
            Some(word) => {
                self.record(word);
                Err(self.unknown())
            }
        }
    }

    /// The error of the word read last, which nothing knows here.
    pub(super) fn unknown(&self) -> ReadError {
        let (word, before) = self.last();
        self.error(ReadErrorKind::UnknownWord { word, after: before })
    }

    /// The error of the word read last, which is not `what`.
    pub(super) fn invalid(&self, what: impl Into<String>) -> ReadError {
        let (word, before) = self.last();
        self.error(ReadErrorKind::Invalid { what: what.into(), word, after: before })
    }

    fn last(&self) -> (String, String) {
        match self.read.split_last() {
            Some((word, before)) => ((*word).to_owned(), before.join(" ")),
            None => (String::new(), String::new()),
        }
    }

    pub(super) fn address(&mut self) -> Result<Ipv4Addr, ReadError> {
        let word = self.word("an address")?;
        word.parse().map_err(|_| self.invalid("an IPv4 address"))
    }

    /// A contiguous mask, as the number of its leading ones.
    pub(super) fn mask(&mut self) -> Result<u8, ReadError> {
        let word = self.word("a mask")?;
        let mask: Ipv4Addr = word.parse().map_err(|_| self.invalid("a mask"))?;
        let bits = mask.to_bits();
        if bits.leading_ones() + bits.trailing_zeros() < 32 {
            return Err(self.invalid("a contiguous mask"));
        }
        // At most 32.
        Ok(bits.leading_ones() as u8)
    }

    pub(super) fn number<T>(&mut self, allowed: RangeInclusive<T>) -> Result<T, ReadError>
    where
        T: core::str::FromStr + PartialOrd + core::fmt::Display,
    {
        let word = self.word("a number")?;
        let plain = word.bytes().all(|byte| byte.is_ascii_digit());
        let number = word.parse().ok().filter(|number| plain && allowed.contains(number));
        number.ok_or_else(|| {
            self.invalid(format!("a number from {} to {}", allowed.start(), allowed.end()))
        })
    }
}
