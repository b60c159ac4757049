//! Reading, line by line: a heading opens a section, the lines after it belong to it.

use super::words::{ReadError, ReadErrorKind, Words};
use super::{
    DhGroup, Eigrp, EspEncryption, EspIntegrity, EspMode, Interface, InterfaceAddress,
    IpsecProfile, IsakmpEncryption, IsakmpHash, IsakmpKey, IsakmpPolicy, Nhrp, NhrpMap, Router,
    TransformSet, Tunnel, TunnelMode,
};

impl DhGroup {
    /// What IOS takes where a policy states no group.
    pub const DEFAULT: Self = Self(1);
    const KNOWN: [u16; 8] = [1, 2, 5, 14, 15, 16, 19, 20];
}

impl IsakmpPolicy {
    /// What IOS takes where a policy states no lifetime, in seconds.
    pub const DEFAULT_LIFETIME: u32 = 86_400;
}

impl IpsecProfile {
    /// What IOS takes where a profile states no lifetime, in seconds.
    pub const DEFAULT_LIFETIME_SECONDS: u32 = 3_600;
    /// What IOS takes where a profile states no volume, in kilobytes.
    pub const DEFAULT_LIFETIME_KILOBYTES: u32 = 4_608_000;
}

impl Router {
    /// Reads a router's configuration.
    ///
    /// # Errors
    ///
    /// The first line that is not understood, or, when all are, the first section that is not
    /// whole: see [`ReadErrorKind`].
    pub fn read(text: &str) -> Result<Self, ReadError> {
        let mut draft = Draft::default();
        let mut section = Section::None;
        for (index, line) in text.lines().enumerate() {
            let mut words = Words::new(index.saturating_add(1), line);
            match words.peek() {
                None => continue,
                Some(word) if word.starts_with('!') => continue,
                Some("crypto" | "interface" | "router") => section = draft.heading(&mut words)?,
                Some(_) => draft.line(section, &mut words)?,
            }
            words.end()?;
        }
        draft.finish()
    }
}

/// The section that a line belongs to: an index into the draft's lists.
#[derive(Debug, Clone, Copy)]
enum Section {
    None,
    Policy(usize),
    TransformSet(usize),
    Profile(usize),
    Tunnel(usize),
    Ethernet(usize),
    Loopback(usize),
    Eigrp(usize),
}

/// A section as far as it is read, and the line of its heading.
#[derive(Debug)]
struct Open<T> {
    line: usize,
    draft: T,
}

#[derive(Debug, Default)]
struct Draft {
    policies: Vec<Open<PolicyDraft>>,
    keys: Vec<IsakmpKey>,
    transform_sets: Vec<Open<TransformSet>>,
    profiles: Vec<Open<ProfileDraft>>,
    tunnels: Vec<Open<TunnelDraft>>,
    ethernets: Vec<Open<Interface>>,
    loopbacks: Vec<Open<Interface>>,
    eigrp: Vec<Open<Eigrp>>,
}

#[derive(Debug)]
struct PolicyDraft {
    priority: u16,
    encryption: Option<IsakmpEncryption>,
    hash: IsakmpHash,
    pre_share: bool,
    group: DhGroup,
    lifetime: u32,
}

#[derive(Debug)]
struct ProfileDraft {
    name: String,
    transform_set: Option<String>,
    pfs: Option<DhGroup>,
    lifetime_seconds: u32,
    lifetime_kilobytes: u32,
}

#[derive(Debug)]
struct TunnelDraft {
    name: String,
    address: Option<InterfaceAddress>,
    redirects: bool,
    mtu: Option<u16>,
    nhrp: Nhrp,
    adjust_mss: Option<u16>,
    no_split_horizon: Option<u16>,
    source: Option<String>,
    multipoint: bool,
    destination: Option<core::net::Ipv4Addr>,
    key: Option<u32>,
    protection: Option<String>,
}

