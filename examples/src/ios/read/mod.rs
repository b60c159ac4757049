//! Reading, line by line: a heading opens a section, the lines after it belong to it.

mod interface;
mod ipsec;
mod isakmp;

use interface::TunnelDraft;
use ipsec::ProfileDraft;
use isakmp::{PeerDraft, PolicyDraft};

use super::words::{ReadError, ReadErrorKind, Words};
use super::{Eigrp, Interface, Router, TransformSet};

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
                Some(_) if is_heading(&words) => section = draft.heading(&mut words)?,
                Some(_) => draft.line(section, &mut words)?,
            }
            words.end()?;
        }
        draft.finish()
    }
}

/// Whether a line is of the router as a whole, so that it ends the section before it: as on IOS
/// the words say so, not how far the line is indented.
fn is_heading(words: &Words<'_>) -> bool {
    let headings: [&[&str]; 6] = [
        &["hostname"],
        &["ip", "domain"],
        &["crypto"],
        &["no", "crypto"],
        &["interface"],
        &["router"],
    ];
    headings.iter().any(|heading| words.starts_with(heading))
}

/// The section that a line belongs to: an index into the draft's lists.
#[derive(Debug, Clone, Copy)]
enum Section {
    None,
    Policy(usize),
    Peer(usize),
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
    /// What lines by themselves say.
    router: Router,
    policies: Vec<Open<PolicyDraft>>,
    peers: Vec<Open<PeerDraft>>,
    transform_sets: Vec<Open<TransformSet>>,
    profiles: Vec<Open<ProfileDraft>>,
    tunnels: Vec<Open<TunnelDraft>>,
    ethernets: Vec<Open<Interface>>,
    loopbacks: Vec<Open<Interface>>,
    eigrp: Vec<Open<Eigrp>>,
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
            "hostname" => {
                self.router.hostname = Some(words.word("the router's name")?.to_owned());
                Ok(Section::None)
            }
            "ip" => {
                words.expect(&["domain", "name"])?;
                self.router.domain_name = Some(words.word("the domain's name")?.to_owned());
                Ok(Section::None)
            }
            "crypto" => match words.word("`isakmp` or `ipsec`")? {
                "isakmp" => self.crypto_isakmp(words),
                "ipsec" => self.crypto_ipsec(words),
                _ => Err(words.unknown()),
            },
            "no" => {
                words.expect(&["crypto"])?;
                self.no_crypto(words)
            }
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

    fn line(&mut self, section: Section, words: &mut Words<'_>) -> Result<(), ReadError> {
        match section {
            Section::Policy(index) => within(&mut self.policies, index, words, isakmp::policy),
            Section::Peer(index) => within(&mut self.peers, index, words, isakmp::peer),
            Section::TransformSet(index) => {
                within(&mut self.transform_sets, index, words, ipsec::mode)
            }
            Section::Profile(index) => within(&mut self.profiles, index, words, ipsec::profile),
            Section::Tunnel(index) => within(&mut self.tunnels, index, words, interface::tunnel),
            Section::Ethernet(index) => {
                within(&mut self.ethernets, index, words, interface::interface)
            }
            Section::Loopback(index) => {
                within(&mut self.loopbacks, index, words, interface::interface)
            }
            Section::Eigrp(index) => within(&mut self.eigrp, index, words, eigrp),
            Section::None => {
                words.word("a heading")?;
                Err(words.unknown())
            }
        }
    }

    /// Checks that each section is whole and that what it names exists.
    fn finish(self) -> Result<Router, ReadError> {
        let mut router = self.router;
        for policy in self.policies {
            router.isakmp.policies.push(policy.finish()?);
        }
        router.isakmp.policies.sort_by_key(|policy| policy.priority);
        for peer in self.peers {
            router.isakmp.peers.push(peer.finish()?);
        }
        router.transform_sets = drafts(self.transform_sets);
        for profile in self.profiles {
            router.ipsec_profiles.push(profile.finish(&router.transform_sets)?);
        }
        router.ethernets = drafts(self.ethernets);
        router.loopbacks = drafts(self.loopbacks);
        for tunnel in self.tunnels {
            let tunnel = tunnel.finish(&router)?;
            router.tunnels.push(tunnel);
        }
        router.eigrp = drafts(self.eigrp);
        Ok(router)
    }
}

/// Sections that are whole whatever they lack.
fn drafts<T>(sections: Vec<Open<T>>) -> Vec<T> {
    sections.into_iter().map(|section| section.draft).collect()
}

fn incomplete(line: usize, section: String, needs: &'static str) -> ReadError {
    ReadError { line, kind: ReadErrorKind::Incomplete { section, needs } }
}

fn undefined(line: usize, section: String, name: String) -> ReadError {
    ReadError { line, kind: ReadErrorKind::Undefined { section, name } }
}

fn conflict(line: usize, section: String, first: &'static str, second: &'static str) -> ReadError {
    ReadError { line, kind: ReadErrorKind::Conflict { section, first, second } }
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

fn eigrp(eigrp: &mut Eigrp, words: &mut Words<'_>) -> Result<(), ReadError> {
    words.expect(&["network"])?;
    eigrp.networks.push((words.address()?, words.address()?));
    Ok(())
}
