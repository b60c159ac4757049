//! An observer of one ISAKMP SA who knows both exponents and the pre-shared key.
//!
//! It has its own walk over payloads, so that it can disagree with the crate's codec.

use alloc::collections::BTreeMap;

use dmvpn_isakmp::crypto::{
    Digest, EncryptionKey, HashFunction, Iv, KeyPair, Phase1Public, SessionKeys, SharedSecret,
    Skeyid,
};

use super::{Section, cipher, cookie, exponent, group, hash};

/// Length of the ISAKMP header.
pub(crate) const HEADER: usize = 28;

pub(crate) const SECURITY_ASSOCIATION: u8 = 1;
pub(crate) const KEY_EXCHANGE: u8 = 4;
pub(crate) const IDENTIFICATION: u8 = 5;
pub(crate) const HASH: u8 = 8;
pub(crate) const NONCE: u8 = 10;
pub(crate) const NAT_D: u8 = 20;

/// One payload: its body, and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload<'a> {
    pub(crate) kind: u8,
    pub(crate) body: &'a [u8],
    pub(crate) end: usize,
}

/// The payloads after a message's header, or `None` where they are none.
pub(crate) fn payloads(first: u8, bytes: &[u8]) -> Option<Vec<Payload<'_>>> {
    let mut all = Vec::new();
    let (mut kind, mut at) = (first, 0);
    while kind != 0 {
        let header = bytes.get(at..at + 4)?;
        let end = at + usize::from(u16::from_be_bytes([header[2], header[3]]));
        all.push(Payload { kind, body: bytes.get(at + 4..end)?, end });
        (kind, at) = (header[0], end);
    }
    Some(all)
}

/// The message ID of a raw message.
pub(crate) fn message_id(raw: &[u8]) -> u32 {
    u32::from_be_bytes(raw[20..24].try_into().unwrap())
}

/// Whether a raw message is encrypted.
pub(crate) fn is_encrypted(raw: &[u8]) -> bool {
    raw[19] & 1 != 0
}

/// Both ends' values of one Diffie-Hellman exchange: public values and secret must be the recorded.
pub(crate) fn diffie_hellman(section: &Section, number: u16) -> SharedSecret {
    let group = group(number);
    let (private_i, private_r) = (section.hex("private_i"), section.hex("private_r"));
    let ours = KeyPair::new(group, exponent(group, &private_i)).unwrap();
    let theirs = KeyPair::new(group, exponent(group, &private_r)).unwrap();
    assert_eq!(ours.public()[..], section.hex("ke_i"));
    assert_eq!(theirs.public()[..], section.hex("ke_r"));
    let secret = group.shared_secret(ours.exponent(), theirs.public()).unwrap();
    let same = group.shared_secret(theirs.exponent(), ours.public()).unwrap();
    assert_eq!(secret.dangerous_bytes(), section.hex("g_xy"));
    assert_eq!(same.dangerous_bytes(), section.hex("g_xy"));
    secret
}

/// One ISAKMP SA as the observer follows it.
pub(crate) struct Observed<'a> {
    pub(crate) section: &'a Section,
    pub(crate) prf: &'static dyn HashFunction,
    pub(crate) skeyid: Skeyid,
    pub(crate) keys: SessionKeys,
    pub(crate) encryption_key: EncryptionKey,
    /// The end of the phase 1 chain.
    pub(crate) phase_1: Iv,
    /// The exchanges of phase 2 seen so far.
    exchanges: BTreeMap<u32, Exchange>,
}

impl<'a> Observed<'a> {
    /// Derives everything; each value must be the recorded one.
    pub(crate) fn new(section: &'a Section, psk: &[u8]) -> Self {
        let prf = hash(section.text("hash"));
        let cipher = cipher(section.text("encr"), section.number("key_bytes"));
        let g_xy = diffie_hellman(section, section.text("group").parse().unwrap());
        let (cookie_i, cookie_r) = (cookie(section.text("cky_i")), cookie(section.text("cky_r")));

        let skeyid =
            Skeyid::pre_shared_key(prf, psk, &section.hex("nonce_i"), &section.hex("nonce_r"));
        assert_eq!(skeyid.dangerous_skeyid(), section.hex("skeyid"));
        let keys = skeyid.session_keys(&g_xy, cookie_i, cookie_r);
        assert_eq!(keys.dangerous_skeyid_d(), section.hex("skeyid_d"));
        assert_eq!(keys.dangerous_skeyid_a(), section.hex("skeyid_a"));
        assert_eq!(keys.dangerous_skeyid_e(), section.hex("skeyid_e"));
        let encryption_key = keys.encryption_key(cipher);
        assert_eq!(encryption_key.dangerous_key(), section.hex("encryption_key"));
        let phase_1 = Iv::phase_1(prf, cipher, &section.hex("ke_i"), &section.hex("ke_r"));
        assert_eq!(phase_1.as_bytes(), section.hex("initial_iv"));
        let exchanges = BTreeMap::new();
        Self { section, prf, skeyid, keys, encryption_key, phase_1, exchanges }
    }

