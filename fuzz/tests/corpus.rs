//! Every input of the corpus passes every oracle of its target, without a fuzzer.

use std::path::Path;
use std::{env, fs};

use dmvpn_fuzz::TARGETS;

/// Of all targets, or of the one that `DMVPN_FUZZ_TARGET` names.
#[test]
fn every_input_of_the_corpus_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let only = env::var("DMVPN_FUZZ_TARGET").ok();
    let asked = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let targets: Vec<_> = TARGETS.iter().filter(|(name, _)| asked(name)).collect();
    assert!(!targets.is_empty(), "no target {only:?}");
    for (name, run) in targets {
        let files = fs::read_dir(corpus.join(name)).unwrap_or_else(|_| panic!("corpus of {name}"));
        let mut inputs: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for path in &inputs {
            // So that a panic says which.
            eprintln!("{}", path.display());
            run(&fs::read(path).unwrap());
        }
        println!("{name}: {} inputs", inputs.len());
    }
}

/// What a fuzzer tries first.
#[test]
fn nothing_and_short_inputs_pass() {
    for (_, run) in TARGETS {
        run(&[]);
        for octet in 0..=u8::MAX {
            run(&[octet]);
            run(&[octet; 64]);
        }
    }
}
