//! The dissector against captures of other implementations, and against damage.

use std::path::{Path, PathBuf};

use dmvpn_examples::capture::{Frames, PcapWriter};
use dmvpn_examples::dissect::Dissector;
use dmvpn_examples::keys::Keys;
use dmvpn_isakmp::crypto::{HashAlgorithm, Provider};
use proptest::prelude::*;
use serde_json::{Value, json};

fn objects(file: &[u8], keys: Keys) -> Vec<Value> {
    let mut dissector = Dissector::new(keys).unwrap();
    let frames = Frames::new(file).unwrap().map(Result::unwrap);
    frames.filter_map(|frame| dissector.frame(&frame)).collect()
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What stands under a name in each object that has it.
fn under<'a>(objects: &'a [Value], name: &'a str) -> Vec<&'a Value> {
    objects.iter().filter_map(|object| object.get(name)).collect()
}

/// The sections of a recorded scenario, each with its heading and its `key = value` lines.
struct Recorded<'a>(Vec<(&'a str, Vec<(&'a str, &'a str)>)>);

impl<'a> Recorded<'a> {
    fn read(text: &'a str) -> Self {
        let mut sections = Vec::new();
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix('[') {
                sections.push((heading.trim_end_matches(']'), Vec::new()));
            } else if let Some((key, value)) = line.split_once(" = ") {
                let (_, lines) = sections.last_mut().expect("a heading first");
                lines.push((key, value.trim()));
            } else if let Some(key) = line.strip_suffix(" =") {
                sections.last_mut().expect("a heading first").1.push((key, ""));
            }
        }
        Self(sections)
    }

    fn sections(&self, kind: &str) -> Vec<Section<'a, '_>> {
        let sections = self.0.iter().filter(|(heading, _)| heading.starts_with(kind));
        sections.map(|(_, lines)| Section(lines)).collect()
    }

    /// The recorded keys as Wireshark's tables.
    fn keys(&self) -> Keys {
        let isakmp = self
            .sections("ike_sa")
            .into_iter()
            .filter_map(|sa| Some(format!("{},{}\n", sa.get("cky_i")?, sa.get("encryption_key")?)));
        let mut esp = String::new();
        for child in self.sections("child_sa") {
            for way in ["initiator_to_responder", "responder_to_initiator"] {
                let get = |field: &str| child.get(&format!("{way}.{field}")).unwrap();
                let cipher = match child.get("transform").unwrap() {
                    "3" => "TripleDES-CBC [RFC2451]",
                    "12" => "AES-CBC [RFC3602]",
                    "20" => "AES-GCM with 16 octet ICV [RFC4106]",
                    other => panic!("transform {other}"),
                };
                let mac = match get("integrity").len() / 2 {
                    0 => "NULL",
                    16 => "HMAC-MD5-96 [RFC2403]",
                    20 => "HMAC-SHA-1-96 [RFC2404]",
                    32 => "HMAC-SHA-256-128 [RFC4868]",
                    other => panic!("integrity key of {other}"),
                };
                let mac_key = match get("integrity") {
                    "" => String::new(),
                    key => format!("0x{key}"),
                };
                let (spi, key) = (get("spi"), get("encryption"));
                esp += &format!("IPv4,*,*,0x{spi},{cipher},0x{key},{mac},{mac_key}\n");
            }
        }
        Keys::parse(&isakmp.collect::<String>(), &esp).unwrap()
    }
}

#[derive(Clone, Copy)]
struct Section<'a, 's>(&'s [(&'a str, &'a str)]);

impl<'a> Section<'a, '_> {
    fn get(self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
    }
}

fn payload_type(name: &str) -> u8 {
    match name {
        "SA" => 1,
        "KE" => 4,
        "ID" => 5,
        "HASH" => 8,
        "NONCE" => 10,
        "N" => 11,
        "D" => 12,
        "VID" => 13,
        "NAT-D" => 20,
        "NAT-OA" => 21,
        other => panic!("payload {other}"),
    }
}