/// The place of the section that `is` knows, opened anew where there is none: IOS returns to a
/// section whose heading is repeated.
fn open<T>(list: &mut Vec<Open<T>>, line: usize, is: impl Fn(&T) -> bool, draft: T) -> usize {
    list.iter().position(|section| is(&section.draft)).unwrap_or_else(|| {
        list.push(Open { line, draft });
        list.len() - 1
    })
}

impl Draft {
    fn heading(&mut self, words: &mut Words<'_>) -> Result<Section, ReadError> {
        match words.word("a heading")? {
            "crypto" => match words.word("`isakmp` or `ipsec`")? {
                "isakmp" => self.crypto_isakmp(words),
                "ipsec" => self.crypto_ipsec(words),
                _ => Err(words.unknown()),
            },
            "interface" => self.interface(words),
            "router" => {
                words.expect(&["eigrp"])?;
                let autonomous_system = words.number(1..=u16::MAX)?;
                Ok(Section::Eigrp(open(
                    &mut self.eigrp,
                    words.line(),
                    |eigrp| eigrp.autonomous_system == autonomous_system,
                    Eigrp { autonomous_system, networks: Vec::new() },
                )))
            }
            _ => Err(words.unknown()),
        }
    }

    fn crypto_isakmp(&mut self, words: &mut Words<'_>) -> Result<Section, ReadError> {
        match words.word("`policy` or `key`")? {
            "policy" => {
                let priority = words.number(1..=10_000)?;
                Ok(Section::Policy(open(
                    &mut self.policies,
                    words.line(),
                    |policy| policy.priority == priority,
                    PolicyDraft {
                        priority,
                        encryption: None,
                        hash: IsakmpHash::Sha1,
                        pre_share: false,
                        group: DhGroup::DEFAULT,
                        lifetime: IsakmpPolicy::DEFAULT_LIFETIME,
                    },
                )))
            }
            "key" => {
                let key = words.word("the key")?.to_owned();
                words.expect(&["address"])?;
                let address = words.address()?;
                let prefix_length = if words.peek().is_some() { words.mask()? } else { 32 };
                self.keys.push(IsakmpKey { key, address, prefix_length });
                Ok(Section::None)
            }
            _ => Err(words.unknown()),
        }
    }

