//! The sections of `crypto ipsec`.

use super::isakmp::group;
use super::{Draft, Open, Section, conflict, incomplete, key_length, open, undefined};
use crate::ios::words::{ReadError, Words};
use crate::ios::{
    DhGroup, EspEncryption, EspIntegrity, EspMode, IpsecProfile, Replay, TransformSet,
};

impl IpsecProfile {
    /// What IOS takes where a profile states no lifetime, in seconds.
    pub const DEFAULT_LIFETIME_SECONDS: u32 = 3_600;
    /// What IOS takes where a profile states no volume, in kilobytes.
    pub const DEFAULT_LIFETIME_KILOBYTES: u32 = 4_608_000;
}

impl Replay {
    /// What IOS takes where a profile states nothing.
    pub const DEFAULT: Self = Self::Window(64);
}

#[derive(Debug)]
pub(super) struct ProfileDraft {
    name: String,
    transform_sets: Vec<String>,
    pfs: Option<DhGroup>,
    lifetime_seconds: u32,
    lifetime_kilobytes: u32,
    replay: Replay,
}

impl Draft {
    pub(super) fn crypto_ipsec(&mut self, words: &mut Words<'_>) -> Result<Section, ReadError> {
        match words.word("`transform-set` or `profile`")? {
            "transform-set" => {
                let set = transform_set(words)?;
                let (name, transforms) = (set.name.clone(), (set.encryption, set.integrity));
                let is = |other: &TransformSet| other.name == name;
                let index = open(&mut self.transform_sets, words.line(), is, set);
                if let Some(section) = self.transform_sets.get_mut(index) {
                    (section.draft.encryption, section.draft.integrity) = transforms;
                }
                Ok(Section::TransformSet(index))
            }
            "profile" => {
                let name = words.word("the profile's name")?.to_owned();
                Ok(Section::Profile(open(
                    &mut self.profiles,
                    words.line(),
                    |profile| profile.name == name,
                    ProfileDraft {
                        name: name.clone(),
                        transform_sets: Vec::new(),
                        pfs: None,
                        lifetime_seconds: IpsecProfile::DEFAULT_LIFETIME_SECONDS,
                        lifetime_kilobytes: IpsecProfile::DEFAULT_LIFETIME_KILOBYTES,
                        replay: Replay::DEFAULT,
                    },
                )))
            }
            _ => Err(words.unknown()),
        }
    }
}

impl Open<ProfileDraft> {
    pub(super) fn finish(self, sets: &[TransformSet]) -> Result<IpsecProfile, ReadError> {
        let Self { line, draft } = self;
        let section = || format!("crypto ipsec profile {}", draft.name);
        let mut modes = Vec::new();
        for name in &draft.transform_sets {
            let Some(set) = sets.iter().find(|set| set.name == *name) else {
                return Err(undefined(line, section(), name.clone()));
            };
            modes.push(set.mode);
        }
        if modes.is_empty() {
            return Err(incomplete(line, section(), "a `set transform-set` line"));
        }
        // Quick mode could negotiate it, but a tunnel is one or the other.
        if modes.iter().any(|mode| Some(mode) != modes.first()) {
            let (first, second) = ("a set in transport mode", "one in tunnel mode");
            return Err(conflict(line, section(), first, second));
        }
        Ok(IpsecProfile {
            name: draft.name,
            transform_sets: draft.transform_sets,
            pfs: draft.pfs,
            lifetime_seconds: draft.lifetime_seconds,
            lifetime_kilobytes: draft.lifetime_kilobytes,
            replay: draft.replay,
        })
    }
}

/// What follows `crypto ipsec transform-set`: the name and one or two transforms in any order.
fn transform_set(words: &mut Words<'_>) -> Result<TransformSet, ReadError> {
    use EspEncryption::{Aes128, Aes192, Aes256, AesGcm128, AesGcm192, AesGcm256};
    let name = words.word("the transform set's name")?.to_owned();
    let mut encryption = None;
    let mut integrity = None;
    while words.peek().is_some() {
        let (cipher, mac) = match words.word("a transform")? {
            "esp-null" => (Some(EspEncryption::Null), None),
            "esp-3des" => (Some(EspEncryption::TripleDes), None),
            "esp-aes" => (Some(key_length(words, [Aes128, Aes192, Aes256])?), None),
            "esp-gcm" => (Some(key_length(words, [AesGcm128, AesGcm192, AesGcm256])?), None),
            "esp-md5-hmac" => (None, Some(EspIntegrity::Md5)),
            "esp-sha-hmac" => (None, Some(EspIntegrity::Sha1)),
            "esp-sha256-hmac" => (None, Some(EspIntegrity::Sha256)),
            "esp-sha384-hmac" => (None, Some(EspIntegrity::Sha384)),
            "esp-sha512-hmac" => (None, Some(EspIntegrity::Sha512)),
            _ => return Err(words.unknown()),
        };
        if (cipher.is_some() && encryption.is_some()) || (mac.is_some() && integrity.is_some()) {
            return Err(words.invalid("a transform that can join the ones before it"));
        }
        encryption = encryption.or(cipher);
        integrity = integrity.or(mac);
    }
    let section = || format!("crypto ipsec transform-set {name}");
    let Some(encryption) = encryption else {
        return Err(incomplete(words.line(), section(), "an ESP cipher"));
    };
    match (encryption.is_combined(), integrity) {
        (true, Some(_)) => {
            let (first, second) = ("`esp-gcm`", "an integrity algorithm");
            Err(conflict(words.line(), section(), first, second))
        }
        (false, None) => Err(incomplete(words.line(), section(), "an integrity algorithm")),
        _ => Ok(TransformSet { name, encryption, integrity, mode: EspMode::Tunnel }),
    }
}

pub(super) fn mode(set: &mut TransformSet, words: &mut Words<'_>) -> Result<(), ReadError> {
    words.expect(&["mode"])?;
    let known = [("transport", EspMode::Transport), ("tunnel", EspMode::Tunnel)];
    set.mode = words.one_of("`transport` or `tunnel`", &known)?;
    Ok(())
}

pub(super) fn profile(profile: &mut ProfileDraft, words: &mut Words<'_>) -> Result<(), ReadError> {
    words.expect(&["set"])?;
    match words.word("a line of the profile")? {
        "transform-set" => {
            profile.transform_sets = vec![words.word("the transform set's name")?.to_owned()];
            while words.peek().is_some() {
                profile.transform_sets.push(words.word("a transform set's name")?.to_owned());
            }
        }
        "pfs" => profile.pfs = Some(group(words, "group")?),
        "security-association" => match words.word("`lifetime` or `replay`")? {
            "lifetime" => match words.word("`seconds` or `kilobytes`")? {
                // IOS takes 120 and more.
                "seconds" => profile.lifetime_seconds = words.number(60..=2_592_000)?,
                "kilobytes" => profile.lifetime_kilobytes = words.number(2_560..=u32::MAX)?,
                _ => return Err(words.unknown()),
            },
            "replay" => {
                profile.replay = match words.word("`window-size` or `disable`")? {
                    "window-size" => Replay::Window(words.number(1..=1024)?),
                    "disable" => Replay::Disabled,
                    _ => return Err(words.unknown()),
                };
            }
            _ => return Err(words.unknown()),
        },
        _ => return Err(words.unknown()),
    }
    Ok(())
}