/// Each message of each scenario that strongSwan 5.9.8 recorded: opened where the recorder could
/// open it, with the payloads and the hash that it found, and each ESP packet.
#[test]
fn recorded_scenarios_open_to_what_was_recorded() {
    let mut opened = [0; 2];
    let mut scenarios = 0;
    for entry in std::fs::read_dir(here("tests/data/charon")).unwrap() {
        let pcap = entry.unwrap().path();
        let name = pcap.file_stem().unwrap().to_str().unwrap().to_owned();
        let kat = here(&format!("../isakmp/tests/data/charon/{name}.kat"));
        let text = std::fs::read_to_string(kat).unwrap();
        let recorded = Recorded::read(&text);
        let objects = objects(&std::fs::read(&pcap).unwrap(), recorded.keys());

        let messages = recorded.sections("message");
        let reported: Vec<_> =
            messages.iter().filter(|message| message.get("kind") != Some("keepalive")).collect();
        assert_eq!(objects.len(), reported.len(), "{name}");
        for (object, message) in objects.iter().zip(&reported) {
            let at = format!("{name}, frame {}", object["frame"]);
            if message.get("kind") == Some("esp") {
                assert_eq!(object["esp"]["icv_ok"], true, "{at}");
                assert_eq!(object["esp"]["sequence"].to_string(), message.get("esp.seq").unwrap());
                let next_header = object["esp"]["next_header"].to_string();
                assert_eq!(next_header, message.get("esp.next_header").unwrap(), "{at}");
                assert_eq!(object["reencoded_equal"], true, "{at}");
                opened[1] += 1;
                continue;
            }
            // The last piece of a message brings the whole one with it.
            let isakmp = &object["isakmp"];
            let isakmp = isakmp.as_array().and_then(|layers| layers.last()).unwrap_or(isakmp);
            assert_eq!(isakmp["initiator_cookie"], message.get("cky_i").unwrap(), "{at}");
            if let Some(names) = message.get("payloads") {
                let expected: Vec<_> = names.split_whitespace().map(payload_type).collect();
                let payloads = isakmp["payloads"].as_array().unwrap();
                let types: Vec<_> = payloads.iter().map(|payload| &payload["type"]).collect();
                assert_eq!(json!(types), json!(expected), "{at}");
                assert_eq!(isakmp["decrypted"], message.get("plaintext").is_some(), "{at}");
                if let Some(hash) = message.get("hash") {
                    let found = payloads.iter().find(|payload| payload["type"] == 8).unwrap();
                    assert_eq!(found["data"], hash, "{at}");
                    opened[0] += 1;
                }
            }
            let original = message.get("retransmit_of").map(|index| {
                reported.iter().find(|other| other.0 == messages[index.parse::<usize>().unwrap()].0)
            });
            let original = original.flatten().unwrap_or(message);
            let undecryptable = original.get("undecryptable").is_some();
            assert_eq!(object.get("error").is_some(), undecryptable, "{at}: {object}");
            assert_eq!(object["reencoded_equal"], !undecryptable, "{at}");
        }
        scenarios += 1;
    }
    assert_eq!(scenarios, 21);
    // Hashes and ESP packets compared: neither loop was empty.
    assert_eq!(opened, [158, 24]);
}

#[test]
fn without_keys_nothing_is_opened() {
    let file = std::fs::read(here("tests/data/charon/data-3des-sha1.pcap")).unwrap();
    let objects = objects(&file, Keys::default());
    assert_eq!(objects.len(), 23);
    let encrypted: Vec<_> =
        under(&objects, "isakmp").into_iter().filter(|i| i["encrypted"] == true).collect();
    assert_eq!(encrypted.len(), 7);
    for isakmp in encrypted {
        assert_eq!((&isakmp["decrypted"], &isakmp["payloads"]), (&json!(false), &json!([])));
    }
    for esp in under(&objects, "esp") {
        assert_eq!((&esp["icv_ok"], &esp["next_header"]), (&Value::Null, &Value::Null));
    }
    assert!(objects.iter().all(|object| object["reencoded_equal"] == true));
}

