//! The lines of `crypto isakmp`.

use super::{Draft, Open, Section, incomplete, key_length, open};
use crate::ios::words::{ReadError, Words};
use crate::ios::{
    ClientEndpoint, DhGroup, InterfaceAddress, IsakmpEncryption, IsakmpHash, IsakmpIdentity,
    IsakmpKey, IsakmpPeer, IsakmpPolicy, Keepalive, KeepaliveMode, KeyPeer, Secret,
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

impl Keepalive {
    /// What IOS takes where the line states no time between retries, in seconds.
    pub const DEFAULT_RETRY: u16 = 2;
}

#[derive(Debug)]
pub(super) struct PolicyDraft {
    priority: u16,
    encryption: Option<IsakmpEncryption>,
    hash: IsakmpHash,
    pre_share: bool,
    group: DhGroup,
    lifetime: u32,
}

#[derive(Debug)]
pub(super) struct PeerDraft {
    address: core::net::Ipv4Addr,
    password: Option<Secret>,
    client_endpoint: Option<ClientEndpoint>,
}

impl Draft {
    pub(super) fn crypto_isakmp(&mut self, words: &mut Words<'_>) -> Result<Section, ReadError> {
        match words.word("a line of `crypto isakmp`")? {
            "policy" => {
                let priority = words.number(1..=10_000)?;
                return Ok(Section::Policy(open(
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
                )));
            }
            "peer" => {
                words.expect(&["address"])?;
                let address = words.address()?;
                return Ok(Section::Peer(open(
                    &mut self.peers,
                    words.line(),
                    |peer| peer.address == address,
                    PeerDraft { address, password: None, client_endpoint: None },
                )));
            }
            "key" => self.router.isakmp.keys.push(key(words)?),
            "identity" => {
                self.router.isakmp.identity = match words.word("an identity")? {
                    "address" => IsakmpIdentity::Address,
                    "hostname" => IsakmpIdentity::Hostname,
                    "key-id" => IsakmpIdentity::KeyId(words.word("the key identity")?.to_owned()),
                    _ => return Err(words.unknown()),
                };
            }
            "keepalive" => self.router.isakmp.keepalive = Some(keepalive(words)?),
            "nat" => {
                words.expect(&["keepalive"])?;
                self.router.isakmp.nat_keepalive = Some(words.number(1..=3_600)?);
            }
            "fragmentation" => self.router.isakmp.fragmentation = true,
            "aggressive-mode" => {
                words.expect(&["disable"])?;
                self.router.isakmp.aggressive_mode = false;
            }
            _ => return Err(words.unknown()),
        }
        Ok(Section::None)
    }

    /// What follows `no crypto`.
    pub(super) fn no_crypto(&mut self, words: &mut Words<'_>) -> Result<Section, ReadError> {
        words.expect(&["isakmp", "aggressive-mode", "disable"])?;
        self.router.isakmp.aggressive_mode = true;
        Ok(Section::None)
    }
}

impl Open<PolicyDraft> {
    pub(super) fn finish(self) -> Result<IsakmpPolicy, ReadError> {
        let Self { line, draft } = self;
        let section = || format!("crypto isakmp policy {}", draft.priority);
        let encryption = draft.encryption.ok_or_else(|| {
            incomplete(line, section(), "an `encr` line: IOS's default, DES, is not offered")
        })?;
        if !draft.pre_share {
            let needs = "`authentication pre-share`: IOS's default, RSA, is not offered";
            return Err(incomplete(line, section(), needs));
        }
        Ok(IsakmpPolicy {
            priority: draft.priority,
            encryption,
            hash: draft.hash,
            group: draft.group,
            lifetime: draft.lifetime,
        })
    }
}

impl Open<PeerDraft> {
    pub(super) fn finish(self) -> Result<IsakmpPeer, ReadError> {
        let Self { line, draft } = self;
        let section = || format!("crypto isakmp peer address {}", draft.address);
        let Some(password) = draft.password else {
            return Err(incomplete(line, section(), "a `set aggressive-mode password` line"));
        };
        let Some(client_endpoint) = draft.client_endpoint else {
            return Err(incomplete(
                line,
                section(),
                "a `set aggressive-mode client-endpoint` line",
            ));
        };
        Ok(IsakmpPeer { address: draft.address, password, client_endpoint })
    }
}

/// What follows `crypto isakmp key`.
fn key(words: &mut Words<'_>) -> Result<IsakmpKey, ReadError> {
    let key = words.secret("the key")?;
    let peer = if words.take("address") {
        let address = words.address()?;
        let prefix_length = if words.peek().is_some() { words.mask()? } else { 32 };
        KeyPeer::Address(InterfaceAddress { address, prefix_length })
    } else if words.take("hostname") {
        KeyPeer::Hostname(words.word("the peer's name")?.to_owned())
    } else {
        let needed = "`address` or `hostname`";
        words.word(needed)?;
        return Err(words.invalid(needed));
    };
    Ok(IsakmpKey { key, peer })
}

/// What follows `crypto isakmp keepalive`.
fn keepalive(words: &mut Words<'_>) -> Result<Keepalive, ReadError> {
    let seconds = words.number(1..=3_600)?;
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let retry = if words.peek().is_some_and(is_number) {
        words.number(1..=60)?
    } else {
        Keepalive::DEFAULT_RETRY
    };
    let known = [("on-demand", KeepaliveMode::OnDemand), ("periodic", KeepaliveMode::Periodic)];
    let mode = match words.peek() {
        None => KeepaliveMode::OnDemand,
        Some(_) => words.one_of("`periodic` or `on-demand`", &known)?,
    };
    Ok(Keepalive { seconds, retry, mode })
}

pub(super) fn group(words: &mut Words<'_>, prefix: &str) -> Result<DhGroup, ReadError> {
    let word = words.word("a group")?;
    let number = word.strip_prefix(prefix).and_then(|number| number.parse().ok());
    let known = number.filter(|number| DhGroup::KNOWN.contains(number));
    known.map(DhGroup).ok_or_else(|| {
        words.invalid(format!("a group of {}", DhGroup::KNOWN.map(|n| n.to_string()).join(", ")))
    })
}

pub(super) fn policy(policy: &mut PolicyDraft, words: &mut Words<'_>) -> Result<(), ReadError> {
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

pub(super) fn peer(peer: &mut PeerDraft, words: &mut Words<'_>) -> Result<(), ReadError> {
    words.expect(&["set", "aggressive-mode"])?;
    match words.word("`password` or `client-endpoint`")? {
        "password" => peer.password = Some(words.secret("the password")?),
        "client-endpoint" => {
            peer.client_endpoint = Some(match words.word("the kind of identity")? {
                "ipv4-address" => ClientEndpoint::Address(words.address()?),
                "fqdn" => ClientEndpoint::Fqdn(words.word("a name")?.to_owned()),
                "user-fqdn" => ClientEndpoint::UserFqdn(words.word("a name")?.to_owned()),
                _ => return Err(words.unknown()),
            });
        }
        _ => return Err(words.unknown()),
    }
    Ok(())
}
