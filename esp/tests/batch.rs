//! A batch equals the loop.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use dmvpn_esp::crypto::RustCrypto;
use dmvpn_esp::{
    Counters, InboundSa, Lifetime, Mode, NextHeader, OpenError, OpenJob, Opened, OutboundSa,
    SaConfig, SealJob, Spi, Transform, Volume, open_batch, seal_batch,
};
use proptest::prelude::*;
use support::{Counting, keymat, transforms};

struct Ends {
    out: Vec<OutboundSa>,
    inside: Vec<InboundSa>,
}

/// Three SAs of different transforms, the last of which is short-lived.
fn ends(transforms: &[Transform], extended: bool) -> Ends {
    let mut ends = Ends { out: Vec::new(), inside: Vec::new() };
    for (spi, transform) in (0x100..).map(Spi).zip(transforms) {
        let most = Volume { bytes: None, packets: (spi == Spi(0x102)).then_some(3) };
        let config = SaConfig::new(spi, *transform, Mode::Transport)
            .extended_sequence(extended)
            .lifetime(Lifetime { soft: Volume::default(), hard: most });
        ends.out.push(OutboundSa::new(&RustCrypto, &config, &keymat(*transform)).unwrap());
        let config = config.lifetime(Lifetime::default());
        ends.inside.push(InboundSa::new(&RustCrypto, &config, &keymat(*transform)).unwrap());
    }
    ends
}

const FRONT: usize = 40;
const BEHIND: usize = 64;

fn buffer(payload: &[u8]) -> Vec<u8> {
    [&[0xee; FRONT][..], payload, &[0xee; BEHIND]].concat()
}

fn seal_one_by_one(sas: &mut [OutboundSa], work: &[(usize, Vec<u8>)]) -> Vec<Option<Vec<u8>>> {
    let mut rng = Counting::default();
    work.iter()
        .map(|(sa, payload)| {
            let mut buffer = buffer(payload);
            let range = FRONT..FRONT + payload.len();
            let packet = sas[*sa].seal(&mut rng, NextHeader::GRE, &mut buffer, range).ok()?;
            Some(buffer[packet].to_vec())
        })
        .collect()
}

fn seal_together(sas: &mut [OutboundSa], work: &[(usize, Vec<u8>)]) -> Vec<Option<Vec<u8>>> {
    let mut rng = Counting::default();
    let sequences: Vec<_> =
        work.iter().map(|(sa, payload)| sas[*sa].reserve(payload.len()).ok()).collect();
    let mut buffers: Vec<_> = work.iter().map(|(_, payload)| buffer(payload)).collect();
    let mut jobs = Vec::new();
    let mut places = Vec::new();
    for (place, (((sa, payload), sequence), buffer)) in
        work.iter().zip(sequences).zip(&mut buffers).enumerate()
    {
        let Some(sequence) = sequence else { continue };
        let key = sas[*sa].key();
        let iv = key.draw_iv(&mut rng);
        let range = FRONT..FRONT + payload.len();
        jobs.push(SealJob::new(key, sequence, iv, NextHeader::GRE, buffer, range).unwrap());
        places.push(place);
    }
    seal_batch(&mut jobs);
    let packets: Vec<_> = jobs.iter().map(|job| job.packet().unwrap()).collect();
    let mut sealed = vec![None; work.len()];
    for (place, packet) in places.into_iter().zip(packets) {
        sealed[place] = Some(buffers[place][packet].to_vec());
    }
    sealed
}

type Outcome = Result<(Opened, Vec<u8>), OpenError>;

fn outcome(opened: Result<Opened, OpenError>, buffer: &[u8]) -> Outcome {
    opened.map(|opened| {
        let payload = match &opened {
            Opened::Payload(payload) => buffer[payload.range.clone()].to_vec(),
            Opened::Dummy => Vec::new(),
        };
        (opened, payload)
    })
}

fn open_one_by_one(sas: &mut [InboundSa], packets: &[(usize, Vec<u8>)]) -> Vec<Outcome> {
    packets
        .iter()
        .map(|(sa, packet)| {
            let mut buffer = packet.clone();
            outcome(sas[*sa].open(&mut buffer, 0..packet.len()), &buffer)
        })
        .collect()
}

fn open_together(sas: &mut [InboundSa], packets: &[(usize, Vec<u8>)]) -> Vec<Outcome> {
    let mut buffers: Vec<_> = packets.iter().map(|(_, packet)| packet.clone()).collect();
    let candidates: Vec<_> =
        packets.iter().map(|(sa, packet)| sas[*sa].check(packet, 0..packet.len())).collect();
    let mut outcomes: Vec<Option<Outcome>> = Vec::new();
    let mut jobs = Vec::new();
    for (((sa, _), candidate), buffer) in packets.iter().zip(candidates).zip(&mut buffers) {
        match candidate {
            Ok(candidate) => {
                outcomes.push(None);
                jobs.push(OpenJob::new(sas[*sa].key(), candidate, buffer));
            }
            Err(error) => outcomes.push(Some(Err(error))),
        }
    }
    open_batch(&mut jobs);
    let mut verified = jobs.into_iter().map(OpenJob::finish).collect::<Vec<_>>().into_iter();
    for (place, found) in outcomes.iter_mut().enumerate() {
        if found.is_none() {
            let opened = sas[packets[place].0].commit(verified.next().unwrap());
            *found = Some(outcome(opened, &buffers[place]));
        }
    }
    outcomes.into_iter().flatten().collect()
}