#[test]
fn a_wrong_key_is_an_error_with_its_place() {
    let name = "data-3des-sha1";
    let file = std::fs::read(here(&format!("tests/data/charon/{name}.pcap"))).unwrap();
    let kat = here(&format!("../isakmp/tests/data/charon/{name}.kat"));
    let text = std::fs::read_to_string(kat).unwrap();
    let mut keys = Recorded::read(&text).keys();
    keys.isakmp[0].key[0] ^= 0xf0;
    keys.esp[0].authentication_key[0] ^= 1;
    let objects = objects(&file, keys);
    let first = objects.iter().find(|object| object["isakmp"]["encrypted"] == true).unwrap();
    assert_eq!(first["error"]["layer"], "isakmp");
    assert_eq!(first["error"]["offset"], 28);
    let first = objects.iter().find(|object| object["esp"]["icv_ok"] == false).unwrap();
    // 24 octets of header and IV short of the end come 12 of ICV.
    assert_eq!(
        first["error"],
        json!({ "layer": "esp", "offset": 48, "what": "integrity check of sa 0x40F8AC4B failed" })
    );
    assert_eq!(first["reencoded_equal"], false);

    let mut keys = Recorded::read(&text).keys();
    keys.esp[0].encryption_key.pop();
    let unusable = Dissector::new(keys).unwrap_err();
    assert_eq!(
        unusable.to_string(),
        "esp_sa: spi 0x40f8ac4b: encryption key of 23 octets where 24 are needed"
    );
}

/// The seed's messages, rebuilt from its debug output.
#[test]
fn seeds_packets() {
    let file = std::fs::read(here("tests/data/seed_reconstructed.pcap")).unwrap();
    let objects = objects(&file, Keys::default());
    assert_eq!(objects.len(), 6);
    assert!(objects.iter().all(|object| object["reencoded_equal"] == true));

    let main_mode = under(&objects, "isakmp");
    let lengths: Vec<_> = main_mode.iter().map(|isakmp| &isakmp["length"]).collect();
    assert_eq!(json!(lengths), json!([164, 104]));
    let transform = &main_mode[1]["payloads"][0]["proposals"][0]["transforms"][0];
    // 3DES, SHA, group 1, pre-shared key, 86400 seconds as four octets.
    let attributes = [
        (1, json!(5)),
        (2, json!(2)),
        (4, json!(1)),
        (3, json!(1)),
        (11, json!(1)),
        (12, json!("00015180")),
    ];
    let attributes = attributes.map(|(t, value)| json!({ "type": t, "value": value }));
    assert_eq!(transform["attributes"], json!(attributes));
    assert_eq!(main_mode[1]["payloads"][1]["vendor"], "NatTraversal");

    let request = &objects[2];
    assert_eq!(request["layers"], json!(["gre", "nhrp"]));
    assert_eq!(
        request["gre"],
        json!({ "version": 0, "protocol": 0x2001, "key": 1, "sequence": null, "checksum_ok": null })
    );
    let bare = json!({ "code": 0, "prefix": 32, "mtu": 17912, "holding_time": 7200, "nbma": null, "protocol": null, "preference": 0, "unused": 0 });
    let hub = |holding_time| json!({ "code": 0, "prefix": 32, "mtu": 17912, "holding_time": holding_time, "nbma": "172.16.10.1", "protocol": "10.1.1.254", "preference": 0, "unused": 0 });
    let expected = |kind: u8, size: u16, checksum: u16, responder: Value| {
        json!({
            "address_family": 1, "protocol_type": 0x0800, "snap": "0000000000",
            "type": kind, "hop": 255, "pktsz": size, "checksum": checksum, "checksum_ok": true,
            "extoff": 52, "version": 1, "src_nbma_type_length": 4,
            "src_subaddress_type_length": 0, "flags": 0x8002, "request_id": 65540,
            "src_nbma": "172.16.1.1", "src_protocol": "10.1.1.1", "dst_protocol": "10.1.1.254",
            "cies": [bare],
            "extensions": [
                responder,
                { "type": 4, "compulsory": true, "length": 0, "cies": [] },
                { "type": 5, "compulsory": true, "length": 0, "cies": [] },
                { "type": 7, "compulsory": true, "length": 12, "reserved": 0, "auth_type": 1, "auth_data": "NHRPAUTH" },
                { "type": 9, "compulsory": false, "length": 20, "cies": [hub(0)] },
                { "type": 0, "compulsory": true, "length": 0 },
            ],
        })
    };
    let empty = json!({ "type": 3, "compulsory": true, "length": 0, "cies": [] });
    let responder = json!({ "type": 3, "compulsory": true, "length": 20, "cies": [hub(7200)] });
    assert_eq!(request["nhrp"], expected(3, 108, 0x8067, empty));
    assert_eq!(objects[3]["nhrp"], expected(4, 128, 0x53f5, responder));
    assert_eq!(under(&objects, "nhrp")[2]["request_id"], 65541);
}

