//! A peer that has a valid key and bad manners: main mode by hand, then whatever a test wants to say
//! under the protection of the SA. It shares the codec and the cryptography with the endpoint, and
//! none of its rules.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of it")]

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use dmvpn_isakmp::Path;
use dmvpn_isakmp::crypto::{
    EncryptionAlgorithm, EncryptionKey, Exponent, ExponentLength, Group, HashAlgorithm, Iv,
    KeyPair, Phase1Public, Provider, SessionKeys, Skeyid,
};
use dmvpn_isakmp::wire::{
    Attribute, Chain, Content, Cookie, EncapsulationMode, ExchangeType, Flags, Header,
    Identification, LifeType, Message, MessageId, Notification, NotifyType, Payload, PayloadType,
    Payloads, Proposal, ProtocolId, SecurityAssociation, Transform, TransformId, phase1, phase2,
};

use super::pair::Pair;

pub const KEY: &[u8] = b"cisco123";

/// The SA payload of the guide's phase 1 policy.
pub fn phase1_offer(transforms: u8) -> SecurityAssociation<'static> {
    let transform = |number| {
        let attributes = vec![
            Attribute::basic(phase1::ENCRYPTION_ALGORITHM, 5),
            Attribute::basic(phase1::HASH_ALGORITHM, 2),
            Attribute::basic(phase1::GROUP_DESCRIPTION, 1),
            Attribute::basic(phase1::AUTHENTICATION_METHOD, 1),
            Attribute::basic(phase1::LIFE_TYPE, LifeType::SECONDS.0),
            Attribute::variable_u32(phase1::LIFE_DURATION, 86_400),
        ];
        Transform::new(number, TransformId::KEY_IKE, attributes)
    };
    let transforms = (1..=transforms).map(transform).collect();
    SecurityAssociation::new(vec![Proposal::new(1, ProtocolId::ISAKMP, &[][..], transforms)])
}

