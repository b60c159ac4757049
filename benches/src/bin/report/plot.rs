//! The cost against the number of spokes, as SVG: both axes logarithmic.

use std::fmt::Write;
use std::fs;

use crate::Done;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 230.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 60.0;

/// From 100 ns to 100 us, and from 1,000 to 100,000 spokes, in powers of ten.
const COST: (f64, f64) = (-1.0, 2.0);
const SPOKES: (f64, f64) = (3.0, 5.0);

const SERIES: [(&str, &str); 7] = [
    ("send 1400 B, 3des+sha1", "#b30000"),
    ("receive 1400 B, 3des+sha1", "#e34a33"),
    ("send 1400 B, aes128-gcm", "#08519c"),
    ("receive 1400 B, aes128-gcm", "#3182bd"),
    ("DPD answered, 3des+sha1", "#31a354"),
    ("re-registration, 3des+sha1", "#756bb1"),
    ("timer, 3des+sha1", "#636363"),
];

/// Reads the rows of the hub and writes `hub.svg` beside them.
pub fn draw(directory: &str) -> Done {
    let rows = fs::read_to_string(format!("{directory}/portable.tsv"))?;
    let mut svg = frame();
    for (n, (name, colour)) in SERIES.into_iter().enumerate() {
        let points: Vec<(f64, f64)> = rows.lines().filter_map(|row| point(row, name)).collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let path = path.join(" ");
        writeln!(
            svg,
            r#"<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>"#
        )?;
        for (x, y) in points {
            writeln!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#)?;
        }
        let (x, y) = (WIDTH - RIGHT + 15.0, TOP + 20.0 + 22.0 * n as f64);
        writeln!(svg, r#"<rect x="{x}" y="{}" width="12" height="4" fill="{colour}"/>"#, y - 5.0)?;
        writeln!(svg, r#"<text x="{}" y="{y}">{name}</text>"#, x + 18.0)?;
    }
    svg.push_str("</svg>\n");
    let path = format!("{directory}/hub.svg");
    fs::write(&path, svg)?;
    println!("plot: {path}");
    Ok(())
}

/// The point of a row `NAME, N spokes`, if it is one.
fn point(row: &str, name: &str) -> Option<(f64, f64)> {
    let mut fields = row.split('\t');
    let what = fields.nth(1)?.strip_prefix(name)?;
    let spokes: f64 = what.strip_prefix(", ")?.strip_suffix(" spokes")?.parse().ok()?;
    let cost: f64 = fields.nth(1)?.parse().ok()?;
    Some((across(spokes.log10()), up(cost.log10())))
}

fn across(power: f64) -> f64 {
    LEFT + (power - SPOKES.0) / (SPOKES.1 - SPOKES.0) * (WIDTH - LEFT - RIGHT)
}

fn up(power: f64) -> f64 {
    HEIGHT - BOTTOM - (power - COST.0) / (COST.1 - COST.0) * (HEIGHT - TOP - BOTTOM)
}

fn frame() -> String {
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="{LEFT}" y="22" font-size="14">A hub's CPU time for one operation, by the number of spokes</text>
"#
    );
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let mut line = |x1: f64, y1: f64, x2: f64, y2: f64, label: &str, x: f64, y: f64| {
        svg.push_str(&format!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#dddddd\"/>\n<text x=\"{x:.1}\" y=\"{y:.1}\">{label}</text>\n"
        ));
    };
    for (power, label) in [(-1.0, "100 ns"), (0.0, "1 us"), (1.0, "10 us"), (2.0, "100 us")] {
        line(LEFT, up(power), right, up(power), label, 15.0, up(power) + 4.0);
    }
    for (power, label) in [(3.0, "1,000"), (4.0, "10,000"), (5.0, "100,000")] {
        let x = across(power);
        line(x, TOP, x, bottom, label, x - 18.0, bottom + 20.0);
    }
    svg
}