/// The guide's topology between two Linux peers (strongSwan 6.0.1, FRR 10.7.1, kernel 6.1), once
/// plainly and once with a NAT before the spoke: what a spoke and a hub of this suite do, too.
#[test]
fn linux_peers() {
    for (name, reply, layers) in [("linux", 128, [36, 2, 11]), ("linux-nat", 148, [43, 2, 11])] {
        let directory = here(&format!("tests/data/{name}"));
        let file = std::fs::read(directory.join("wire.pcap")).unwrap();
        let objects = objects(&file, Keys::read(&directory).unwrap());
        let with = |layers: &[&str]| {
            objects.iter().filter(|object| object["layers"] == json!(layers)).count()
        };
        let found = [with(&["esp", "gre"]), with(&["esp", "gre", "nhrp"]), with(&["isakmp"])];
        assert_eq!(found, layers, "{name}");
        assert_eq!(objects.len(), layers.iter().sum::<usize>(), "{name}");

        for isakmp in under(&objects, "isakmp") {
            assert_eq!(isakmp["decrypted"], isakmp["encrypted"], "{name}");
        }
        for esp in under(&objects, "esp") {
            assert_eq!((&esp["icv_ok"], &esp["next_header"]), (&json!(true), &json!(47)));
        }
        for gre in under(&objects, "gre") {
            assert_eq!(gre["key"], 1, "{name}");
        }
        let registration = under(&objects, "nhrp");
        let sizes: Vec<_> = registration.iter().map(|nhrp| &nhrp["pktsz"]).collect();
        assert_eq!(json!(sizes), json!([108, reply]), "{name}");
        assert!(objects.iter().all(|object| object["reencoded_equal"] == true), "{name}");
    }
}

/// What is around, between and inside of the four protocols, as tshark 4.0.17 reads it, too.
#[test]
fn headers_of_other_protocols() {
    let directory = here("tests/data/linux");
    let file = std::fs::read(directory.join("wire.pcap")).unwrap();
    let objects = objects(&file, Keys::read(&directory).unwrap());
    let frame = |number: u64| objects.iter().find(|object| object["frame"] == number).unwrap();
    let hello = frame(14);
    let ip =
        |id: u16, length: u16, ttl: u8, protocol: u8, traffic_class: u8, dont_fragment: bool| {
            json!({
                "version": 4, "header_length": 20, "traffic_class": traffic_class, "length": length,
                "id": id, "dont_fragment": dont_fragment, "more_fragments": false,
                "fragment_offset": 0, "ttl": ttl, "protocol": protocol, "checksum_ok": true,
                "source": "172.16.1.1", "destination": "172.16.10.1",
            })
        };
    let mut inner = ip(56641, 60, 1, 88, 0xc0, false);
    inner["source"] = "10.1.1.1".into();
    inner["destination"] = "224.0.0.10".into();
    assert_eq!(hello["ip"], json!([ip(17874, 120, 63, 50, 0, true), inner]));
    assert_eq!(hello.get("udp"), None);
    assert_eq!(
        hello["esp"],
        json!({
            "spi": 0xcc1e_bb90_u32, "sequence": 2, "next_header": 47, "icv_ok": true,
            "iv": "33d9cd9bba947169", "icv": "f6a29465e50a2342a19071d4", "pad_length": 2,
        })
    );
    let identity = frame(7);
    let udp = json!({ "source_port": 500, "destination_port": 500, "length": 76 });
    assert_eq!(identity["udp"], udp);
    let isakmp = &identity["isakmp"];
    let header = [&isakmp["next_payload"], &isakmp["version"], &isakmp["padding"]];
    assert_eq!(header, [&json!(5), &json!(0x10), &json!("00000000")]);

    let objects = dissected(&[ipv6(47, &GRE)]);
    let address = "2020:2020:2020:2020:2020:2020:2020:2020";
    assert_eq!(
        objects[0]["ip"],
        json!({
            "version": 6, "traffic_class": 0, "length": 8, "ttl": 64, "protocol": 47,
            "source": address, "destination": address,
        })
    );
}

