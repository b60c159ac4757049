//! The guide's scenario, line by line: the debug output of both routers against the bring-up in
//! Cisco's "DMVPN Phase 1 debugs" guide, and the layout of the eight `show` commands.

extern crate alloc;

mod cloud;

use alloc::collections::VecDeque;
use core::time::Duration;
use std::path::Path;

use cloud::guide;
use cloud::{Cloud, Driver};

/// Brings the guide's tunnel up; returns the debug lines of spoke and hub.
fn bring_up(driver: Driver) -> (Vec<String>, Vec<String>) {
    let mut cloud = Cloud::new(1);
    cloud.driver = driver;
    let hub = cloud.add(guide::hub());
    let spoke = cloud.add(guide::spoke());
    assert!(cloud.run_until(Duration::from_secs(5), |cloud| guide::is_registered(cloud, spoke)));
    cloud.run_for(Duration::from_millis(100));
    (lines(&cloud, spoke), lines(&cloud, hub))
}

fn lines(cloud: &Cloud, router: usize) -> Vec<String> {
    cloud.routers[router].debug.iter().flat_map(|text| text.lines()).map(str::to_owned).collect()
}

/// Values that differ from run to run give way to `#`: SPIs, message ids, connection ids other than
/// 0, what is left of a volume lifetime, and the hexadecimal numbers that are addresses in IOS.
fn normal(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line.trim();
    while let Some(first) = rest.chars().next() {
        let word_end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if word_end == 0 {
            if !(first == ' ' && out.ends_with(' ')) {
                out.push(first);
            }
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(word_end);
        rest = after;
        let context = out.trim_end();
        let hexadecimal = word.strip_prefix("0x").is_some_and(|digits| digits.len() > 2);
        let long = word.len() >= 7 && word.chars().all(|c| c.is_ascii_digit());
        let connection = (context.ends_with("ISAKMP:(") || context.ends_with("ISAKMP ("))
            && word != "0"
            && word.chars().all(|c| c.is_ascii_digit());
        let after_words = ["SPI", "inserted successfully", "sa_conn_id=", "(k/sec)= ("]
            .iter()
            .any(|words| context.ends_with(words));
        if hexadecimal || long || connection || (after_words && word != "0") {
            if out.ends_with('-') {
                out.pop();
            }
            out.push('#');
        } else {
            out.push_str(word);
        }
    }
    out.trim().to_owned()
}

/// The lines of the transcript that a router must print: those without a mark, without the remarks
/// in brackets. What the transcript abbreviates stands here in full.
fn guide_lines(transcript: &str, heading: &str) -> Vec<String> {
    let section = transcript.split(heading).nth(1).expect("the section is there");
    let block = section.split("```").nth(1).expect("a block follows");
    let mut transform = Vec::new();
    let mut vendor_ids = Vec::new();
    let spoke = transcript.split("## Spoke debug, in order").nth(1).expect("the spoke's section");
    for line in spoke.lines() {
        let line = line.trim();
        if line.starts_with("ISAKMP:      encryption") || !transform.is_empty() {
            transform.push(line.to_owned());
        }
        if line.contains("Started lifetime timer") {
            break;
        }
    }
    let mut lines = Vec::new();
    for line in block.lines().filter(|line| !line.starts_with('·')) {
        let mut line = line.to_owned();
        if let Some(at) = line.find("   (") {
            line.truncate(at);
        }
        // Lines on created associations are shortened in the middle, see below; others at the end.
        let shortened = !line.contains("create_sa");
        for remark in [
            "   and its fields",
            " (the seed prints",
            "  … attributes as on the spoke",
            "… the same",
            " …",
        ] {
            if shortened && let Some(at) = line.find(remark) {
                line.truncate(at);
            }
        }
        let text = line.trim();
        let vendor_id = text.contains("vendor id") || text.contains("vendor ID");
        if vendor_id && !text.starts_with("the twelve") {
            vendor_ids.push(text.to_owned());
        }
        match text {
            "" => {}
            "ISAKMP:      encryption 3DES-CBC" if heading.contains("Hub") => {
                lines.extend(transform.iter().cloned());
            }
            "ISAKMP:(0)::Started lifetime timer: 86400." if heading.contains("Hub") => {}
            "the twelve vendor id lines once more" => lines.extend(vendor_ids.iter().cloned()),
            _ if text.contains("(proxy ") && text.contains("has spi") => {
                let (direction, rest) = text.split_once(" (proxy ").expect("it is there");
                let (proxy, rest) = rest.split_once(')').expect("it is closed");
                lines.extend([direction.to_owned(), format!("(proxy {proxy})"), rest.to_owned()]);
            }
            _ if text.starts_with("IPSEC(create_sa): sa created, ") => {
                lines.push("IPSEC(create_sa): sa created,".to_owned());
                let destination =
                    text.split("sa_dest= ").nth(1).and_then(|rest| rest.split(',').next());
                let destination = destination.expect("it has a destination");
                lines.push(format!("(sa) sa_dest= {destination}, sa_proto= 50,"));
                lines.push("sa_spi= 0xDD2AC2B3(3710567091),".to_owned());
                lines.push("sa_trans= esp-3des esp-sha-hmac , sa_conn_id= #".to_owned());
                lines.push("sa_lifetime(k/sec)= (4536779/3600)".to_owned());
            }
            _ => lines.push(text.to_owned()),
        }
    }
    lines
}

/// Every line of the guide, in its order, among ours.
fn assert_contains_in_order(ours: &[String], guide: &[String], who: &str) {
    let mut rest: VecDeque<String> = ours.iter().map(|line| normal(line)).collect();
    let mut last = String::from("the beginning");
    for wanted in guide {
        let wanted = normal(wanted);
        loop {
            let Some(line) = rest.pop_front() else {
                panic!(
                    "{who}: after\n  {last}\nthere is no line\n  {wanted}\nin\n{}",
                    ours.join("\n")
                );
            };
            if line == wanted
                || (wanted.ends_with(',') && line.starts_with(wanted.trim_end_matches(',')))
            {
                last = wanted;
                break;
            }
        }
    }
}

#[test]
fn both_routers_tell_the_bring_up_as_the_guide_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/reference/phase1-transcript.md");
    let Ok(transcript) = std::fs::read_to_string(Path::new(path)) else {
        eprintln!("SKIPPED: no shared/reference/phase1-transcript.md beside the checkout");
        return;
    };
    let (spoke, hub) = bring_up(Driver::Strict);
    let wanted = guide_lines(&transcript, "## Spoke debug, in order");
    assert!(wanted.len() > 130, "the spoke's part of the transcript has {} lines", wanted.len());
    assert_contains_in_order(&spoke, &wanted, "spoke");
    let wanted = guide_lines(&transcript, "## Hub debug, in order");
    assert!(wanted.len() > 120, "the hub's part of the transcript has {} lines", wanted.len());
    assert_contains_in_order(&hub, &wanted, "hub");
}
