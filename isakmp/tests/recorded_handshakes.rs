//! The pre-shared key handshake of `ikev1_handshakes.json` replayed through our endpoint. The file is
//! not ours: where it is absent the tests say so and pass.
//!
//! Only the initiator's exponent is known, so the other end's hashes are made again: as initiator over
//! our own SA payload, whose lifetime has four bytes where the recording has two; as responder with
//! the keys that follow from an exponent of our own. Everything else the peer sends is as recorded:
//! nonces of 8 bytes, no vendor ids at all, proposal number 0, two kinds of padding. (The other
//! handshake of the file authenticates by encrypted nonces; `recorded_derivations.rs` decrypts it.)

#![cfg(feature = "rustcrypto")]

extern crate alloc;

mod known_answers;
#[path = "recorded_replay/script.rs"]
mod script;

use alloc::{boxed::Box, sync::Arc};
use core::net::{IpAddr, Ipv4Addr};

use dmvpn_isakmp::{
    ChildLifetime, Config, Discard, Encryption, Endpoint, EspEncryption, EspIntegrity, EspProposal,
    Event, Mode, Path, Policy, PreSharedKey, Protection, ProtectionId, Proxies, Remote, Role,
    Selector, Transport,
    crypto::{
        Digest, EncryptionKey, ExponentLength, Group, HashAlgorithm, Iv, Phase1Public, SessionKeys,
        Skeyid,
    },
};
use dmvpn_time::Instant;

use known_answers::{
    PROVIDER, bytes, cipher, cookie, exponent, group, hash,
    observer::{
        Exchange, HASH, HEADER, IDENTIFICATION, KEY_EXCHANGE, NONCE, SECURITY_ASSOCIATION,
        message_id, payloads,
    },
    text, third_party_json,
};
use script::Script;

const INITIATOR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 3, 1));
const RESPONDER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 3, 10));
const NOW: Instant = Instant::EPOCH;

/// Our endpoint in one role, and the recorded peer in the other.
struct Replay {
    handshake: serde_json::Value,
    role: Role,
    endpoint: Endpoint,
}

/// What both ends know after MM4.
struct Keys {
    skeyid: Skeyid,
    session: SessionKeys,
    cipher: EncryptionKey,
    iv: Iv,
    sai_b: Vec<u8>,
    g_xi: Vec<u8>,
    g_xr: Vec<u8>,
    cookies: ([u8; 8], [u8; 8]),
}

fn replay(role: Role) -> Option<(Replay, Script)> {
    let handshakes = third_party_json("ikev1_handshakes.json")?;
    let handshake = handshakes[0].clone();
    let sa = bytes(&handshake["qm"], if role == Role::Initiator { "sa_i" } else { "sa_r" });
    let spi = u32::from_be_bytes(sa[16..20].try_into().unwrap());
    let nonce = bytes(&handshake, if role == Role::Initiator { "ni" } else { "nr" });
    let psk = text(&handshake, "psk").as_bytes();
    let policy = Policy {
        priority: 1,
        encryption: Encryption::Aes128,
        hash: HashAlgorithm::SHA1,
        group: Group::MODP_1024,
        lifetime: 28_800,
    };
    let config = Config::builder(
        PROVIDER,
        vec![PreSharedKey::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0, psk)],
    )
    .policies(vec![policy])
    .nonce_len(nonce.len())
    .exponent_length(ExponentLength::Full)
    .initial_contact(false)
    .spi_range(spi..=spi);
    let script = Script::default();
    let config = Arc::new(config.build().unwrap());
    let mut endpoint = Endpoint::new(config, Box::new(script.clone()), NOW);
    let everything =
        Selector { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix: 0, protocol: 0, port: 0 };
    let (local, remote) = match role {
        Role::Initiator => (INITIATOR, Remote::Host(RESPONDER)),
        Role::Responder => (RESPONDER, Remote::Any),
    };
    let proposal = EspProposal {
        encryption: EspEncryption::Aes128Cbc,
        integrity: Some(EspIntegrity::HmacSha1),
    };
    let mut protection = Protection::gre(local, remote);
    protection.proxies = Proxies::Networks { local: everything, remote: everything };
    protection.mode = Mode::Tunnel;
    protection.proposals = vec![proposal];
    protection.lifetime = ChildLifetime { seconds: 3600, kilobytes: None };
    endpoint.protect(NOW, ProtectionId(1), protection);
    Some((Replay { handshake, role, endpoint }, script))
}

impl Replay {
    fn raw(&self, message: usize) -> Vec<u8> {
        bytes(&self.handshake["messages"][message], "raw")
    }

    fn plaintext(&self, message: usize) -> Vec<u8> {
        bytes(&self.handshake["messages"][message], "plaintext")
    }