/// What an error or a traffic indication quotes.
#[test]
fn quoted_packets() {
    let read = |name: &str, number: u64| {
        let file = std::fs::read(here(&format!("../nhrp/tests/data/linux/{name}.wire-hub.pcap")));
        let objects = objects(&file.unwrap(), Keys::default());
        let object = objects.into_iter().find(|object| object["frame"] == number).unwrap();
        object["nhrp"]["quoted"].clone()
    };
    let quoted = read("09-nhrp-errors", 4);
    let fields = ["type", "pktsz", "checksum", "extoff"].map(|field| &quoted[field]);
    assert_eq!(json!(fields), json!([3, 105, 0xd496, 52]));
    let quoted = read("04-phase3-plain", 198);
    let fields = ["source", "destination", "protocol", "length"].map(|field| &quoted[field]);
    assert_eq!(json!(fields), json!(["209.165.201.1", "192.0.2.129", 1, 84]));
}

/// NULL encryption leaves the padding in sight: none is needed here, and eight octets of the right
/// kind are authentic, but not what an encoder would write.
#[test]
fn padding_that_is_not_needed() {
    let sha1 = Provider::rustcrypto().hash(HashAlgorithm::SHA1).unwrap();
    let sealed = |padding: &[u8]| {
        let length = u8::try_from(padding.len()).unwrap();
        // A payload of ten octets, which says that it is nothing of ours.
        let body = [&ESP[..], &[0; 10], padding, &[length, 253]].concat();
        let icv = sha1.prf(&[7; 20], &[&body]);
        ipv4(50, 0, &[&body[..], &icv.as_bytes()[..12]].concat())
    };
    let mut file = Vec::new();
    let mut writer = PcapWriter::new(&mut file).unwrap();
    for padding in [&[][..], &[1, 2, 3, 4, 5, 6, 7, 8]] {
        writer.packet(core::time::Duration::ZERO, &sealed(padding)).unwrap();
    }
    let key = "07".repeat(20);
    let esp = format!("IPv4,*,*,0x100,NULL,,HMAC-SHA-1-96 [RFC2404],0x{key}\n");
    let objects = objects(&file, Keys::parse("", &esp).unwrap());
    let found: Vec<_> = objects
        .iter()
        .map(|object| {
            json!([object["esp"]["icv_ok"], object["esp"]["pad_length"], object["reencoded_equal"]])
        })
        .collect();
    assert_eq!(json!(found), json!([[true, 0, true], [true, 8, false]]));
}

/// A message in three pieces, with the whole of it behind the last.
#[test]
fn pieces_of_a_message() {
    let file = std::fs::read(here("tests/data/charon/fragmentation.pcap")).unwrap();
    let objects = objects(&file, Keys::default());
    let pieces: Vec<_> = objects[3..6]
        .iter()
        .map(|object| {
            let isakmp = &object["isakmp"];
            let piece = isakmp.get(0).unwrap_or(isakmp)["payloads"][0].clone();
            let size = piece["data"].as_str().unwrap().len() / 2;
            json!([piece["type"], piece["id"], piece["number"], piece["last"], size])
        })
        .collect();
    let expected =
        json!([[132, 1, 1, false, 136], [132, 1, 2, false, 136], [132, 1, 3, true, 124]]);
    assert_eq!(json!(pieces), expected);
    assert_eq!(objects[5]["layers"], json!(["isakmp", "isakmp"]));
    assert_eq!(objects[5]["isakmp"][1]["length"], 396);
}

/// Packets of this test's own, each in a frame.
fn dissected(packets: &[Vec<u8>]) -> Vec<Value> {
    let mut file = Vec::new();
    let mut writer = PcapWriter::new(&mut file).unwrap();
    for packet in packets {
        writer.packet(core::time::Duration::ZERO, packet).unwrap();
    }
    objects(&file, Keys::default())
}

fn ipv4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let [f0, f1] = fragment.to_be_bytes();
    let mut packet = vec![0x45, 0, length[0], length[1], 0, 1, f0, f1, 64, protocol, 0, 0];
    packet.extend([172, 16, 1, 1, 172, 16, 10, 1]);
    packet.extend(payload);
    packet
}

fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], next_header, 64];
    packet.extend([0x20; 32]);
    packet.extend(payload);
    packet
}

fn udp(source: u16, destination: u16, length: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let length = length.unwrap_or_else(|| u16::try_from(8 + payload.len()).unwrap());
    let header = [source, destination, length, 0].map(u16::to_be_bytes).concat();
    [&header, payload].concat()
}

