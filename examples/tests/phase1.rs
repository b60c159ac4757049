//! `phase1` as its users run it: the guide's scenario, its options, and what goes wrong.

#[allow(dead_code, reason = "each test binary uses its part")]
mod program;

use dmvpn_examples::options::ShowCommand;
use program::{Ended, directory, run, run_unread};
use serde_json::Value;

const PHASE1: &str = env!("CARGO_BIN_EXE_phase1");
const DISSECT: &str = env!("CARGO_BIN_EXE_dissect");
const HUB: &str = include_str!("../configs/hub.ios");
const SPOKE: &str = include_str!("../configs/spoke.ios");

/// What only one of the routers prints, and in which order.
const SPOKE_STORY: &[&str] = &[
    "IPSEC-IFC GRE/Tu0(172.16.1.1/172.16.10.1): Opening a socket with profile DMVPN-IPSEC",
    "NHRP: if_up: Tunnel0 proto 0",
    "New State = IKE_I_MM1",
    "ISAKMP:(0): beginning Main Mode exchange",
    "New State = IKE_I_MM2",
    "ISAKMP:(0):atts are acceptable. Next payload is 0",
    "New State = IKE_I_MM3",
    "New State = IKE_I_MM4",
    "No NAT Found for self or peer",
    "New State = IKE_I_MM5",
    "SA has been authenticated with 172.16.10.1",
    "New State = IKE_I_MM6",
    "New State = IKE_P1_COMPLETE",
    "beginning Quick Mode exchange, M-ID of ",
    "New State = IKE_QM_I_QM1",
    "IPSEC(validate_proposal_request): proposal part #1",
    "Creating IPSec SAs",
    "New State = IKE_QM_PHASE2_COMPLETE",
    "IPSEC(create_sa): sa created,",
    "NHRP: Send Registration Request via Tunnel0 vrf 0, packet size: 108",
    "flags: \"unique nat \", reqid: 65540",
    "NHRP: Receive Registration Reply via Tunnel0 vrf 0, packet size: 128",
    "NHRP: NHS-UP: 10.1.1.254",
];
const HUB_STORY: &[&str] = &[
    "received packet from 172.16.1.1 dport 500 sport 500 Global (N) NEW SA",
    "New State = IKE_R_MM1",
    "ISAKMP:(0):atts are acceptable. Next payload is 0",
    "New State = IKE_R_MM2",
    "New State = IKE_R_MM3",
    "New State = IKE_R_MM4",
    "New State = IKE_R_MM5",
    "processing NOTIFY INITIAL_CONTACT protocol 1",
    "New State = IKE_P1_COMPLETE",
    "New State = IKE_QM_SPI_STARVE",
    "Creating IPSec SAs",
    "New State = IKE_QM_R_QM2",
    "New State = IKE_QM_PHASE2_COMPLETE",
    "NHRP: Receive Registration Request via Tunnel0 vrf 0, packet size: 108",
    "type:Cleartext(1), data:NHRPAUTH",
    "NHRP: Adding Tunnel Endpoints (VPN: 10.1.1.1, NBMA: 172.16.1.1)",
    "NHRP: Tu0: Creating dynamic multicast mapping NBMA: 172.16.1.1",
    "NHRP: Send Registration Reply via Tunnel0 vrf 0, packet size: 128",
];

fn phase1(arguments: &[&str]) -> Ended {
    let ended = run(PHASE1, arguments);
    assert_eq!(ended.status, 0, "{}\n{}", ended.stdout, ended.stderr);
    let summary = ended.stdout.lines().last().unwrap();
    assert!(
        summary.starts_with(
            "phase1: tunnel up, spoke registered, 5 of 5 pings answered, multicast both ways: all \
             of it happened within "
        ),
        "{summary}"
    );
    ended
}

/// The debug lines of one router.
fn debug_of<'a>(stdout: &'a str, prefix: &str) -> Vec<&'a str> {
    stdout.lines().filter_map(|line| line.strip_prefix(prefix)).collect()
}

fn assert_in_order(lines: &[&str], story: &[&str]) {
    let mut rest = lines.iter();
    for wanted in story {
        assert!(
            rest.any(|line| line.contains(wanted)),
            "no `{wanted}` in its place in\n{}",
            lines.join("\n")
        );
    }
}

