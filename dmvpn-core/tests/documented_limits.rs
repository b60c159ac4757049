//! `LIMITS.md` and `ABUSE.md` say what the code does: defaults, counters, and the tests they name.

extern crate alloc;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use std::path::Path;

use dmvpn_core::{isakmp, nhrp};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The fields of a flat struct by its `Debug` text.
fn fields(debug: &str) -> BTreeMap<String, String> {
    let body = debug.split_once('{').unwrap().1.trim_end_matches('}');
    body.split(',')
        .map(|field| field.split_once(':').unwrap())
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The rows of the tables under a heading that starts so: their cells.
fn rows<'a>(text: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let section = text.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    rows.skip(1).map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// Each `file.rs` with the names behind it.
fn assert_tests_exist(cell: &str) {
    for part in cell.split(';') {
        let file = part.trim().split('`').next().unwrap().trim();
        let text = std::fs::read_to_string(root().join(file));
        let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
        let names = quoted(part);
        assert!(!names.is_empty(), "{part}");
        for name in names {
            assert!(text.contains(&format!("fn {name}(")), "no test {name} in {file}");
        }
    }
}

fn assert_documented(heading: &str, limits: &BTreeMap<String, String>, counters: &str) {
    let text = read("LIMITS.md");
    let counters = fields(counters);
    let mut documented = BTreeMap::new();
    for row in rows(&text, heading) {
        let [limit, default, beyond, counted, tests] = row[..] else { panic!("{row:?}") };
        documented.insert(quoted(limit)[0].to_owned(), default.to_owned());
        assert!(!beyond.is_empty());
        assert!(!quoted(counted).is_empty(), "{limit} is not counted");
        for counter in quoted(counted) {
            assert!(counters.contains_key(counter), "no counter {counter}");
        }
        assert_tests_exist(tests);
    }
    assert_eq!(documented, *limits, "{heading}");
}

#[test]
fn limits_are_documented_with_their_defaults() {
    let limits = fields(&format!("{:?}", isakmp::Limits::default()));
    let counters = format!("{:?}", isakmp_counters());
    assert_documented("ISAKMP", &limits, &counters);
    let limits = fields(&format!("{:?}", nhrp::Limits::default()));
    assert_documented("NHRP", &limits, &format!("{:?}", nhrp::Counters::default()));
    // The node has one limit of its own.
    let node = dmvpn_core::Config::builder(
        Arc::new(isakmp_config()),
        Arc::new(dmvpn_core::esp::crypto::RustCrypto),
    );
    let debug = format!("{:?}", node.build());
    // Its own queue is the last in the text: ISAKMP's configuration stands before it.
    let queue = debug.rsplit_once("queue: ").unwrap().1.split(',').next().unwrap();
    let limits = BTreeMap::from([("queue".to_owned(), queue.to_owned())]);
    assert_documented("Node", &limits, &format!("{:?}", dmvpn_core::Counters::default()));
}

fn isakmp_counters() -> isakmp::Counters {
    isakmp::Counters::default()
}

fn isakmp_config() -> isakmp::Config {
    let key = isakmp::PreSharedKey::new("0.0.0.0".parse().unwrap(), 0, b"a key");
    isakmp::Config::builder(isakmp::crypto::Provider::rustcrypto(), vec![key]).build().unwrap()
}

#[test]
fn every_test_that_is_named_exists() {
    let text = read("ABUSE.md");
    let mut named = 0;
    for section in text.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap();
        let rows = rows(&text, heading);
        assert!(!rows.is_empty(), "{heading}");
        for row in rows {
            assert_tests_exist(row.last().unwrap());
            named += 1;
        }
    }
    assert!(named > 40, "{named}");
}