const GRE: [u8; 8] = [0x20, 0, 0, 0, 0, 0, 0, 1];
const ESP: [u8; 8] = [0, 0, 1, 0, 0, 0, 0, 7];

#[test]
fn carriers() {
    let fragment_header =
        |offset: u8| [&[47, 0, 0, offset << 3 | 1, 0, 0, 0, 9][..], &GRE].concat();
    let ports =
        |source, destination, payload: &[u8]| ipv4(17, 0, &udp(source, destination, None, payload));
    for (packet, layers, error) in [
        (ipv4(47, 0, &GRE), json!(["gre"]), None),
        (ipv4(50, 0, &ESP), json!(["esp"]), None),
        (ipv6(47, &GRE), json!(["gre"]), None),
        // Hop-by-hop options, then destination options, then GRE.
        (
            ipv6(0, &[&[60, 0, 1, 4, 0, 0, 0, 0, 47, 0, 1, 4, 0, 0, 0, 0][..], &GRE].concat()),
            json!(["gre"]),
            None,
        ),
        (ipv6(44, &fragment_header(0)), json!(["gre"]), Some(("ip", 0))),
        (ipv6(44, &fragment_header(1)), json!([]), Some(("ip", 0))),
        (ipv4(47, 0x2000, &GRE), json!(["gre"]), Some(("ip", 0))),
        (ipv4(47, 0x0001, &GRE), json!([]), Some(("ip", 0))),
        (ports(4500, 4500, &ESP), json!(["esp"]), None),
        (ports(30_000, 4500, &ESP), json!(["esp"]), None),
        (ports(4500, 4500, &[0; 4]), json!(["isakmp"]), Some(("isakmp", 0))),
        (ports(500, 500, &[]), json!(["isakmp"]), Some(("isakmp", 0))),
        (ports(4500, 4500, &[1, 2]), json!([]), Some(("udp", 8))),
        (ipv4(17, 0, &udp(500, 500, Some(7), b"")), json!(["isakmp"]), Some(("udp", 4))),
        (ipv4(17, 0x2000, &udp(500, 500, None, b"")), json!(["isakmp"]), Some(("ip", 0))),
        (ipv4(47, 0, &GRE[..3]), json!(["gre"]), Some(("gre", 2))),
        (ipv4(47, 0, &[0, 1, 0x88, 0x0b]), json!(["gre"]), Some(("gre", 0))),
        (ipv4(50, 0, &ESP[..5]), json!(["esp"]), Some(("esp", 4))),
        (ipv4(54, 0, &[]), json!(["nhrp"]), Some(("nhrp", 0))),
        // GRE in IPv4 in GRE, and IPv4 cut off in GRE.
        (
            ipv4(47, 0, &[&[0, 0, 8, 0][..], &ipv4(47, 0, &GRE)].concat()),
            json!(["gre", "gre"]),
            None,
        ),
        (ipv4(47, 0, &[0, 0, 8, 0, 0x45]), json!(["gre"]), Some(("ip", 0))),
    ] {
        let [object] = &dissected(core::slice::from_ref(&packet))[..] else {
            panic!("{packet:02x?}")
        };
        assert_eq!(object["layers"], layers, "{packet:02x?}");
        let found = object
            .get("error")
            .map(|error| (error["layer"].as_str().unwrap(), error["offset"].as_u64().unwrap()));
        assert_eq!(found, error, "{object}");
        assert_eq!(object["reencoded_equal"], error.is_none(), "{object}");
    }
}

#[test]
fn what_is_none_of_the_four_is_not_reported() {
    assert_eq!(
        dissected(&[
            ipv4(17, 0, &udp(4500, 4500, None, &[0xff])),
            ipv4(17, 0, &udp(53, 53, None, b"dns")),
            ipv4(17, 0x0001, &udp(500, 500, None, b"not ports at all")),
            ipv4(1, 0, &[8, 0, 0, 0]),
            vec![0x45],
            vec![],
            ipv6(59, &[]),
        ]),
        [] as [Value; 0],
    );
}

#[test]
fn cut_off_by_the_capture() {
    let mut whole = ipv4(50, 0, &[ESP, ESP].concat());
    whole.truncate(30);
    let objects = dissected(&[whole]);
    assert_eq!(objects[0]["esp"]["sequence"], 7);
    assert_eq!(
        objects[0]["error"],
        json!({ "layer": "ip", "offset": 30, "what": "only 30 octets of the packet were captured" })
    );
}

