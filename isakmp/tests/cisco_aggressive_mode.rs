//! `debug crypto isakmp` of aggressive mode, both sides: packets and states.
//!
//! The guide has no aggressive mode. The words are those that routers print for it in public; of the
//! order of the lines nothing better is known than that it is main mode's.

mod pair;

use core::time::Duration;

use dmvpn_isakmp::cisco::Debug;
use dmvpn_isakmp::crypto::Group;
use dmvpn_isakmp::{AggressiveAnswer, AggressiveMode, AggressivePeer, Discard};
use pair::{HUB, Pair, guide_config, ip};

/// What a host printed about packets, states and modes, until quick mode.
fn lines(pair: &Pair, host: usize) -> Vec<String> {
    let text = pair.hosts[host].traces.iter().map(|traced| Debug(traced).to_string());
    let lines = text.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    let shown = |line: &String| {
        ["State", "Input", " packet ", "Aggressive", "Send initial", "authenticated"]
            .iter()
            .any(|word| line.contains(word))
    };
    lines.filter(shown).take_while(|line| !line.contains("QM_IDLE")).collect()
}

fn between(spoke: AggressiveMode, hub: AggressiveMode) -> Pair {
    let config = |mode| guide_config().aggressive_mode(mode).build().unwrap();
    let mut pair = Pair::new(config(spoke), config(hub));
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_millis(50));
    pair
}

fn initiate() -> AggressiveMode {
    let peer = AggressivePeer::new(ip(HUB), Group::MODP_768);
    AggressiveMode { initiate: vec![peer], ..AggressiveMode::default() }
}

#[test]
fn packets_and_states_of_both_sides() {
    let answer = AggressiveAnswer::Anybody;
    let pair = between(initiate(), AggressiveMode { answer, ..AggressiveMode::default() });
    let spoke = [
        "ISAKMP:(0):Input = IKE_MESG_FROM_IPSEC, IKE_SA_REQ_AM",
        "ISAKMP:(0):Old State = IKE_READY  New State = IKE_I_AM1",
        "ISAKMP:(0): beginning Aggressive Mode exchange",
        "ISAKMP:(0): sending packet to 172.16.10.1 my_port 500 peer_port 500 (I) AG_INIT_EXCH",
        "ISAKMP (0): received packet from 172.16.10.1 dport 500 sport 500 Global (I) AG_INIT_EXCH",
        "ISAKMP:(0):Input = IKE_MESG_FROM_PEER, IKE_AM_EXCH",
        "ISAKMP:(0):Old State = IKE_I_AM1  New State = IKE_I_AM2",
        "ISAKMP:(1002):SA authentication status: authenticated",
        "ISAKMP:(1002):SA has been authenticated with 172.16.10.1",
        "ISAKMP:(1002):Send initial contact",
        "ISAKMP:(1002): sending packet to 172.16.10.1 my_port 500 peer_port 500 (I) AG_INIT_EXCH",
        "ISAKMP:(1002):Input = IKE_MESG_INTERNAL, IKE_PROCESS_COMPLETE",
        "ISAKMP:(1002):Old State = IKE_I_AM2  New State = IKE_P1_COMPLETE",
        "ISAKMP:(1002):Input = IKE_MESG_INTERNAL, IKE_PHASE1_COMPLETE",
        "ISAKMP:(1002):Old State = IKE_P1_COMPLETE  New State = IKE_P1_COMPLETE",
    ];
    assert_eq!(lines(&pair, 0), spoke);
    let hub = [
        "ISAKMP (0): received packet from 172.16.1.1 dport 500 sport 500 Global (N) NEW SA",
        "ISAKMP:(1002):Input = IKE_MESG_FROM_PEER, IKE_AM_EXCH",
        "ISAKMP:(1002):Old State = IKE_READY  New State = IKE_R_AM1",
        "ISAKMP:(1002): sending packet to 172.16.1.1 my_port 500 peer_port 500 (R) AG_INIT_EXCH",
        "ISAKMP:(1002):Input = IKE_MESG_INTERNAL, IKE_PROCESS_COMPLETE",
        "ISAKMP:(1002):Old State = IKE_R_AM1  New State = IKE_R_AM2",
        "ISAKMP (1002): received packet from 172.16.1.1 dport 500 sport 500 Global (R) AG_INIT_EXCH",
        "ISAKMP:(1002):SA authentication status: authenticated",
        "ISAKMP:(1002):SA has been authenticated with 172.16.1.1",
        "ISAKMP:(1002):SA authentication status: authenticated",
        "ISAKMP:(1002):Input = IKE_MESG_FROM_PEER, IKE_AM_EXCH",
        "ISAKMP:(1002):Old State = IKE_R_AM2  New State = IKE_P1_COMPLETE",
        "ISAKMP:(1002):Input = IKE_MESG_INTERNAL, IKE_PHASE1_COMPLETE",
        "ISAKMP:(1002):Old State = IKE_P1_COMPLETE  New State = IKE_P1_COMPLETE",
    ];
    assert_eq!(lines(&pair, 1), hub);
}

#[test]
fn a_router_that_has_it_disabled() {
    let pair = between(initiate(), AggressiveMode::default());
    assert_eq!(pair.hosts[1].discards, [Discard::AggressiveModeRefused]);
    assert_eq!(
        lines(&pair, 1),
        [
            "ISAKMP (0): received packet from 172.16.1.1 dport 500 sport 500 Global (N) NEW SA",
            "ISAKMP:(0):Unable to initiate or respond to Aggressive Mode while disabled",
        ]
    );
}
