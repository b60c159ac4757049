//! `report measure` takes all figures, `report table` prints them against the bars and draws the plot.
//! The script `benches/report` runs both.

mod charon;
mod data_plane;
mod hub;
mod plot;
mod routers;
mod row;

use std::process::ExitCode;

use dmvpn_benches::allocator::Counting;
use dmvpn_benches::measure::Effort;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["measure", "quick", parts @ ..] => measure(Effort::QUICK, parts),
        ["measure", "full", parts @ ..] => measure(Effort::FULL, parts),
        ["table", directory] => row::table(directory).and_then(|()| plot::draw(directory)),
        _ => Err("usage: report measure quick|full [PART …] | report table DIRECTORY".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("report: {error}");
            ExitCode::FAILURE
        }
    }
}

type Done = Result<(), Box<dyn std::error::Error>>;

/// Every figure goes to standard output as soon as it is there, one a line.
fn measure(effort: Effort, parts: &[&str]) -> Done {
    // With AVX2 and `ring` only what is faster by them is measured again.
    let all: &[&str] = if cfg!(feature = "avx2") {
        &["avx2", "ring"]
    } else {
        &["esp", "wire", "node", "nhrp", "ike", "hub"]
    };
    for part in if parts.is_empty() { all } else { parts } {
        eprintln!("measuring {part} …");
        match *part {
            "avx2" => data_plane::avx2(effort),
            "ring" => data_plane::ring(effort),
            "esp" => data_plane::esp(effort),
            "wire" => data_plane::wire(effort),
            "node" => routers::node(effort),
            "nhrp" => routers::nhrp(effort),
            "ike" => routers::ike(effort),
            "hub" => hub::measure(effort),
            other => return Err(format!("no part {other}").into()),
        }
    }
    Ok(())
}