#[test]
fn nesting_ends() {
    let mut packet = ipv4(47, 0, &GRE);
    for _ in 0..1000 {
        packet = ipv4(47, 0, &[&[0, 0, 8, 0][..], &packet].concat());
    }
    let objects = dissected(&[packet]);
    assert_eq!(objects[0]["layers"].as_array().unwrap().len(), 16);
    assert_eq!(objects[0]["error"]["what"], "nested more than 16 deep");
}

#[test]
fn checksums() {
    // GRE with a checksum over itself and two octets, once right and once wrong (RFC 2784 §2.1).
    let right = [0x80, 0, 0x12, 0x34, 0x6d, 0xca, 0, 0, 0, 1];
    let mut wrong = right;
    wrong[9] = 2;
    let objects = dissected(&[ipv4(47, 0, &right), ipv4(47, 0, &wrong)]);
    let ok: Vec<_> = under(&objects, "gre").iter().map(|gre| &gre["checksum_ok"]).collect();
    assert_eq!(json!(ok), json!([true, false]));

    let file = std::fs::read(here("tests/data/seed_reconstructed.pcap")).unwrap();
    let frame = Frames::new(&file).unwrap().nth(2).unwrap().unwrap();
    let (_, packet) = frame.network().unwrap();
    let mut packet = packet.to_vec();
    // The hop count.
    packet[20 + 8 + 9] ^= 1;
    let objects = dissected(&[packet]);
    assert_eq!(objects[0]["nhrp"]["checksum_ok"], false);
    assert_eq!(objects[0]["error"]["offset"], 12);
}