    fn crypto_ipsec(&mut self, words: &mut Words<'_>) -> Result<Section, ReadError> {
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
                        transform_set: None,
                        pfs: None,
                        lifetime_seconds: IpsecProfile::DEFAULT_LIFETIME_SECONDS,
                        lifetime_kilobytes: IpsecProfile::DEFAULT_LIFETIME_KILOBYTES,
                    },
                )))
            }
            _ => Err(words.unknown()),
        }
    }

    fn interface(&mut self, words: &mut Words<'_>) -> Result<Section, ReadError> {
        let name = words.word("the interface's name")?.to_owned();
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '/');
        if kind.len() == name.len() {
            return Err(words.unknown());
        }
        let line = words.line();
        let plain = Interface { name: name.clone(), address: None };
        let is = |interface: &Interface| interface.name == name;
        match kind {
            "Tunnel" => {
                let is = |tunnel: &TunnelDraft| tunnel.name == name;
                let draft = TunnelDraft {
                    name: name.clone(),
                    address: None,
                    redirects: true,
                    mtu: None,
                    nhrp: Nhrp::default(),
                    adjust_mss: None,
                    no_split_horizon: None,
                    source: None,
                    multipoint: false,
                    destination: None,
                    key: None,
                    protection: None,
                };
                Ok(Section::Tunnel(open(&mut self.tunnels, line, is, draft)))
            }
            "Ethernet" => Ok(Section::Ethernet(open(&mut self.ethernets, line, is, plain))),
            "Loopback" => Ok(Section::Loopback(open(&mut self.loopbacks, line, is, plain))),
            _ => Err(words.unknown()),
        }
    }

    fn line(&mut self, section: Section, words: &mut Words<'_>) -> Result<(), ReadError> {
        match section {
            Section::Policy(index) => within(&mut self.policies, index, words, policy),
            Section::TransformSet(index) => within(&mut self.transform_sets, index, words, mode),
            Section::Profile(index) => within(&mut self.profiles, index, words, profile),
            Section::Tunnel(index) => within(&mut self.tunnels, index, words, tunnel),
            Section::Ethernet(index) => within(&mut self.ethernets, index, words, interface),
            Section::Loopback(index) => within(&mut self.loopbacks, index, words, interface),
            Section::Eigrp(index) => within(&mut self.eigrp, index, words, eigrp),
            Section::None => {
                words.word("a heading")?;
                Err(words.unknown())
            }
        }
    }

    /// Checks that each section is whole and that what it names exists.
    fn finish(self) -> Result<Router, ReadError> {
        let mut isakmp_policies = Vec::new();
        for Open { line, draft } in self.policies {
            let section = || format!("crypto isakmp policy {}", draft.priority);
            let encryption = draft.encryption.ok_or_else(|| {
                incomplete(line, section(), "an `encr` line: IOS's default, DES, is not offered")
            })?;
            if !draft.pre_share {
                let needs = "`authentication pre-share`: IOS's default, RSA, is not offered";
                return Err(incomplete(line, section(), needs));
            }
            isakmp_policies.push(IsakmpPolicy {
                priority: draft.priority,
                encryption,
                hash: draft.hash,
                group: draft.group,
                lifetime: draft.lifetime,
            });
        }
        isakmp_policies.sort_by_key(|policy| policy.priority);

        let mut ipsec_profiles = Vec::new();
        for Open { line, draft } in self.profiles {
            let section = format!("crypto ipsec profile {}", draft.name);
            let Some(name) = draft.transform_set else {
                return Err(incomplete(line, section, "a `set transform-set` line"));
            };
            if !self.transform_sets.iter().any(|set| set.draft.name == name) {
                return Err(undefined(line, section, name));
            }
            ipsec_profiles.push(IpsecProfile {
                name: draft.name,
                transform_set: name,
                pfs: draft.pfs,
                lifetime_seconds: draft.lifetime_seconds,
                lifetime_kilobytes: draft.lifetime_kilobytes,
            });
        }

        let mut router = Self::router(self.keys, self.transform_sets, self.eigrp);
        router.isakmp_policies = isakmp_policies;
        router.ipsec_profiles = ipsec_profiles;
        router.ethernets = self.ethernets.into_iter().map(|open| open.draft).collect();
        router.loopbacks = self.loopbacks.into_iter().map(|open| open.draft).collect();
        for Open { line, draft } in self.tunnels {
            let tunnel = draft.finish(line, &router)?;
            router.tunnels.push(tunnel);
        }
        Ok(router)
    }

    fn router(
        isakmp_keys: Vec<IsakmpKey>,
        transform_sets: Vec<Open<TransformSet>>,
        eigrp: Vec<Open<Eigrp>>,
    ) -> Router {
        Router {
            isakmp_keys,
            transform_sets: transform_sets.into_iter().map(|open| open.draft).collect(),
            eigrp: eigrp.into_iter().map(|open| open.draft).collect(),
            ..Router::default()
        }
    }
}

impl TunnelDraft {
    fn finish(self, line: usize, router: &Router) -> Result<Tunnel, ReadError> {
        let section = format!("interface {}", self.name);
        let Some(address) = self.address else {
            return Err(incomplete(line, section, "an `ip address` line"));
        };
        let Some(source) = self.source else {
            return Err(incomplete(line, section, "a `tunnel source` line"));
        };
        let mode = match (self.multipoint, self.destination) {
            (true, None) => TunnelMode::Multipoint,
            (false, Some(destination)) => TunnelMode::PointToPoint { destination },
            (true, Some(_)) => {
                let (first, second) = ("`tunnel mode gre multipoint`", "`tunnel destination`");
                let kind = ReadErrorKind::Conflict { section, first, second };
                return Err(ReadError { line, kind });
            }
            (false, None) => {
                let needs = "`tunnel mode gre multipoint` or a `tunnel destination` line";
                return Err(incomplete(line, section, needs));
            }
        };
        let interfaces = router.ethernets.iter().chain(&router.loopbacks);
        if !interfaces.clone().any(|other| other.name == source && other.address.is_some()) {
            return Err(undefined(line, section, source));
        }
        if let Some(name) = &self.protection
            && !router.ipsec_profiles.iter().any(|profile| profile.name == *name)
        {
            return Err(undefined(line, section, name.clone()));
        }
        Ok(Tunnel {
            name: self.name,
            address,
            redirects: self.redirects,
            mtu: self.mtu,
            nhrp: self.nhrp,
            adjust_mss: self.adjust_mss,
            no_split_horizon: self.no_split_horizon,
            source,
            mode,
            key: self.key,
            protection: self.protection,
        })
    }
}

