//! The recorded handshakes replayed through our endpoint, as initiator and as responder, with the
//! recorded exponents, nonces, cookies, SPIs and message IDs.

extern crate alloc;

#[path = "../known_answers/mod.rs"]
mod known_answers;
mod run;
mod script;
mod setup;

use dmvpn_isakmp::{Jobs, Role};

use known_answers::Scenario;
use run::replay;

#[test]
fn print_all() {
    for scenario in Scenario::all() {
        if scenario.name.starts_with("am-") || scenario.name == "fragmentation" {
            continue;
        }
        for role in [Role::Initiator, Role::Responder] {
            println!("== {} as {role:?}", scenario.name);
            let outcome = replay(&scenario, role, Jobs::Inline);
            println!(
                "   equal {}, accepted {}, discarded {}",
                outcome.equal,
                outcome.accepted,
                outcome.discarded.len()
            );
            println!("   discarded {:?}", outcome.discarded);
            println!("   keys {}", outcome.check_keys(&scenario, role));
            println!("   differences {:?}", outcome.differences);
            println!("   beyond {:?}", outcome.beyond);
            for line in outcome.summary() {
                println!("   event {line}");
            }
        }
    }
}