/// Third-party captures, which are not part of this repository: how many packets of which layers
/// they hold, as tshark 4.0.17 counts them too, and what is wrong with how many.
#[test]
fn captures_of_others() {
    let captures = here("../../shared/captures");
    if !captures.exists() {
        println!("SKIP: {} is not there", captures.display());
        return;
    }
    let read = |name: &str, keys: Keys| objects(&std::fs::read(captures.join(name)).unwrap(), keys);
    for (name, layers, errors) in [
        ("NHRP_registration.pcap", [4, 4, 0, 0], &[][..]),
        ("ios_nhrp.pcap", [1, 1, 0, 0], &[]),
        ("nhrp-trace.pcap", [4, 4, 0, 0], &[]),
        ("pb_nhrp_1.pcap", [0, 1, 0, 0], &["nhrp"]),
        ("various_gre.pcap", [30, 0, 0, 0], &[]),
        ("gre-sample.pcap", [40, 0, 0, 0], &[]),
        ("gre-pptp.pcap", [2, 0, 0, 0], &["gre", "gre"]),
        ("gre-heapoverflow-1.pcap", [0, 0, 0, 0], &[]),
        ("EIGRP_adjacency.pcap", [0, 0, 0, 0], &[]),
        ("ISAKMP_sa_setup.pcap", [0, 0, 9, 0], &[]),
        ("ikev1-certs.pcap", [0, 0, 10, 0], &[]),
        ("ikev1-bug-12620.pcapng", [0, 0, 10, 0], &[]),
        ("isakmp4500.pcap", [0, 0, 15, 8], &[]),
        ("ipsec-ikev1-payload-bad-length.pcap", [0, 0, 1, 0], &["isakmp"]),
        ("isakmp-delete-segfault.pcap", [0, 0, 1, 0], &["udp"]),
        ("isakmp-pointer-loop.pcap", [0, 0, 1, 0], &["isakmp"]),
        ("isakmp-ikev1_n_print-oobr.pcap", [0, 0, 2, 0], &["ip", "ip"]),
        ("isakmpv1-attr-oobr.pcap", [0, 0, 1, 0], &["ip"]),
        ("isakmp-3948-oobr-2.pcap", [0, 0, 0, 0], &["udp"]),
        ("esp_truncated.pcap", [0, 0, 0, 1], &["ip"]),
        ("02-sunrise-sunset-esp.pcap", [0, 0, 0, 8], &[]),
        ("08-sunrise-sunset-esp2.pcap", [0, 0, 0, 8], &[]),
        ("esp-bug-12671.pcapng", [0, 0, 0, 6], &[]),
        ("linux/01-plain-phase1/wire-hub.pcap", [40, 2, 0, 0], &[]),
        ("linux/02-ipsec-phase1/inside-gre1-hub.pcap", [0, 2, 0, 0], &[]),
        ("linux/04-phase3-plain/wire-hub.pcap", [263, 14, 0, 0], &[]),
        ("linux/13-opennhrp/wire-hub.pcap", [49, 6, 0, 0], &[]),
    ] {
        let objects = read(name, Keys::default());
        let found = ["gre", "nhrp", "isakmp", "esp"].map(|layer| under(&objects, layer).len());
        assert_eq!(found, layers, "{name}");
        let found: Vec<_> = under(&objects, "error").iter().map(|error| &error["layer"]).collect();
        assert_eq!(json!(found), json!(errors), "{name}");
        let unequal = objects.iter().filter(|object| object["reencoded_equal"] == false).count();
        assert_eq!(unequal, errors.len(), "{name}");
    }

    // Keys published with the captures.
    let isakmp = "fafaeb49382a763c,735be0cb62f82675c4f7bf8fbab9b56834ba76d6ab4fa240\n\
        29f6006212625def,c26a81baec6070d289f0b4f13c2fb182e3d5406d11c29ebc2fc179502541325b\n";
    for (name, encrypted) in [("ikev1-certs.pcap", 6), ("ikev1-bug-12620.pcapng", 7)] {
        let objects = read(name, Keys::parse(isakmp, "").unwrap());
        let isakmp = under(&objects, "isakmp");
        let count = |field: &str| isakmp.iter().filter(|isakmp| isakmp[field] == true).count();
        assert_eq!((count("encrypted"), count("decrypted")), (encrypted, encrypted), "{name}");
        assert!(under(&objects, "error").is_empty(), "{name}");
    }

    let esp = "IPv4,*,*,0x12345678,TripleDES-CBC [RFC2451],0x4043434545464649494a4a4c4c4f4f515152525454575758,HMAC-MD5-96 [RFC2403],0x87658765876587658765876587658765\n";
    let objects = read("02-sunrise-sunset-esp.pcap", Keys::parse("", esp).unwrap());
    for esp in under(&objects, "esp") {
        assert_eq!((&esp["icv_ok"], &esp["next_header"]), (&json!(true), &json!(4)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// No damage to a capture, its keys at hand, makes the dissector panic, nor report a frame
    /// that there is not.
    #[test]
    fn damaged_captures(
        scenario in proptest::sample::select(vec!["charon/fragmentation", "charon/nat-mm-3des-sha1-modp768", "charon/data-aes256gcm16", "charon/fail-psk", "linux/wire"]),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..40),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut file = std::fs::read(here(&format!("tests/data/{scenario}.pcap"))).unwrap();
        let keys = if scenario == "linux/wire" {
            Keys::read(&here("tests/data/linux")).unwrap()
        } else {
            let kat = here(&format!("../isakmp/tests/data/{scenario}.kat"));
            Recorded::read(&std::fs::read_to_string(kat).unwrap()).keys()
        };
        for (index, value) in damage {
            // The file's own header stays.
            let at = 24 + index.index(file.len() - 24);
            file[at] = value;
        }
        file.truncate(24 + cut.index(file.len() - 24));
        let mut dissector = Dissector::new(keys).unwrap();
        let mut frames = 0;
        for frame in Frames::new(&file).unwrap().map_while(Result::ok) {
            frames = frame.number;
            if let Some(object) = dissector.frame(&frame) {
                prop_assert_eq!(&object["frame"], &json!(frames));
                let failed = object.get("error").is_some();
                prop_assert!(!failed || object["reencoded_equal"] == false, "{}", object);
            }
        }
        prop_assert!(frames < 100);
    }

    /// Nor does any packet at all, near enough to the four protocols to be parsed.
    #[test]
    fn any_packet(protocol in proptest::sample::select(vec![17u8, 47, 50, 54, 4, 41]), port in proptest::sample::select(vec![500u16, 4500]), v6 in any::<bool>(), mut payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        if protocol == 17 {
            payload = udp(port, port, None, &payload);
        }
        dissected(&[if v6 { ipv6(protocol, &payload) } else { ipv4(protocol, 0, &payload) }]);
    }
}