/// A message in clear.
pub fn clear(
    cookies: (Cookie, Cookie),
    exchange: ExchangeType,
    payloads: &[Payload<'_>],
) -> Vec<u8> {
    let mut chain = Chain::new();
    for payload in payloads {
        chain.push(payload);
    }
    chain.message(Header::new(cookies.0, cookies.1, exchange), 0).unwrap()
}

pub fn mm1(cookie: [u8; 8]) -> Vec<u8> {
    let offer = Payload::SecurityAssociation(phase1_offer(1));
    clear((Cookie(cookie), Cookie::ZERO), ExchangeType::MAIN_MODE, &[offer])
}

/// What a quick mode's first message says; by default what the guide's spoke says.
pub struct QuickMode {
    pub message_id: u32,
    pub spi: Vec<u8>,
    pub nonce: Vec<u8>,
    /// With one, perfect forward secrecy by group 1 is offered.
    pub public: Option<Vec<u8>>,
    pub ids: Option<[Identification<'static>; 2]>,
    /// How many transforms are offered that nobody accepts, before the one that is.
    pub others: u8,
}

/// An initiator in the place of the pair's spoke, or elsewhere.
pub struct Insider {
    pub path: Path,
    pub cookies: (Cookie, Cookie),
    pub keys: SessionKeys,
    pub key: EncryptionKey,
    last: Iv,
    rng: ChaCha20Rng,
}

impl Insider {
    /// Main mode with the pair's hub. `contact` are notifications in MM5.
    pub fn enter(pair: &mut Pair, path: Path, seed: u64, contact: &[Payload<'_>]) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let provider = Provider::rustcrypto();
        let prf = provider.hash(HashAlgorithm::SHA1).unwrap();
        let group = provider.group(Group::MODP_768).unwrap();
        let cipher = provider.cipher(EncryptionAlgorithm::TRIPLE_DES_CBC, None).unwrap();

        let initiator = Cookie(rng.next_u64().to_be_bytes());
        let offer = phase1_offer(1);
        let sai_b = Payload::SecurityAssociation(offer.clone()).body().unwrap();
        let first = mm1(initiator.0);
        let mm2 = answer(pair, path, &first);
        let responder = Message::parse(&mm2).unwrap().header.responder_cookie;
        let cookies = (initiator, responder);

        let exponent = Exponent::draw(group, ExponentLength::default(), &mut rng);
        let ours = KeyPair::new(group, exponent).unwrap();
        let mut nonce_i = vec![0; 20];
        rng.fill_bytes(&mut nonce_i);
        let (public, nonce) = (ours.public().to_vec(), nonce_i.clone());
        let payloads = [Payload::KeyExchange(public.into()), Payload::Nonce(nonce.into())];
        let mm4 = answer(pair, path, &clear(cookies, ExchangeType::MAIN_MODE, &payloads));
        let mm4 = Message::parse(&mm4).unwrap();
        let body = |payload_type| mm4.payloads().unwrap().find(payload_type).unwrap().body();
        let (g_xr, nonce_r) = (body(PayloadType::KEY_EXCHANGE), body(PayloadType::NONCE));

        let secret = group.shared_secret(ours.exponent(), g_xr).unwrap();
        let skeyid = Skeyid::pre_shared_key(prf, KEY, &nonce_i, nonce_r);
        let keys = skeyid.session_keys(&secret, initiator.0, responder.0);
        let key = keys.encryption_key(cipher);
        let iv = Iv::phase_1(prf, cipher, ours.public(), g_xr);
        let id = Payload::Identification(Identification::address(path.remote.ip(), 17, 500));
        let public = Phase1Public {
            g_xi: ours.public(),
            g_xr,
            cookie_i: initiator.0,
            cookie_r: responder.0,
            sai_b: &sai_b,
        };
        let hash = skeyid.hash_i(&public, &id.body().unwrap());
        let mut chain = Chain::new();
        chain.push(&id).push(&Payload::Hash(hash.as_bytes().into()));
        for payload in contact {
            chain.push(payload);
        }
        let header = Header::new(initiator, responder, ExchangeType::MAIN_MODE);
        let (mm5, iv) = seal(&key, &iv, header, &chain);
        let mm6 = answer(pair, path, &mm5);
        let last = key.decrypt(&iv, &mut mm6[Header::LEN..].to_vec()).unwrap();
        Self { path, cookies, keys, key, last, rng }
    }

    fn first_iv(&self, message_id: u32) -> Iv {
        Iv::phase_2(self.keys.hash_function(), &self.last, message_id)
    }

    pub fn fresh(&mut self) -> u32 {
        self.rng.next_u32().max(1)
    }

    /// A message of the SA that starts an exchange: HASH(1) in front of these payloads.
    pub fn protected(
        &self,
        exchange: ExchangeType,
        message_id: u32,
        payloads: &[Payload<'_>],
    ) -> Vec<u8> {
        let mut chain = Chain::new();
        for payload in payloads {
            chain.push(payload);
        }
        let hash = self.keys.hash_1(message_id, chain.bytes());
        chain.push_front(&Payload::Hash(hash.as_bytes().into()));
        let header = Header {
            message_id: MessageId(message_id),
            ..Header::new(self.cookies.0, self.cookies.1, exchange)
        };
        seal(&self.key, &self.first_iv(message_id), header, &chain).0
    }

    /// Notifications and deletes, under a message ID of their own.
    pub fn informational(&mut self, payloads: &[Payload<'_>]) -> Vec<u8> {
        let message_id = self.fresh();
        self.protected(ExchangeType::INFORMATIONAL, message_id, payloads)
    }

    pub fn notification(&self, notify_type: NotifyType) -> Payload<'static> {
        Payload::Notification(Notification::isakmp(notify_type, self.cookies, &[][..]))
    }

    pub fn quick_mode(&mut self) -> QuickMode {
        let mut nonce = vec![0; 20];
        self.rng.fill_bytes(&mut nonce);
        let spi = (self.fresh() | 0x100).to_be_bytes().to_vec();
        let message_id = self.fresh();
        QuickMode { message_id, spi, nonce, public: None, ids: None, others: 0 }
    }

    pub fn qm1(&self, quick_mode: &QuickMode) -> Vec<u8> {
        let transform = |number: u8, authentication| {
            let mut attributes = vec![
                Attribute::basic(phase2::ENCAPSULATION_MODE, EncapsulationMode::TRANSPORT.0),
                Attribute::basic(phase2::AUTHENTICATION_ALGORITHM, authentication),
            ];
            let group = Attribute::basic(phase2::GROUP_DESCRIPTION, 1);
            attributes.extend(quick_mode.public.is_some().then_some(group));
            Transform::new(number, TransformId::ESP_3DES, attributes)
        };
        let mut transforms: Vec<_> =
            (0..quick_mode.others).map(|number| transform(number + 2, 1)).collect();
        transforms.push(transform(1, 2));
        let proposal = Proposal::new(1, ProtocolId::ESP, quick_mode.spi.clone(), transforms);
        let mut payloads = vec![
            Payload::SecurityAssociation(SecurityAssociation::new(vec![proposal])),
            Payload::Nonce(quick_mode.nonce.clone().into()),
        ];
        payloads
            .extend(quick_mode.public.clone().map(|public| Payload::KeyExchange(public.into())));
        let own = |address| Identification::address(address, 47, 0);
        let ids = quick_mode.ids.clone();
        let ids = ids.unwrap_or_else(|| [own(self.path.remote.ip()), own(self.path.local.ip())]);
        payloads.extend(ids.map(Payload::Identification));
        self.protected(ExchangeType::QUICK_MODE, quick_mode.message_id, &payloads)
    }

    /// A whole quick mode; the hub's inbound SPI.
    pub fn complete(&self, pair: &mut Pair, quick_mode: &QuickMode) -> u32 {
        let message_id = quick_mode.message_id;
        let qm1 = self.qm1(quick_mode);
        let qm2 = answer(pair, self.path, &qm1);
        let chained = |datagram: &[u8]| {
            let end = datagram.len() - 8;
            datagram[end..].to_vec()
        };
        let mut body = qm2[Header::LEN..].to_vec();
        let mut iv = self.first_iv(message_id);
        iv = self.key.decrypt(&iv, &mut qm1[Header::LEN..].to_vec()).unwrap();
        assert_eq!(iv.as_bytes(), chained(&qm1));
        iv = self.key.decrypt(&iv, &mut body).unwrap();
        let payloads = Payloads::parse(PayloadType::HASH, &body, Header::LEN).unwrap();
        let nonce_r = payloads.find(PayloadType::NONCE).unwrap().body();
        let Payload::SecurityAssociation(sa) =
            &payloads.find(PayloadType::SECURITY_ASSOCIATION).unwrap().payload
        else {
            panic!("no SA in QM2")
        };
        let spi = sa.proposals[0].spi32().unwrap();
        let hash = self.keys.hash_3(message_id, &quick_mode.nonce, nonce_r);
        let mut chain = Chain::new();
        chain.push(&Payload::Hash(hash.as_bytes().into()));
        let header = Header {
            message_id: MessageId(message_id),
            ..Header::new(self.cookies.0, self.cookies.1, ExchangeType::QUICK_MODE)
        };
        let (qm3, _) = seal(&self.key, &iv, header, &chain);
        pair.deliver(1, self.path, &qm3);
        spi
    }

    /// What the first notification in an informational message of the hub says.
    pub fn told(&self, datagram: &[u8]) -> NotifyType {
        self.read_first(datagram, |payload| {
            let Payload::Notification(notification) = payload else { return None };
            Some(notification.notify_type)
        })
    }

    /// The hub's SPI in its QM1.
    pub fn offered_spi(&self, qm1: &[u8]) -> u32 {
        self.read_first(qm1, |payload| {
            let Payload::SecurityAssociation(sa) = payload else { return None };
            sa.proposals[0].spi32()
        })
    }

    /// Of a message of the hub that starts an exchange, what this finds in one of its payloads.
    fn read_first<T>(&self, datagram: &[u8], read: impl Fn(&Payload<'_>) -> Option<T>) -> T {
        let message = Message::parse(datagram).unwrap();
        let Content::Encrypted(body) = message.content else { panic!("in clear") };
        let mut body = body.to_vec();
        let iv = self.first_iv(message.header.message_id.0);
        self.key.decrypt(&iv, &mut body).unwrap();
        let payloads = Payloads::parse(message.header.next_payload, &body, Header::LEN).unwrap();
        payloads.iter().find_map(|received| read(&received.payload)).unwrap()
    }
}

fn seal(key: &EncryptionKey, iv: &Iv, header: Header, chain: &Chain) -> (Vec<u8>, Iv) {
    let header = Header { flags: Flags::ENCRYPTION, ..header };
    let mut message = chain.message(header, chain.padding(8)).unwrap();
    let next = key.encrypt(iv, &mut message[Header::LEN..]).unwrap();
    (message, next)
}

/// Gives the hub a message; its one answer in the same exchange.
pub fn answer(pair: &mut Pair, path: Path, message: &[u8]) -> Vec<u8> {
    let before = pair.hosts[1].sent.len();
    pair.deliver(1, path, message);
    let sent = pair.hosts[1].sent[before..].iter().map(|(_, transmit)| &transmit.payload);
    let answers: Vec<_> = sent.filter(|payload| payload[18] == message[18]).collect();
    assert_eq!(answers.len(), 1, "{:?}", pair.hosts[1].discards.last());
    answers[0].to_vec()
}
