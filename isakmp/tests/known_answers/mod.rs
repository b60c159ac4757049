//! Reading known answers: recorded scenarios (`tests/data/charon/*.kat`, ours), third-party vectors
//! (read from beside the repository, skipped where absent), and a generator that plays back.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod observer;

use alloc::collections::{BTreeMap, VecDeque};
use core::convert::Infallible;
use std::{fs, path::Path};

use dmvpn_isakmp::crypto::{
    BlockCipher, DiffieHellman, EncryptionAlgorithm, Exponent, ExponentLength, Group,
    HashAlgorithm, HashFunction, Provider,
};
use rand_core::{TryCryptoRng, TryRng};

pub(crate) const PROVIDER: Provider = Provider::rustcrypto();

/// Bytes from hexadecimal digits; white space is ignored.
#[track_caller]
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| u8::try_from(c.to_digit(16).expect("hexadecimal digit")).unwrap())
        .collect();
    assert!(digits.len().is_multiple_of(2), "odd number of digits in {text}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Eight bytes, for cookies.
#[track_caller]
pub(crate) fn cookie(text: &str) -> [u8; 8] {
    hex(text).try_into().expect("eight bytes")
}

/// A third-party file, or `None` after saying that the test is skipped.
pub(crate) fn third_party(name: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors").join(name);
    let text = fs::read_to_string(path).ok();
    if text.is_none() {
        println!("SKIP: ../shared/vectors/{name} is not here");
    }
    text
}

/// [`third_party`], parsed.
pub(crate) fn third_party_json(name: &str) -> Option<serde_json::Value> {
    Some(serde_json::from_str(&third_party(name)?).expect("valid JSON"))
}

/// A string member of a JSON object.
#[track_caller]
pub(crate) fn text<'a>(value: &'a serde_json::Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// A hexadecimal member of a JSON object.
#[track_caller]
pub(crate) fn bytes(value: &serde_json::Value, name: &str) -> Vec<u8> {
    hex(text(value, name))
}

/// The hash function of any of the names in use.
#[track_caller]
pub(crate) fn hash(name: &str) -> &'static dyn HashFunction {
    let algorithm = match name {
        "md5" | "MD5" => HashAlgorithm::MD5,
        "sha1" | "SHA-1" => HashAlgorithm::SHA1,
        "sha256" | "SHA-256" => HashAlgorithm::SHA2_256,
        "sha384" | "SHA-384" => HashAlgorithm::SHA2_384,
        "sha512" | "SHA-512" => HashAlgorithm::SHA2_512,
        _ => panic!("hash {name}"),
    };
    PROVIDER.hash(algorithm).expect("provided")
}

/// The cipher of a recorded scenario.
#[track_caller]
pub(crate) fn cipher(name: &str, key_len: usize) -> &'static dyn BlockCipher {
    let algorithm = match name {
        "3des" => EncryptionAlgorithm::TRIPLE_DES_CBC,
        "aes" => EncryptionAlgorithm::AES_CBC,
        _ => panic!("cipher {name}"),
    };
    PROVIDER.cipher(algorithm, Some(key_len)).expect("provided")
}

/// The group by its number.
#[track_caller]
pub(crate) fn group(number: u16) -> &'static dyn DiffieHellman {
    PROVIDER.group(Group(number)).expect("provided")
}

/// A recorded exponent, played back through a generator. It is put in front with zeros where the
/// group draws more bytes than were recorded.
pub(crate) fn exponent(group: &dyn DiffieHellman, recorded: &[u8]) -> Exponent {
    let length = if recorded.len() <= group.exponent_len(ExponentLength::Short) {
        ExponentLength::Short
    } else {
        ExponentLength::Full
    };
    let mut rng = Playback::default();
    rng.push(&left_padded(recorded, group.exponent_len(length)));
    let exponent = Exponent::draw(group, length, &mut rng);
    rng.assert_finished();
    exponent
}

/// `bytes` with zeros in front, `len` in all.
pub(crate) fn left_padded(bytes: &[u8], len: usize) -> Vec<u8> {
    let mut padded = vec![0; len.checked_sub(bytes.len()).expect("fits")];
    padded.extend_from_slice(bytes);
    padded
}