/// Which refusal a packet meets may differ where the window moved within the batch; that it is
/// refused may not.
fn refused(counters: Counters) -> u64 {
    counters.replay_failed_receive + counters.verify_failed + counters.invalid_length_receive
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn sealing(
        transforms in proptest::sample::subsequence(transforms(), 3), extended: bool,
        work in proptest::collection::vec(
            (0usize..3, proptest::collection::vec(any::<u8>(), 0..60)), 0..24
        ),
    ) {
        let (mut one, mut two) = (ends(&transforms, extended), ends(&transforms, extended));
        let sealed = seal_one_by_one(&mut one.out, &work);
        prop_assert_eq!(&seal_together(&mut two.out, &work), &sealed);
        for (one, two) in one.out.iter().zip(&two.out) {
            prop_assert_eq!(one.counters(), two.counters());
            prop_assert_eq!((one.last_sequence(), one.bytes()), (two.last_sequence(), two.bytes()));
        }
        prop_assert!(sealed.iter().flatten().count() <= work.len());
    }

    /// With duplicates, reordering and forgeries among them.
    #[test]
    fn opening(
        transforms in proptest::sample::subsequence(transforms(), 3), extended: bool,
        sent in proptest::collection::vec((0usize..3, any::<[u8; 9]>()), 1..120),
        order in proptest::collection::vec((any::<proptest::sample::Index>(), 0u8..12), 1..160),
    ) {
        let mut senders = ends(&transforms, extended);
        let sent: Vec<_> = sent.into_iter().map(|(sa, payload)| (sa, payload.to_vec())).collect();
        let sealed = seal_one_by_one(&mut senders.out, &sent);
        let sealed: Vec<_> = sent
            .iter()
            .zip(sealed)
            .filter_map(|((sa, _), packet)| Some((*sa, packet?)))
            .collect();
        prop_assume!(!sealed.is_empty());
        let arriving: Vec<_> = order
            .iter()
            .map(|(index, forged)| {
                let (sa, mut packet) = index.get(&sealed).clone();
                if *forged == 0 {
                    *packet.last_mut().unwrap() ^= 1;
                }
                (sa, packet)
            })
            .collect();
        let (mut one, mut two) = (ends(&transforms, extended), ends(&transforms, extended));
        let alone = open_one_by_one(&mut one.inside, &arriving);
        let together = open_together(&mut two.inside, &arriving);
        prop_assert_eq!(alone.len(), together.len());
        for (alone, together) in alone.iter().zip(&together) {
            prop_assert_eq!(alone.as_ref().ok(), together.as_ref().ok());
        }
        for (one, two) in one.inside.iter().zip(&two.inside) {
            prop_assert_eq!(one.highest_sequence(), two.highest_sequence());
            prop_assert_eq!(one.bytes(), two.bytes());
            prop_assert_eq!(one.counters().decaps, two.counters().decaps);
            prop_assert_eq!(refused(one.counters()), refused(two.counters()));
        }
    }
}

#[test]
fn the_second_of_two_copies_in_a_batch_is_refused() {
    let transforms = [Transform::ESP_3DES_SHA; 3];
    let Ends { mut out, mut inside } = ends(&transforms, false);
    let sealed = seal_one_by_one(&mut out, &[(0, b"once".to_vec())]);
    let packet = sealed[0].clone().unwrap();
    let outcomes = open_together(&mut inside, &[(0, packet.clone()), (0, packet)]);
    assert!(outcomes[0].is_ok());
    assert_eq!(outcomes[1], Err(OpenError::Replayed { sequence: 1 }));
}

/// More packets than are encrypted beside each other, of ciphers that gain from it and of others, in turns; the third
/// SA's lifetime ends on the way.
#[test]
fn many_packets_of_several_ciphers() {
    let transforms = [Transform::ESP_3DES_SHA, Transform::ESP_GCM_256, Transform::ESP_3DES_SHA];
    let work: Vec<(usize, Vec<u8>)> =
        (0..700).map(|n| (n * 7 % 3, vec![n as u8; n * 13 % 300])).collect();
    let (mut one, mut two) = (ends(&transforms, false), ends(&transforms, false));
    let sealed = seal_one_by_one(&mut one.out, &work);
    assert_eq!(seal_together(&mut two.out, &work), sealed);
    assert_eq!(sealed.iter().flatten().count(), 2 * 700 / 3 + 1 + 3);
}