fn incomplete(line: usize, section: String, needs: &'static str) -> ReadError {
    ReadError { line, kind: ReadErrorKind::Incomplete { section, needs } }
}

fn undefined(line: usize, section: String, name: String) -> ReadError {
    ReadError { line, kind: ReadErrorKind::Undefined { section, name } }
}

fn within<T>(
    list: &mut [Open<T>],
    index: usize,
    words: &mut Words<'_>,
    line: fn(&mut T, &mut Words<'_>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    list.get_mut(index).map_or(Ok(()), |section| line(&mut section.draft, words))
}

/// The optional key length after `aes`, `esp-aes` or `esp-gcm`.
fn key_length<T: Copy>(words: &mut Words<'_>, by_length: [T; 3]) -> Result<T, ReadError> {
    let [of_128, of_192, of_256] = by_length;
    let is_length = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    if words.peek().is_some_and(is_length) {
        words.one_of("a key length", &[("128", of_128), ("192", of_192), ("256", of_256)])
    } else {
        Ok(of_128)
    }
}

fn group(words: &mut Words<'_>, prefix: &str) -> Result<DhGroup, ReadError> {
    let word = words.word("a group")?;
    let number = word.strip_prefix(prefix).and_then(|number| number.parse().ok());
    let known = number.filter(|number| DhGroup::KNOWN.contains(number));
    known.map(DhGroup).ok_or_else(|| {
        words.invalid(format!("a group of {}", DhGroup::KNOWN.map(|n| n.to_string()).join(", ")))
    })
}

fn policy(policy: &mut PolicyDraft, words: &mut Words<'_>) -> Result<(), ReadError> {
    match words.word("a line of the policy")? {
        "encr" | "encryption" => {
            policy.encryption = Some(match words.word("a cipher")? {
                "3des" => IsakmpEncryption::TripleDes,
                "aes" => {
                    use IsakmpEncryption::{Aes128, Aes192, Aes256};
                    key_length(words, [Aes128, Aes192, Aes256])?
                }
                _ => return Err(words.unknown()),
            });
        }
        "hash" => {
            policy.hash = words.one_of(
                "a hash",
                &[
                    ("md5", IsakmpHash::Md5),
                    ("sha", IsakmpHash::Sha1),
                    ("sha256", IsakmpHash::Sha256),
                    ("sha384", IsakmpHash::Sha384),
                    ("sha512", IsakmpHash::Sha512),
                ],
            )?;
        }
        "authentication" => {
            words.expect(&["pre-share"])?;
            policy.pre_share = true;
        }
        "group" => policy.group = group(words, "")?,
        "lifetime" => policy.lifetime = words.number(60..=86_400)?,
        _ => return Err(words.unknown()),
    }
    Ok(())
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
            let kind = ReadErrorKind::Conflict { section: section(), first, second };
            Err(words.error(kind))
        }
        (false, None) => Err(incomplete(words.line(), section(), "an integrity algorithm")),
        _ => Ok(TransformSet { name, encryption, integrity, mode: EspMode::Tunnel }),
    }
}

fn mode(set: &mut TransformSet, words: &mut Words<'_>) -> Result<(), ReadError> {
    words.expect(&["mode"])?;
    let known = [("transport", EspMode::Transport), ("tunnel", EspMode::Tunnel)];
    set.mode = words.one_of("`transport` or `tunnel`", &known)?;
    Ok(())
}

