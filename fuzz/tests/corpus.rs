//! Every input of the corpus passes every oracle of its target, without a fuzzer.

use std::fs;
use std::path::Path;

use dmvpn_fuzz::TARGETS;

#[test]
fn every_input_of_the_corpus_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, run) in TARGETS {
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