    fn deliver(&mut self, datagram: &[u8]) -> Result<(), Discard> {
        let (local, remote) = match self.role {
            Role::Initiator => (INITIATOR, RESPONDER),
            Role::Responder => (RESPONDER, INITIATOR),
        };
        let transport = Transport::Isakmp;
        let path = Path { local: (local, 500).into(), remote: (remote, 500).into(), transport };
        self.endpoint.handle_datagram(NOW, path, datagram)
    }

    #[track_caller]
    fn transmitted(&mut self) -> Vec<u8> {
        self.endpoint.poll_transmit().expect("a message").payload.to_vec()
    }

    /// The keys, from MM1's SA and both key exchange messages; the initiator's exponent is known.
    fn keys(&self, mm1: &[u8], mm3: &[u8], mm4: &[u8]) -> Keys {
        let (sai_b, g_xi) = (body(mm1, SECURITY_ASSOCIATION), body(mm3, KEY_EXCHANGE));
        let g_xr = body(mm4, KEY_EXCHANGE);
        let (prf, group, aes) = (hash("sha1"), group(2), cipher("aes", 16));
        let x_i = exponent(group, &bytes(&self.handshake, "x_i"));
        let g_xy = group.shared_secret(&x_i, &g_xr).unwrap();
        let psk = text(&self.handshake, "psk").as_bytes();
        let skeyid = Skeyid::pre_shared_key(prf, psk, &body(mm3, NONCE), &body(mm4, NONCE));
        let cookies =
            (cookie(text(&self.handshake, "cky_i")), cookie(text(&self.handshake, "cky_r")));
        let session = skeyid.session_keys(&g_xy, cookies.0, cookies.1);
        let cipher = session.encryption_key(aes);
        let iv = Iv::phase_1(prf, aes, &g_xi, &g_xr);
        Keys { skeyid, session, cipher, iv, sai_b, g_xi, g_xr, cookies }
    }
}

/// The body of a payload of a message in clear.
fn body(raw: &[u8], kind: u8) -> Vec<u8> {
    let all = payloads(raw[16], &raw[HEADER..]).unwrap();
    all.iter().find(|p| p.kind == kind).expect("the payload").body.to_vec()
}

/// A plaintext with another hash in its HASH payload.
fn with_hash(first: u8, plaintext: &[u8], hash: &Digest) -> Vec<u8> {
    let all = payloads(first, plaintext).unwrap();
    let end = all.iter().find(|p| p.kind == HASH).unwrap().end;
    let mut plaintext = plaintext.to_vec();
    plaintext[end - hash.as_bytes().len()..end].copy_from_slice(hash.as_bytes());
    plaintext
}

impl Keys {
    /// What the HASH payload of MM5 or MM6 must hold.
    fn hash(&self, side: Role, plaintext: &[u8]) -> Digest {
        let all = payloads(IDENTIFICATION, plaintext).unwrap();
        let id = all.iter().find(|p| p.kind == IDENTIFICATION).unwrap().body;
        let public = Phase1Public {
            g_xi: &self.g_xi,
            g_xr: &self.g_xr,
            cookie_i: self.cookies.0,
            cookie_r: self.cookies.1,
            sai_b: &self.sai_b,
        };
        match side {
            Role::Initiator => self.skeyid.hash_i(&public, id),
            Role::Responder => self.skeyid.hash_r(&public, id),
        }
    }

    /// Opens our MM5 or MM6 and checks its hash.
    fn open(&mut self, side: Role, raw: &[u8]) {
        let mut body = raw[HEADER..].to_vec();
        self.iv = self.cipher.decrypt(&self.iv, &mut body).unwrap();
        let all = payloads(raw[16], &body).unwrap();
        let sent = all.iter().find(|p| p.kind == HASH).unwrap().body;
        assert!(self.hash(side, &body).verify(sent));
    }

    /// The recorded MM5 or MM6 with its hash made again.
    fn seal(&mut self, side: Role, raw: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut body = with_hash(raw[16], plaintext, &self.hash(side, plaintext));
        self.iv = self.cipher.encrypt(&self.iv, &mut body).unwrap();
        [&raw[..HEADER], &body].concat()
    }

    /// The recorded quick mode message with its hash made again.
    fn seal_quick(&self, quick: &mut Exchange, raw: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let all = payloads(raw[16], plaintext).unwrap();
        let hash = quick.hash(&self.session, message_id(raw), &all, plaintext);
        let mut body = with_hash(raw[16], plaintext, &hash);
        quick.iv = self.cipher.encrypt(&quick.iv, &mut body).unwrap();
        [&raw[..HEADER], &body].concat()
    }

    /// Opens our quick mode message and checks its hash.
    fn open_quick(&self, quick: &mut Exchange, raw: &[u8]) -> Vec<u8> {
        let mut body = raw[HEADER..].to_vec();
        quick.iv = self.cipher.decrypt(&quick.iv, &mut body).unwrap();
        let all = payloads(raw[16], &body).unwrap();
        assert!(quick.hash(&self.session, message_id(raw), &all, &body).verify(all[0].body));
        body
    }
}

