//! What a responder says that does not answer MM5 with MM6: strongSwan tells, under the keys of MM5,
//! that it could not read it or did not accept it.

mod insider;
mod pair;

use core::time::Duration;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use dmvpn_isakmp::crypto::{
    EncryptionAlgorithm, EncryptionKey, Exponent, ExponentLength, Group, HashAlgorithm, Iv,
    KeyPair, Provider, SessionKeys, Skeyid,
};
use dmvpn_isakmp::wire::{
    Chain, Cookie, ExchangeType, Flags, Header, Message, MessageId, Notification, NotifyType,
    Payload, PayloadType,
};
use dmvpn_isakmp::{CloseReason, Discard, Event, Trace};

use insider::{KEY, clear};
use pair::Pair;

/// A responder in the place of the pair's hub, that has got MM5.
struct Responder {
    cookies: (Cookie, Cookie),
    keys: SessionKeys,
    key: EncryptionKey,
    last: Iv,
}

impl Responder {
    /// Main mode up to the spoke's MM5, with this pre-shared key.
    fn meet(pair: &mut Pair, pre_shared_key: &[u8]) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let provider = Provider::rustcrypto();
        let prf = provider.hash(HashAlgorithm::SHA1).unwrap();
        let group = provider.group(Group::MODP_768).unwrap();
        let cipher = provider.cipher(EncryptionAlgorithm::TRIPLE_DES_CBC, None).unwrap();
        pair.connect();
        let (_, _, mm1) = pair.take_next().unwrap();
        let mm1 = Message::parse(&mm1).unwrap();
        let cookies = (mm1.header.initiator_cookie, Cookie([9; 8]));
        let offer = mm1.payloads().unwrap().find(PayloadType::SECURITY_ASSOCIATION).unwrap();
        let choice = [offer.payload.clone()];
        let path = pair.path_to(0);
        pair.deliver(0, path, &clear(cookies, ExchangeType::MAIN_MODE, &choice));

        let (_, _, mm3) = pair.take_next().unwrap();
        let mm3 = Message::parse(&mm3).unwrap();
        let body = |payload_type| mm3.payloads().unwrap().find(payload_type).unwrap().body();
        let (g_xi, nonce_i) = (body(PayloadType::KEY_EXCHANGE), body(PayloadType::NONCE));
        let exponent = Exponent::draw(group, ExponentLength::default(), &mut rng);
        let ours = KeyPair::new(group, exponent).unwrap();
        let nonce_r = [7; 20];
        let public = Payload::KeyExchange(ours.public().to_vec().into());
        let answer = [public, Payload::Nonce(nonce_r.to_vec().into())];
        pair.deliver(0, path, &clear(cookies, ExchangeType::MAIN_MODE, &answer));

        let (_, _, mm5) = pair.take_next().unwrap();
        let secret = group.shared_secret(ours.exponent(), g_xi).unwrap();
        let skeyid = Skeyid::pre_shared_key(prf, pre_shared_key, nonce_i, &nonce_r);
        let keys = skeyid.session_keys(&secret, cookies.0.0, cookies.1.0);
        let key = keys.encryption_key(cipher);
        let iv = Iv::phase_1(prf, cipher, g_xi, ours.public());
        let last = key.decrypt(&iv, &mut mm5[Header::LEN..].to_vec()).unwrap();
        Self { cookies, keys, key, last }
    }

    fn says(&self, notify_type: NotifyType) -> Vec<u8> {
        let message_id = 77;
        let mut chain = Chain::new();
        chain.push(&Payload::Notification(Notification::isakmp(
            notify_type,
            self.cookies,
            &[][..],
        )));
        let hash = self.keys.hash_1(message_id, chain.bytes());
        chain.push_front(&Payload::Hash(hash.as_bytes().into()));
        let header = Header {
            message_id: MessageId(message_id),
            flags: Flags::ENCRYPTION,
            ..Header::new(self.cookies.0, self.cookies.1, ExchangeType::INFORMATIONAL)
        };
        let mut message = chain.message(header, chain.padding(8)).unwrap();
        let iv = Iv::phase_2(self.keys.hash_function(), &self.last, message_id);
        self.key.encrypt(&iv, &mut message[Header::LEN..]).unwrap();
        message
    }
}

fn failure(pair: &Pair) -> Option<CloseReason> {
    pair.hosts[0].events.iter().find_map(|event| {
        let Event::Failed { reason, .. } = event else { return None };
        Some(*reason)
    })
}

/// Under other keys it may be anybody's: it is named, and nothing else.
#[test]
fn a_refusal_under_other_keys_is_a_sign_of_another_pre_shared_key() {
    let mut pair = Pair::guide();
    let responder = Responder::meet(&mut pair, b"another");
    let path = pair.path_to(0);
    pair.deliver(0, path, &responder.says(NotifyType::PAYLOAD_MALFORMED));
    assert_eq!(pair.hosts[0].discards, [Discard::OtherKeys]);
    let line = dmvpn_isakmp::cisco::Debug(
        pair.hosts[0]
            .traces
            .iter()
            .find(|record| record.trace == Trace::Discarded(Discard::OtherKeys))
            .unwrap(),
    );
    assert!(
        line.to_string().starts_with(
            "%CRYPTO-4-IKMP_BAD_MESSAGE: IKE message from 172.16.10.1 failed its sanity check or \
             is malformed\n"
        ),
        "{line}"
    );
    assert_eq!(pair.hosts[0].endpoint.phase1().count(), 1, "it goes on trying");
    pair.run_for(Duration::from_secs(100));
    assert_eq!(failure(&pair), Some(CloseReason::AuthenticationFailed));
    assert_eq!(pair.hosts[0].endpoint.poll_timeout(), None);
}

/// Under the same keys it is the peer's, and ends the attempt.
#[test]
fn a_refusal_under_our_keys_is_the_peers() {
    let mut pair = Pair::guide();
    let responder = Responder::meet(&mut pair, KEY);
    let path = pair.path_to(0);
    let refusal = responder.says(NotifyType::AUTHENTICATION_FAILED);
    let mut forged = refusal.clone();
    *forged.last_mut().unwrap() ^= 1;
    pair.deliver(0, path, &forged);
    assert_eq!(pair.hosts[0].discards, [Discard::OtherKeys]);
    let elsewhere = dmvpn_isakmp::Path { remote: ([192, 0, 2, 1], 500).into(), ..path };
    pair.deliver(0, elsewhere, &refusal);
    assert!(matches!(pair.hosts[0].discards[1..], [Discard::WrongPath { .. }]));
    pair.deliver(0, path, &responder.says(NotifyType::INITIAL_CONTACT));
    let nothing = Discard::Notification(NotifyType::INITIAL_CONTACT);
    assert_eq!(pair.hosts[0].discards[2..], [nothing]);
    assert_eq!(failure(&pair), None);

    pair.deliver(0, path, &refusal);
    let refused = CloseReason::PeerRefused(NotifyType::AUTHENTICATION_FAILED);
    assert_eq!(failure(&pair), Some(refused));
    let deleted = |trace: &Trace| {
        let Trace::Phase1Deleted { reason, .. } = trace else { return None };
        Some(*reason)
    };
    let traces = &pair.hosts[0].traces;
    assert_eq!(traces.iter().find_map(|record| deleted(&record.trace)), Some(refused));
    assert_eq!(pair.hosts[0].endpoint.phase1().count(), 0);
    assert_eq!(pair.hosts[0].endpoint.poll_timeout(), None);
}