/// Whether a line is like another, in which `?` stands for one or more of what numbers and times
/// are made of; a short SPI may have blanks before it, as IOS prints it (`0x A259D71`).
fn is_like(line: &str, pattern: &str) -> bool {
    match pattern.split_once('?') {
        None => line == pattern,
        Some((beginning, rest)) => {
            let Some(line) = line.strip_prefix(beginning) else { return false };
            let line = if beginning.ends_with("0x") { line.trim_start() } else { line };
            let value =
                line.find(|c: char| !c.is_ascii_hexdigit() && c != ':').unwrap_or(line.len());
            (1..=value).rev().any(|end| is_like(&line[end..], rest))
        }
    }
}

/// Line for line, white space included.
fn assert_like(text: &str, pattern: &str) {
    let mut lines = text.lines();
    for (number, wanted) in (1..).zip(pattern.lines()) {
        let line = lines.next().unwrap_or("(the end)");
        assert!(
            is_like(line, wanted),
            "line {number} should be\n{wanted}\nand is\n{line}\nin\n{text}"
        );
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn the_guide() {
    let ended = phase1(&[]);
    assert_in_order(&debug_of(&ended.stdout, "Spoke1| "), SPOKE_STORY);
    assert_in_order(&debug_of(&ended.stdout, "   Hub| "), HUB_STORY);
    assert_in_order(
        &ended.stdout.lines().collect::<Vec<_>>(),
        &[
            "Spoke1#show dmvpn detail",
            "Type:Spoke, Total NBMA Peers (v4/v6): 1",
            "Crypto Session Status: UP-ACTIVE",
            "Hub#show dmvpn detail",
            "Type:Hub, Total NBMA Peers (v4/v6): 1",
            "Crypto Session Status: UP-ACTIVE",
        ],
    );
}

/// The lines of a record stay together, however the two threads take turns.
#[test]
fn records_are_printed_whole() {
    let ended = phase1(&["--debug", "both"]);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let mut records = 0;
    for pair in lines.windows(2).filter(|pair| pair[0].ends_with(" ID payload")) {
        assert_eq!(pair[0].split_once('|').unwrap().0, pair[1].split_once('|').unwrap().0);
        assert!(pair[1].ends_with("next-payload : 8"), "{pair:?}");
        records += 1;
    }
    // Each side tells its own and the other's.
    assert_eq!(records, 4);
}

#[test]
fn whose_debug() {
    for (whose, spoke, hub) in
        [("both", true, true), ("spoke", true, false), ("hub", false, true), ("none", false, false)]
    {
        let ended = phase1(&["--debug", whose]);
        assert_eq!(debug_of(&ended.stdout, "Spoke1| ").is_empty(), !spoke, "{whose}");
        assert_eq!(debug_of(&ended.stdout, "   Hub| ").is_empty(), !hub, "{whose}");
    }
}

/// Every command of both routers, in the guide's layout. Counters may grow by what a slow machine
/// repeats.
#[test]
fn shows() {
    let mut arguments = vec!["--debug".to_owned(), "none".to_owned()];
    for side in ["hub", "spoke"] {
        for (_, typed) in ShowCommand::ALL {
            arguments.extend(["--show".to_owned(), format!("{side}:{typed}")]);
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = phase1(&arguments);
    assert_like(&ended.stdout, include_str!("data/shows.txt"));
}

#[test]
fn behind_a_nat() {
    let ended = phase1(&["--nat", "--show", "hub:show dmvpn", "--show", "hub:show ip nhrp"]);
    let spoke = debug_of(&ended.stdout, "Spoke1| ");
    let hub = debug_of(&ended.stdout, "   Hub| ");
    assert_in_order(
        &spoke,
        &["sending packet to 172.16.10.1 my_port 4500 peer_port 4500 (I) MM_KEY_EXCH"],
    );
    assert_in_order(
        &hub,
        &["received packet from 172.16.2.1 dport 4500 sport 20002 Global (R) MM_KEY_EXCH"],
    );
    // The entry of the hub names the address outside, `N` that it is a translated one.
    assert_in_order(
        &ended.stdout.lines().collect::<Vec<_>>(),
        &[
            "Hub#show dmvpn",
            "     1      172.16.2.1        10.1.1.1    UP 00:00:",
            "Hub#show ip nhrp",
            "NBMA address: 172.16.2.1",
        ],
    );
    let entry = ended.stdout.lines().find(|line| line.starts_with("     1      172.16.2.1"));
    assert_eq!(entry.unwrap().split_whitespace().last(), Some("DN"));
}

#[test]
fn over_a_path_that_loses() {
    for seed in ["2", "7", "11"] {
        phase1(&["--debug", "none", "--loss", "10", "--seed", seed]);
    }
}

/// Runs `phase1` with a capture, and the capture through `dissect`.
fn captured(test: &str, arguments: &[&str]) -> Vec<Value> {
    let directory = directory(test);
    let pcap = directory.join("phase1.pcap").into_os_string().into_string().unwrap();
    let keys = directory.join("keys").into_os_string().into_string().unwrap();
    let mut all = vec!["--debug", "none", "--pcap", &pcap, "--keys", &keys];
    all.extend(arguments);
    phase1(&all);
    let dissected = run(DISSECT, &[&pcap, "--keys", &keys]);
    assert_eq!(dissected.status, 0, "{}", dissected.stderr);
    dissected.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How often NHRP packets of a type came, and their one size.
fn nhrp(frames: &[Value], packet_type: u64) -> (usize, u64) {
    let packets = frames.iter().map(|frame| &frame["nhrp"]).filter(|it| it["type"] == packet_type);
    let sizes: Vec<u64> = packets.map(|nhrp| nhrp["pktsz"].as_u64().unwrap()).collect();
    assert!(sizes.windows(2).all(|pair| pair[0] == pair[1]), "{sizes:?}");
    (sizes.len(), sizes[0])
}

/// Main mode, quick mode, registration, pings and multicast are in a capture, opened.
fn assert_whole(frames: &[Value], reply_size: u64) {
    for frame in frames {
        assert_eq!(frame["error"], Value::Null, "{frame}");
        assert_eq!(frame["reencoded_equal"], true, "{frame}");
        if frame["layers"][0] == "isakmp" {
            assert_eq!(frame["isakmp"]["decrypted"], frame["isakmp"]["encrypted"], "{frame}");
        } else {
            assert_eq!(frame["layers"][0], "esp", "no clear text: {frame}");
            assert_eq!(frame["esp"]["icv_ok"], true, "{frame}");
            assert_eq!(frame["layers"][1], "gre", "{frame}");
            assert_eq!(frame["gre"]["key"], 1, "{frame}");
            assert_ne!(frame["nhrp"]["checksum_ok"], false, "{frame}");
        }
    }
    let exchange = |number: u64| {
        frames.iter().filter(move |frame| frame["isakmp"]["exchange"] == number).count()
    };
    assert!(exchange(2) >= 6, "main mode");
    assert!(exchange(32) >= 3, "quick mode");
    let (requests, size) = nhrp(frames, 3);
    assert!(requests >= 1 && size == 108, "{requests} requests of {size}");
    let (replies, size) = nhrp(frames, 4);
    assert!(replies >= 1 && size == reply_size, "{replies} replies of {size}");
    let carried = frames.iter().filter(|frame| frame["gre"]["protocol"] == 0x0800).count();
    // Five pings and their answers, a hello each way.
    assert!(carried >= 12, "{carried}");
}

#[test]
fn capture_and_keys() {
    assert_whole(&captured("capture_and_keys", &[]), 128);
}

/// The hub appends to its reply an entry of 20 octets with the address that it sees.
#[test]
fn capture_behind_a_nat() {
    let frames = captured("capture_behind_a_nat", &["--nat"]);
    assert_whole(&frames, 148);
}

/// Runs `phase1` with both configurations changed in the same way.
fn with_configuration(test: &str, change: impl Fn(&str) -> String) -> Vec<Value> {
    let directory = directory(&format!("{test}_configuration"));
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, change(text)).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let (hub, spoke) = (write("hub.ios", HUB), write("spoke.ios", SPOKE));
    captured(test, &["--config-hub", &hub, "--config-spoke", &spoke])
}

#[test]
fn tunnel_mode() {
    let frames = with_configuration("tunnel_mode", |guide| {
        let changed = guide.replace("mode transport", "mode tunnel");
        assert_ne!(changed, guide);
        changed
    });
    // Inside ESP an IPv4 packet, and GRE in that.
    let esp: Vec<&Value> = frames.iter().filter(|frame| !frame["esp"].is_null()).collect();
    assert!(!esp.is_empty());
    for frame in esp {
        assert_eq!(frame["esp"]["next_header"], 4, "{frame}");
        assert_eq!(frame["esp"]["icv_ok"], true, "{frame}");
    }
    assert_eq!(nhrp(&frames, 3).1, 108);
}

#[test]
fn strong_configurations() {
    for (name, transform_set, policy) in [
        ("gcm", "esp-gcm 256", "encr aes 256\n hash sha256\n group 14"),
        ("cbc", "esp-aes 256 esp-sha256-hmac", "encr aes\n hash sha512\n group 19"),
    ] {
        let frames = with_configuration(name, |guide| {
            let changed = guide
                .replace("esp-3des esp-sha-hmac", transform_set)
                .replace("encr 3des\n hash sha", policy);
            assert!(!changed.contains("3des"));
            changed
        });
        assert_whole(&frames, 128);
    }
}

/// Runs `phase1` with another configuration for the spoke.
fn with_spoke(test: &str, from: &str, to: &str) -> Ended {
    let changed = SPOKE.replace(from, to);
    assert_ne!(changed, SPOKE);
    let path = directory(test).join("spoke.ios");
    std::fs::write(&path, changed).unwrap();
    run(PHASE1, &["--debug", "none", "--config-spoke", path.to_str().unwrap()])
}

#[test]
fn a_wrong_line_is_named() {
    let ended = with_spoke("a_wrong_line_is_named", " hash sha", " hash shake256");
    assert_eq!(ended.status, 2);
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    let wanted = "spoke.ios: line 3: unknown word `shake256` after `hash`";
    assert!(ended.stderr.contains(wanted), "{}", ended.stderr);

    let ended = with_spoke("a_line_from_elsewhere", "router eigrp 1", "router ospf 1");
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.contains("`ospf`"), "{}", ended.stderr);
}

#[test]
fn what_cannot_start_says_so() {
    for (arguments, wanted) in [
        (&["--config-hub", "no/such/file.ios"][..], "no/such/file.ios: "),
        (&["--debug", "all"], "`--debug` takes hub, spoke, both or none, not `all`"),
        (&["--show", "hub:show version"], "`--show` takes hub: or spoke:"),
        (&["--pcap", "no/such/directory/a.pcap"], "no/such/directory/a.pcap: "),
        (&["--phase2"], "unknown option `--phase2`"),
    ] {
        let ended = run(PHASE1, arguments);
        assert_eq!(ended.status, 2, "{arguments:?}");
        assert!(ended.stderr.contains(wanted), "{}", ended.stderr);
        assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    }
    let ended = with_spoke("no_route", "interface Loopback", "interface Ethernet1/");
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.contains("the spoke has no loopback to ping from"), "{}", ended.stderr);
}

/// As with `| head`: whoever reads has seen enough, and what happened is told by the status.
#[test]
fn nobody_reads() {
    for arguments in [&["--debug", "both"][..], &["--debug", "none"], &["--help"]] {
        let ended = run_unread(PHASE1, arguments);
        assert_eq!((ended.status, &ended.stderr[..]), (0, ""), "{arguments:?}");
    }
}

/// It gives up, and says what did not happen.
#[test]
fn a_wrong_key_fails_in_time() {
    let ended = with_spoke("a_wrong_key_fails_in_time", "key cisco123", "key cisco124");
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    assert_in_order(
        &ended.stdout.lines().collect::<Vec<_>>(),
        &[
            "Spoke1#show dmvpn detail",
            "Crypto Session Status: DOWN",
            "Hub#show dmvpn detail",
            "phase1: FAILED after ",
        ],
    );
    let summary = ended.stdout.lines().find(|line| line.starts_with("phase1: FAILED")).unwrap();
    for what in [
        "the spoke's tunnel is not up",
        "the spoke is not registered with the hub",
        "0 of 5 pings answered",
        "no multicast reached the hub",
        "no multicast reached the spoke",
    ] {
        assert!(summary.contains(what), "{summary}");
    }
}

/// A wrong NHRP authentication: the tunnel is up, but nobody is registered.
#[test]
fn a_wrong_authentication_leaves_the_tunnel_up() {
    let ended = with_spoke("a_wrong_authentication", "NHRPAUTH", "OTHER");
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    let summary = ended.stdout.lines().find(|line| line.starts_with("phase1: FAILED")).unwrap();
    assert!(!summary.contains("the spoke's tunnel is not up"), "{summary}");
    assert!(summary.contains("the spoke is not registered with the hub"), "{summary}");
}
