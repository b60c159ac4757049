//! strongSwan's IKE daemon on this machine, measured by the script that came with it.

use std::path::PathBuf;
use std::process::Command;

/// Where the script is, unless `CHARON_BENCH` says otherwise: beside the repository.
const SCRIPT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/peers/charon/bench_handshake.py");

/// CPU time of one handshake in nanoseconds: the responder's, and the initiator's. The median of three runs.
pub fn handshake() -> Result<[f64; 2], String> {
    let script =
        std::env::var_os("CHARON_BENCH").map_or_else(|| PathBuf::from(SCRIPT), PathBuf::from);
    if !script.exists() {
        return Err("CHARON_BENCH does not name bench_handshake.py".into());
    }
    let mut runs = Vec::new();
    for _ in 0..3 {
        let run = Command::new("python3").arg(&script).args(["--seconds", "6"]).output();
        let run = run.map_err(|error| error.to_string())?;
        let output = String::from_utf8_lossy(&run.stdout).into_owned();
        let figure = |name: &str| {
            let (_, rest) = output.split_once(&format!("\"{name}_cpu_ms_per_handshake\": "))?;
            rest.split([',', '}']).next()?.trim().parse::<f64>().ok()
        };
        let Some(figures) = figure("hub").zip(figure("spoke")) else {
            let error = String::from_utf8_lossy(&run.stderr);
            return Err(error.lines().last().unwrap_or("it printed nothing").to_owned());
        };
        eprintln!("{}", output.trim());
        runs.push(figures);
    }
    let median = |side: fn(&(f64, f64)) -> f64| {
        dmvpn_benches::measure::median(runs.iter().map(side).collect()) * 1e6
    };
    Ok([median(|run| run.0), median(|run| run.1)])
}