#[test]
fn as_responder() {
    let Some((mut replay, script)) = replay(Role::Responder) else { return };
    script.push(&bytes(&replay.handshake, "cky_r"));
    script.push(&[0x5a; 128]);
    script.push(&bytes(&replay.handshake, "nr"));
    let (mm1, mm3) = (replay.raw(0), replay.raw(2));
    replay.deliver(&mm1).unwrap();
    let mm2 = replay.transmitted();
    assert_eq!(mm2[..16], replay.raw(1)[..16]);
    // RFC 2409 §5: the choice goes back unchanged, numbers and two-byte lifetime included.
    assert_eq!(body(&mm2, SECURITY_ASSOCIATION), body(&mm1, SECURITY_ASSOCIATION));
    replay.deliver(&mm3).unwrap();
    let mm4 = replay.transmitted();
    assert_eq!(body(&mm4, NONCE), bytes(&replay.handshake, "nr"));

    let mut keys = replay.keys(&mm1, &mm3, &mm4);
    let mm5 = keys.seal(Role::Initiator, &replay.raw(4), &replay.plaintext(4));
    replay.deliver(&mm5).unwrap();
    keys.open(Role::Responder, &replay.transmitted());

    let qm1 = replay.raw(6);
    let mut quick = Exchange::new(hash("sha1"), &keys.iv, message_id(&qm1));
    let qm1 = keys.seal_quick(&mut quick, &qm1, &replay.plaintext(6));
    replay.deliver(&qm1).unwrap();
    let qm2 = replay.transmitted();
    keys.open_quick(&mut quick, &qm2);
    let qm3 = keys.seal_quick(&mut quick, &replay.raw(8), &replay.plaintext(8));
    replay.deliver(&qm3).unwrap();

    let mut events = Vec::new();
    while let Some(event) = replay.endpoint.poll_event() {
        events.push(event);
    }
    assert!(matches!(
        events[..],
        [
            Event::Phase1Up { .. },
            Event::InstallSa(_),
            Event::InstallSa(_),
            Event::EnableOutbound { spi: 0xb75a_d16c, .. }
        ]
    ));
    assert!(script.left().is_empty());
}

#[test]
fn as_initiator() {
    let Some((mut replay, script)) = replay(Role::Initiator) else { return };
    script.push(&bytes(&replay.handshake, "cky_i"));
    script.push(&bytes(&replay.handshake, "x_i"));
    script.push(&replay.raw(6)[20..24]);
    // A nonce has the length of a cookie here, and is drawn after it.
    script.push(&bytes(&replay.handshake, "ni"));
    script.push(&bytes(&replay.handshake["qm"], "ni"));
    replay.endpoint.connect(NOW, ProtectionId(1), RESPONDER).unwrap();
    let mm1 = replay.transmitted();
    assert_eq!(mm1[..16], replay.raw(0)[..16]);
    let mm2 = replay.raw(1);
    replay.deliver(&mm2).unwrap();
    let (mm3, mm4) = (replay.transmitted(), replay.raw(3));
    for kind in [KEY_EXCHANGE, NONCE] {
        assert_eq!(body(&mm3, kind), body(&replay.raw(2), kind));
    }
    replay.deliver(&mm4).unwrap();

    // The recorded keys: nothing that they are made of differs.
    let mut keys = replay.keys(&mm1, &mm3, &mm4);
    assert_eq!(keys.cipher.dangerous_key(), bytes(&replay.handshake, "enc_key"));
    assert_eq!(keys.iv.as_bytes(), bytes(&replay.handshake, "iv1"));
    keys.open(Role::Initiator, &replay.transmitted());
    let mm6 = keys.seal(Role::Responder, &replay.raw(5), &replay.plaintext(5));
    replay.deliver(&mm6).unwrap();
    assert!(matches!(replay.endpoint.poll_event(), Some(Event::Phase1Up { .. })));

    let qm1 = replay.transmitted();
    assert_eq!(message_id(&qm1), message_id(&replay.raw(6)));
    let mut quick = Exchange::new(hash("sha1"), &keys.iv, message_id(&qm1));
    let ours = keys.open_quick(&mut quick, &qm1);
    let all = payloads(HASH, &ours).unwrap();
    let nonce = all.iter().find(|p| p.kind == NONCE).unwrap().body;
    assert_eq!(nonce, bytes(&replay.handshake["qm"], "ni"));
    // The recorded responder narrowed 0.0.0.0/0 to its own networks: a part of what was asked for.
    let qm2 = keys.seal_quick(&mut quick, &replay.raw(7), &replay.plaintext(7));
    assert_eq!(replay.deliver(&qm2), Ok(()));
    let events = core::iter::from_fn(|| replay.endpoint.poll_event());
    let installed = events.filter(|event| matches!(event, Event::InstallSa(_))).count();
    assert_eq!(installed, 2);
    assert!(script.left().is_empty());
}