/// A generator that yields recorded draws in order: each `fill_bytes` must ask for exactly the length
/// of the next recorded one.
#[derive(Default)]
pub(crate) struct Playback(VecDeque<Vec<u8>>);

impl Playback {
    pub(crate) fn push(&mut self, draw: &[u8]) {
        self.0.push_back(draw.to_vec());
    }

    #[track_caller]
    pub(crate) fn assert_finished(&self) {
        assert!(self.0.is_empty(), "{} recorded draws were not made", self.0.len());
    }
}

impl TryRng for Playback {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        let draw = self.0.pop_front().expect("a draw that was not recorded");
        assert_eq!(draw.len(), to.len(), "the recorded draw has another length");
        to.copy_from_slice(&draw);
        Ok(())
    }
}

impl TryCryptoRng for Playback {}

/// One recorded scenario.
pub(crate) struct Scenario {
    pub(crate) name: String,
    sections: Vec<Section>,
}

/// One `[section]` of a scenario: its title without brackets, and its values.
pub(crate) struct Section {
    pub(crate) title: String,
    values: BTreeMap<String, String>,
}

impl Scenario {
    /// All that are in the repository, by name.
    pub(crate) fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/charon");
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.retain(|path| path.extension().is_some_and(|extension| extension == "kat"));
        names.sort();
        names.iter().map(|path| Self::read(path)).collect()
    }

    /// One of them.
    #[track_caller]
    pub(crate) fn named(name: &str) -> Self {
        let file = format!("tests/data/charon/{name}.kat");
        Self::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
    }

    fn read(path: &Path) -> Self {
        let mut sections: Vec<Section> = Vec::new();
        for line in fs::read_to_string(path).unwrap().lines() {
            if let Some(title) = line.strip_prefix('[') {
                let title = title.strip_suffix(']').expect("closed title").to_owned();
                sections.push(Section { title, values: BTreeMap::new() });
            } else if !line.starts_with('#')
                && let Some((name, value)) = line.split_once(" =")
            {
                let section = sections.last_mut().expect("a title first");
                section.values.insert(name.to_owned(), value.trim().to_owned());
            }
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        Self { name, sections }
    }

    /// The same with one section for a message that came in fragments: `raw` is the whole message, and
    /// `fragments` the datagrams.
    pub(crate) fn with_whole_messages(mut self) -> Self {
        let mut fragments = Vec::new();
        self.sections.retain_mut(|section| {
            if section.get("fragment").is_none() {
                return true;
            }
            fragments.push(section.text("raw").to_owned());
            let Some(whole) = section.get("reassembled").map(str::to_owned) else { return false };
            section.values.insert("raw".to_owned(), whole);
            section.values.insert("fragments".to_owned(), fragments.join(" "));
            fragments.clear();
            true
        });
        self
    }

    /// The sections whose title starts with this word.
    pub(crate) fn sections<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Section> {
        self.sections.iter().filter(move |s| s.title.split(' ').next() == Some(kind))
    }

    pub(crate) fn psk(&self) -> Vec<u8> {
        self.sections("scenario").next().unwrap().hex("psk")
    }
}

impl Section {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    #[track_caller]
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("no {name} in [{}]", self.title))
    }

    #[track_caller]
    pub(crate) fn hex(&self, name: &str) -> Vec<u8> {
        hex(self.text(name))
    }

    /// The datagrams of a message that came in fragments.
    pub(crate) fn fragments(&self) -> Option<Vec<Vec<u8>>> {
        Some(self.get("fragments")?.split(' ').map(hex).collect())
    }

    #[track_caller]
    pub(crate) fn number(&self, name: &str) -> usize {
        self.text(name).parse().unwrap()
    }

    /// Four bytes in hexadecimal, as an SPI or message id.
    #[track_caller]
    pub(crate) fn word(&self, name: &str) -> u32 {
        u32::from_str_radix(self.text(name), 16).unwrap()
    }
}
