//! Opening ISAKMP messages with nothing but the cipher's key.
//!
//! The rest is in the capture: MM2 (or AM2) names hash and cipher, the two public values give the
//! first IV (RFC 2409 appendix B), and each message's last cipher block is the next one's IV. The
//! first message of a later exchange starts from phase 1's last block and the message ID.

use alloc::collections::BTreeMap;

use dmvpn_isakmp::crypto::{
    BlockCipher, EncryptionAlgorithm, HashAlgorithm, HashFunction, Provider,
};
use dmvpn_isakmp::wire::{
    ExchangeType, Header, MessageId, Payload, PayloadType, Payloads, SecurityAssociation, phase1,
};

use crate::keys::IsakmpKey;

/// How far back in a chain an IV is looked for: messages are repeated and lost.
const MAX_STEPS_BACK: usize = 16;

/// The phase 1 SAs whose keys are known, by initiator cookie.
#[derive(Debug)]
pub(super) struct Sessions(BTreeMap<[u8; 8], Session>);

struct Session {
    key: Vec<u8>,
    suite: Option<(&'static dyn HashFunction, &'static dyn BlockCipher)>,
    /// The public values in the order seen: the initiator's, the responder's.
    public: Vec<Vec<u8>>,
    /// The IVs of phase 1, oldest first.
    phase_1: Vec<Vec<u8>>,
    /// Those of each later exchange.
    exchanges: BTreeMap<MessageId, Vec<Vec<u8>>>,
}

impl core::fmt::Debug for Session {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session").field("suite", &self.suite).finish_non_exhaustive()
    }
}

impl Sessions {
    pub(super) fn new(keys: &[IsakmpKey]) -> Self {
        let session = |key: &IsakmpKey| Session {
            key: key.key.clone(),
            suite: None,
            public: Vec::new(),
            phase_1: Vec::new(),
            exchanges: BTreeMap::new(),
        };
        Self(keys.iter().map(|key| (key.initiator_cookie, session(key))).collect())
    }

    /// Takes from a clear message what opening the later ones needs.
    pub(super) fn learn(&mut self, header: &Header, payloads: &Payloads<'_>) {
        let phase_1 = [ExchangeType::MAIN_MODE, ExchangeType::AGGRESSIVE];
        if header.message_id.0 != 0 || !phase_1.contains(&header.exchange) {
            return;
        }
        let Some(session) = self.0.get_mut(&header.initiator_cookie.0) else { return };
        for received in payloads {
            if let Payload::SecurityAssociation(sa) = &received.payload
                && !header.responder_cookie.is_zero()
            {
                // Only what the responder returned is chosen.
                session.suite = suite(sa).filter(|(_, c)| c.key_len() == session.key.len());
            }
            if let Payload::KeyExchange(value) = &received.payload
                && session.public.len() < 2
                && !session.public.iter().any(|known| known[..] == value[..])
            {
                session.public.push(value.to_vec());
            }
        }
        if let (Some((hash, cipher)), [initiator, responder], []) =
            (session.suite, &session.public[..], &session.phase_1[..])
        {
            let first = iv(hash, cipher, &[initiator, responder]);
            session.phase_1.push(first);
        }
    }

    /// The content of an encrypted message. `None` where there is no key, or the capture does not
    /// hold the start of the negotiation; an error where what comes out is no chain of payloads.
    pub(super) fn open(&mut self, header: &Header, content: &[u8]) -> Option<Result<Vec<u8>, ()>> {
        let session = self.0.get_mut(&header.initiator_cookie.0)?;
        let (hash, cipher) = session.suite.filter(|_| !session.phase_1.is_empty())?;
        let back = |ivs: &[Vec<u8>]| -> Vec<Vec<u8>> {
            ivs.iter().rev().take(MAX_STEPS_BACK).cloned().collect()
        };
        let mut candidates = Vec::new();
        if header.message_id.0 == 0 {
            candidates = back(&session.phase_1);
        } else {
            candidates.extend(
                session.exchanges.get(&header.message_id).into_iter().flat_map(|ivs| back(ivs)),
            );
            let message_id = header.message_id.0.to_be_bytes();
            let first = |last: &Vec<u8>| iv(hash, cipher, &[last, &message_id]);
            candidates.extend(back(&session.phase_1).iter().map(first));
        }
        for iv in candidates {
            let mut plain = content.to_vec();
            let decrypted = cipher.decrypt(&session.key, &iv, &mut plain).is_ok();
            if !decrypted || !is_chain(header.next_payload, &plain) {
                continue;
            }
            let chain = if header.message_id.0 == 0 {
                &mut session.phase_1
            } else {
                session.exchanges.entry(header.message_id).or_insert_with(|| vec![iv])
            };
            let next = content.get(content.len().saturating_sub(cipher.block_len())..);
            let next = next.unwrap_or_default().to_vec();
            // A repeated message adds nothing.
            if !chain.iter().rev().take(MAX_STEPS_BACK).any(|known| *known == next) {
                chain.push(next);
            }
            return Some(Ok(plain));
        }
        Some(Err(()))
    }
}

fn iv(hash: &dyn HashFunction, cipher: &dyn BlockCipher, parts: &[&[u8]]) -> Vec<u8> {
    let digest = hash.hash(parts);
    digest.as_bytes().iter().copied().take(cipher.block_len()).collect()
}

fn suite(
    sa: &SecurityAssociation<'_>,
) -> Option<(&'static dyn HashFunction, &'static dyn BlockCipher)> {
    let transform = sa.proposals.first()?.transforms.first()?;
    let number = |attribute_type| {
        let mut attributes = transform.attributes.iter();
        attributes.find(|attribute| attribute.attribute_type == attribute_type)?.number()
    };
    let code_point = |attribute_type| number(attribute_type)?.try_into().ok();
    let provider = Provider::rustcrypto();
    let bits = number(phase1::KEY_LENGTH).and_then(|bits| usize::try_from(bits).ok());
    let encryption = EncryptionAlgorithm(code_point(phase1::ENCRYPTION_ALGORITHM)?);
    let hash = HashAlgorithm(code_point(phase1::HASH_ALGORITHM)?);
    Some((provider.hash(hash)?, provider.cipher(encryption, bits.map(|bits| bits / 8))?))
}

/// Whether decrypted octets look like payloads: a wrong IV spoils the first one's header.
fn is_chain(first: PayloadType, plain: &[u8]) -> bool {
    match Payloads::parse(first, plain, Header::LEN) {
        Ok(payloads) => {
            let mut payloads = payloads.iter();
            payloads.len() > 0 && payloads.all(|payload| payload.reserved == 0)
        }
        Err(_) => false,
    }
}