    /// The IV a message of this exchange is encrypted with.
    pub(crate) fn iv(&mut self, message_id: u32) -> &mut Iv {
        match message_id {
            0 => &mut self.phase_1,
            _ => &mut self.exchange(message_id).iv,
        }
    }

    fn exchange(&mut self, message_id: u32) -> &mut Exchange {
        let first = || Exchange::new(self.prf, &self.phase_1, message_id);
        self.exchanges.entry(message_id).or_insert_with(first)
    }

    /// Decrypts a raw message's body and moves its chain.
    pub(crate) fn open(&mut self, raw: &[u8]) -> Vec<u8> {
        let mut body = raw[HEADER..].to_vec();
        let key = self.encryption_key.clone();
        let iv = self.iv(message_id(raw));
        *iv = key.decrypt(iv, &mut body).unwrap();
        body
    }

    /// Encrypts a body behind the header of a raw message and moves its chain.
    pub(crate) fn seal(&mut self, header: &[u8], body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        let key = self.encryption_key.clone();
        let iv = self.iv(message_id(header));
        *iv = key.encrypt(iv, &mut body).unwrap();
        [&header[..HEADER], &body].concat()
    }

    /// What the HASH payload of an encrypted message must hold.
    pub(crate) fn expected_hash(
        &mut self,
        from_initiator: bool,
        message_id: u32,
        payloads: &[Payload<'_>],
        plaintext: &[u8],
    ) -> Digest {
        if message_id == 0 {
            return self.phase_1_hash(from_initiator, payloads);
        }
        let keys = self.keys.clone();
        self.exchange(message_id).hash(&keys, message_id, payloads, plaintext)
    }

    /// `HASH_I` or `HASH_R` over the identity in the message, or the recorded one if it is in
    /// another message (aggressive mode).
    pub(crate) fn phase_1_hash(&self, from_initiator: bool, payloads: &[Payload<'_>]) -> Digest {
        let (g_xi, g_xr) = (self.section.hex("ke_i"), self.section.hex("ke_r"));
        let sai_b = self.section.hex("sai_b");
        let public = Phase1Public {
            g_xi: &g_xi,
            g_xr: &g_xr,
            cookie_i: cookie(self.section.text("cky_i")),
            cookie_r: cookie(self.section.text("cky_r")),
            sai_b: &sai_b,
        };
        let name = if from_initiator { "id_i" } else { "id_r" };
        let id = match payloads.iter().find(|p| p.kind == IDENTIFICATION) {
            Some(id) => id.body.to_vec(),
            None => self.section.hex(name),
        };
        match from_initiator {
            true => self.skeyid.hash_i(&public, &id),
            false => self.skeyid.hash_r(&public, &id),
        }
    }
}

/// A quick mode or an informational exchange.
pub(crate) struct Exchange {
    pub(crate) iv: Iv,
    nonces: Vec<Vec<u8>>,
    messages: usize,
}

impl Exchange {
    pub(crate) fn new(
        prf: &'static dyn HashFunction,
        end_of_phase_1: &Iv,
        message_id: u32,
    ) -> Self {
        let iv = Iv::phase_2(prf, end_of_phase_1, message_id);
        Self { iv, nonces: Vec::new(), messages: 0 }
    }

    /// What the HASH payload of the exchange's next message must hold. An informational exchange has
    /// one message, hashed as the first of a quick mode is.
    pub(crate) fn hash(
        &mut self,
        keys: &SessionKeys,
        message_id: u32,
        payloads: &[Payload<'_>],
        plaintext: &[u8],
    ) -> Digest {
        let rest = &plaintext[payloads.first().unwrap().end..payloads.last().unwrap().end];
        self.messages += 1;
        self.nonces.extend(payloads.iter().filter(|p| p.kind == NONCE).map(|p| p.body.to_vec()));
        match self.messages {
            1 => keys.hash_1(message_id, rest),
            2 => keys.hash_2(message_id, &self.nonces[0], rest),
            3 => keys.hash_3(message_id, &self.nonces[0], &self.nonces[1]),
            number => panic!("message {number} of an exchange"),
        }
    }
}