fn profile(profile: &mut ProfileDraft, words: &mut Words<'_>) -> Result<(), ReadError> {
    words.expect(&["set"])?;
    match words.word("a line of the profile")? {
        "transform-set" => {
            profile.transform_set = Some(words.word("the transform set's name")?.to_owned());
        }
        "pfs" => profile.pfs = Some(group(words, "group")?),
        "security-association" => {
            words.expect(&["lifetime"])?;
            match words.word("`seconds` or `kilobytes`")? {
                "seconds" => profile.lifetime_seconds = words.number(120..=2_592_000)?,
                "kilobytes" => profile.lifetime_kilobytes = words.number(2_560..=u32::MAX)?,
                _ => return Err(words.unknown()),
            }
        }
        _ => return Err(words.unknown()),
    }
    Ok(())
}

fn ip_address(words: &mut Words<'_>) -> Result<InterfaceAddress, ReadError> {
    Ok(InterfaceAddress { address: words.address()?, prefix_length: words.mask()? })
}

fn interface(interface: &mut Interface, words: &mut Words<'_>) -> Result<(), ReadError> {
    words.expect(&["ip", "address"])?;
    interface.address = Some(ip_address(words)?);
    Ok(())
}

fn tunnel(tunnel: &mut TunnelDraft, words: &mut Words<'_>) -> Result<(), ReadError> {
    match words.word("a line of the interface")? {
        "ip" => match words.word("a line of `ip`")? {
            "address" => tunnel.address = Some(ip_address(words)?),
            "mtu" => tunnel.mtu = Some(words.number(68..=17_940)?),
            "nhrp" => nhrp(&mut tunnel.nhrp, words)?,
            "tcp" => {
                words.expect(&["adjust-mss"])?;
                tunnel.adjust_mss = Some(words.number(500..=1_460)?);
            }
            _ => return Err(words.unknown()),
        },
        "no" => {
            words.expect(&["ip"])?;
            match words.word("a line of `no ip`")? {
                "redirects" => tunnel.redirects = false,
                "split-horizon" => {
                    words.expect(&["eigrp"])?;
                    tunnel.no_split_horizon = Some(words.number(1..=u16::MAX)?);
                }
                _ => return Err(words.unknown()),
            }
        }
        "tunnel" => match words.word("a line of `tunnel`")? {
            "source" => tunnel.source = Some(words.word("an interface")?.to_owned()),
            "destination" => tunnel.destination = Some(words.address()?),
            "mode" => {
                words.expect(&["gre", "multipoint"])?;
                tunnel.multipoint = true;
            }
            "key" => tunnel.key = Some(words.number(0..=u32::MAX)?),
            "protection" => {
                words.expect(&["ipsec", "profile"])?;
                tunnel.protection = Some(words.word("the profile's name")?.to_owned());
            }
            _ => return Err(words.unknown()),
        },
        _ => return Err(words.unknown()),
    }
    Ok(())
}

fn nhrp(nhrp: &mut Nhrp, words: &mut Words<'_>) -> Result<(), ReadError> {
    match words.word("a line of `ip nhrp`")? {
        "authentication" => {
            let string = words.word("the authentication string")?;
            if string.len() > 8 {
                return Err(words.invalid("a string of at most 8 characters"));
            }
            nhrp.authentication = Some(string.to_owned());
        }
        "map" if words.peek() == Some("multicast") => {
            words.expect(&["multicast", "dynamic"])?;
            nhrp.map_multicast_dynamic = true;
        }
        "map" => nhrp.map.push(NhrpMap { protocol: words.address()?, nbma: words.address()? }),
        "network-id" => nhrp.network_id = Some(words.number(1..=u32::MAX)?),
        "nhs" => nhrp.nhs.push(words.address()?),
        _ => return Err(words.unknown()),
    }
    Ok(())
}

fn eigrp(eigrp: &mut Eigrp, words: &mut Words<'_>) -> Result<(), ReadError> {
    words.expect(&["network"])?;
    eigrp.networks.push((words.address()?, words.address()?));
    Ok(())
}
