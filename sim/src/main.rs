//! Campaigns: many seeds, a ledger of what came of them, and the shortest replay of what broke.

extern crate alloc;

mod arguments;
mod ledger;

use std::process::ExitCode;

use arguments::{Arguments, USAGE};
use dmvpn_sim::{Broken, Nodes, Report, Scenario, run, run_traced, shrink};
use ledger::Ledger;

/// How many runs a shortest replay may take.
const SHRINKING: usize = 600;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(fault) => {
            eprintln!("{fault}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outcome = if arguments.trace { trace(&arguments) } else { campaign(&arguments) };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::from(2)
        }
    }
}

/// Runs the seeds that the ledger does not have yet; how many broke, earlier ones included.
fn campaign(arguments: &Arguments) -> std::io::Result<u64> {
    let mut ledger = Ledger::open(arguments)?;
    for seed in ledger.next..arguments.seeds.end {
        let scenario = Scenario::from_seed(seed, arguments.wishes);
        let outcome = run(&scenario, &Nodes::default());
        if let Err(broken) = &outcome {
            println!("seed {seed}: {broken}");
            if arguments.shrink {
                show_replay(&scenario, broken);
            }
        }
        ledger.record(seed, outcome)?;
    }
    ledger.save()?;
    println!("{ledger}");
    Ok(ledger.broken())
}

fn show_replay(scenario: &Scenario, broken: &Broken) {
    let replay = shrink(scenario, broken, &Nodes::default(), SHRINKING);
    let list = |numbers: &mut dyn Iterator<Item = usize>| {
        let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
        if numbers.is_empty() { "none".to_owned() } else { numbers.join(",") }
    };
    println!("shortest replay: {}\n{}", replay.broken, replay.scenario);
    println!(
        "again: --seeds {}..{} --keep {} --with {} --trace",
        scenario.seed,
        scenario.seed + 1,
        list(&mut replay.kept.iter().copied()),
        list(&mut replay.scenario.spokes()),
    );
}

/// Runs each seed with the routers' debug output.
fn trace(arguments: &Arguments) -> std::io::Result<u64> {
    let mut broken = 0;
    for seed in arguments.seeds.clone() {
        let scenario = arguments.narrow(&Scenario::from_seed(seed, arguments.wishes));
        println!("{scenario}");
        let (outcome, debug): (Result<Report, Broken>, _) =
            run_traced(&scenario, &Nodes { debug: true }, true);
        for line in debug {
            println!("{line}");
        }
        match outcome {
            Ok(report) => println!("seed {seed}: {report:?}"),
            Err(fault) => {
                broken += 1;
                println!("seed {seed}: {fault}");
            }
        }
    }
    Ok(broken)
}
