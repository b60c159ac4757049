//! Derives the Boolean circuits of DES's selection functions that `src/slice/circuits.rs` holds, and prints that file.
//!
//! ```text
//! cargo run --release -p dmvpn-des --example derive_circuits -- [PASSES [TRIES [WIDTH [SEED [FUNCTION]]]]]
//! ```
//!
//! `6 4 16 7` makes the committed ones, in some ten minutes.
//!
//! A function of six bits is a column of 64 truth values, one `u64`. A circuit is a list of such columns, the six inputs first, each
//! further one made of two earlier ones by one gate: and, or, xor, and-not, not. What is looked for is a short list that has the four
//! output columns.
//!
//! [`Circuit::find`] makes one column, of which only the places in a mask count. If nothing on the list is it, nor one gate over two of
//! the list, nor two gates over three, it cuts the mask in two halves by an input bit `x`, makes a column `f` that is right in one half,
//! then a column `g` that is right in the other for what `f` lacks there, and answers `f ^ (g & x)`: Shannon's expansion, in which each half has
//! half as many places to satisfy and everything made before is there to be used again. The order of the list, of the bits and of the
//! halves is random; [`derive`] grows circuits output by output, and for each set of outputs that they have keeps the shortest ones.

use core::fmt::Write as _;

#[path = "../src/standard.rs"]
#[expect(dead_code, reason = "only the selection functions are asked for")]
mod standard;

/// xorshift64*: the search is repeatable from its seed.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as usize * below) >> 32
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.next(i + 1));
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    And,
    Or,
    Xor,
    AndNot,
    Not,
}

#[derive(Clone, Copy, Debug)]
struct Gate {
    op: Op,
    a: u8,
    b: u8,
}

#[derive(Clone)]
struct Circuit {
    /// Of what each column beyond the inputs is made.
    gates: Vec<Gate>,
    /// The inputs, then what the gates make.
    columns: Vec<u64>,
    /// Where the outputs are, the most significant first.
    outputs: [Option<u8>; 4],
}

const INPUTS: usize = 6;

/// What input bit `i` (0 is the most significant, the standard's bit 1) is at each of the 64 places.
fn input(i: usize) -> u64 {
    (0..64).filter(|place| place >> (5 - i) & 1 == 1).fold(0, |column, place| column | 1 << place)
}

fn output(number: usize, bit: usize) -> u64 {
    (0..64)
        .filter(|&place| standard::s(number, place) >> (3 - bit) & 1 == 1)
        .fold(0, |column, place| column | 1 << place)
}

/// Two-operand gates with their operands in both orders.
const PAIRED: [(Op, bool); 5] =
    [(Op::And, false), (Op::Or, false), (Op::Xor, false), (Op::AndNot, false), (Op::AndNot, true)];

fn apply(op: Op, a: u64, b: u64) -> u64 {
    match op {
        Op::And => a & b,
        Op::Or => a | b,
        Op::Xor => a ^ b,
        Op::AndNot => a & !b,
        Op::Not => !a,
    }
}

impl Circuit {
    fn new() -> Self {
        Self { gates: Vec::new(), columns: (0..INPUTS).map(input).collect(), outputs: [None; 4] }
    }

    fn gate(&mut self, op: Op, a: usize, b: usize) -> usize {
        let column = apply(op, self.columns[a], self.columns[b]);
        if let Some(same) = self.columns.iter().position(|&c| c == column) {
            return same;
        }
        self.gates.push(Gate { op, a: a as u8, b: b as u8 });
        self.columns.push(column);
        self.columns.len() - 1
    }

    fn paired(&mut self, (op, swapped): (Op, bool), a: usize, b: usize) -> usize {
        if swapped { self.gate(op, b, a) } else { self.gate(op, a, b) }
    }

    /// The place on the list of a column that is `target` within `mask`; gates are added so that it is there, up to `limit` in all.
    fn find(
        &mut self,
        target: u64,
        mask: u64,
        bits: u8,
        limit: usize,
        tries: &[usize],
        random: &mut Random,
    ) -> Option<usize> {
        let wanted = target & mask;
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        random.shuffle(&mut order);
        if let Some(&found) = order.iter().find(|&&i| self.columns[i] & mask == wanted) {
            return Some(found);
        }
        if self.gates.len() + 1 > limit {
            return None;
        }
        if let Some(&found) = order.iter().find(|&&i| !self.columns[i] & mask == wanted) {
            return Some(self.gate(Op::Not, found, found));
        }
        for (n, &i) in order.iter().enumerate() {
            let a = self.columns[i];
            for &j in &order[..n] {
                let b = self.columns[j];
                for pair in PAIRED {
                    let (x, y) = if pair.1 { (b, a) } else { (a, b) };
                    if apply(pair.0, x, y) & mask == wanted {
                        return Some(self.paired(pair, i, j));
                    }
                }
            }
        }
        if self.gates.len() + 2 > limit {
            return None;
        }
        if let Some(found) = self.two_gates(wanted, mask, &order) {
            return Some(found);
        }
        if self.gates.len() + 3 > limit {
            return None;
        }
        self.expand(target, mask, bits, limit, tries, random)
    }

    /// A gate over a gate over three columns.
    fn two_gates(&mut self, wanted: u64, mask: u64, order: &[usize]) -> Option<usize> {
        for (n, &i) in order.iter().enumerate() {
            let a = self.columns[i];
            for &j in &order[..n] {
                let b = self.columns[j];
                for pair in PAIRED {
                    let (x, y) = if pair.1 { (b, a) } else { (a, b) };
                    let made = apply(pair.0, x, y) & mask;
                    if !made & mask == wanted {
                        let inner = self.paired(pair, i, j);
                        return Some(self.gate(Op::Not, inner, inner));
                    }
                    // What the third column would have to be, and where it may be anything.
                    let xor = made ^ wanted;
                    let and = wanted & !made == 0;
                    let or = made & !wanted == 0;
                    for &k in order {
                        let c = self.columns[k] & mask;
                        let outer = if c == xor {
                            (Op::Xor, false)
                        } else if and && c & made == wanted {
                            (Op::And, false)
                        } else if and && made & !c == wanted {
                            (Op::AndNot, false)
                        } else if or && c | made == wanted {
                            (Op::Or, false)
                        } else if c & !made == wanted {
                            (Op::AndNot, true)
                        } else {
                            continue;
                        };
                        let inner = self.paired(pair, i, j);
                        return Some(self.paired(outer, inner, k));
                    }
                }
            }
        }
        None
    }

    /// Shannon's expansion by an input bit that the mask was not yet cut by; the best of some attempts.
    fn expand(
        &mut self,
        target: u64,
        mask: u64,
        bits: u8,
        limit: usize,
        tries: &[usize],
        random: &mut Random,
    ) -> Option<usize> {
        let mut choices: Vec<(usize, bool)> = (0..INPUTS)
            .filter(|i| bits >> i & 1 == 1)
            .flat_map(|i| [(i, false), (i, true)])
            .collect();
        random.shuffle(&mut choices);
        choices.truncate(tries.first().copied().unwrap_or(1));
        let deeper = tries.get(1..).unwrap_or(&[]);
        let mut best: Option<(Self, usize)> = None;
        let mut limit = limit;
        for (bit, first_half) in choices {
            let x = self.columns[bit];
            let (first, second) =
                if first_half { (mask & x, mask & !x) } else { (mask & !x, mask & x) };
            let mut attempt = self.clone();
            let Some(f) =
                attempt.find(target, first, bits & !(1 << bit), limit - 2, deeper, random)
            else {
                continue;
            };
            let lacking = target ^ attempt.columns[f];
            let Some(g) =
                attempt.find(lacking, second, bits & !(1 << bit), limit - 2, deeper, random)
            else {
                continue;
            };
            let chosen = if first_half {
                attempt.gate(Op::AndNot, g, bit)
            } else {
                attempt.gate(Op::And, g, bit)
            };
            let made = attempt.gate(Op::Xor, f, chosen);
            if attempt.gates.len() <= limit {
                limit = attempt.gates.len().saturating_sub(1);
                best = Some((attempt, made));
            }
        }
        let (circuit, made) = best?;
        *self = circuit;
        Some(made)
    }
}

/// Grows circuits output by output; of each set of outputs the `width` shortest go on.
fn derive(
    number: usize,
    tries: usize,
    width: usize,
    best: &mut Option<Circuit>,
    random: &mut Random,
) {
    let mut sets: Vec<Vec<Circuit>> = vec![Vec::new(); 16];
    sets[0].push(Circuit::new());
    for set in 0..15usize {
        let mut circuits = core::mem::take(&mut sets[set]);
        circuits.sort_by_key(|circuit| circuit.gates.len());
        circuits.truncate(width);
        for circuit in &circuits {
            for bit in (0..4).filter(|bit| set >> bit & 1 == 0) {
                for _ in 0..tries {
                    let next = set | 1 << bit;
                    let mut limit = 64;
                    if next == 15 {
                        limit = best.as_ref().map_or(limit, |best| best.gates.len() - 1);
                    } else if sets[next].len() >= width {
                        sets[next].sort_by_key(|circuit| circuit.gates.len());
                        sets[next].truncate(width);
                        limit = sets[next][width - 1].gates.len();
                    }
                    let mut grown = circuit.clone();
                    if let Some(found) = grown.find(
                        output(number, bit),
                        u64::MAX,
                        0b11_1111,
                        limit,
                        &[6, 3, 2],
                        random,
                    ) {
                        grown.outputs[bit] = Some(found as u8);
                        if next == 15 {
                            eprintln!("S{}: {} gates", number + 1, grown.gates.len());
                            *best = Some(grown);
                        } else {
                            sets[next].push(grown);
                        }
                    }
                }
            }
        }
    }
}

const HEADER: &str = "\
//! The selection functions as circuits of and, or, xor, and-not and not. `x1` is the first of the six bits, as
//! the standard numbers them; the four outputs come in its order too.
//!
//! Made by `cargo run --release -p dmvpn-des --example derive_circuits -- 6 4 16 7`, which says how. Each is tested on
//! all its inputs.

use super::Lanes;
";

/// One selection function as Rust.
fn print(number: usize, circuit: &Circuit) -> String {
    let name = |place: u8| {
        if usize::from(place) < INPUTS {
            format!("x{}", place + 1)
        } else {
            format!("g{}", usize::from(place) - INPUTS + 1)
        }
    };
    let mut text = format!(
        "/// S{0}, {1} gates.\n#[inline(always)]\npub(super) fn s{0}<W: Lanes>([x1, x2, x3, x4, x5, x6]: [W; 6]) -> [W; 4] {{\n",
        number + 1,
        circuit.gates.len()
    );
    for (n, gate) in circuit.gates.iter().enumerate() {
        let (a, b) = (name(gate.a), name(gate.b));
        let made = match gate.op {
            Op::And => format!("{a} & {b}"),
            Op::Or => format!("{a} | {b}"),
            Op::Xor => format!("{a} ^ {b}"),
            Op::AndNot => format!("{a} & !{b}"),
            Op::Not => format!("!{a}"),
        };
        writeln!(text, "    let g{} = {made};", n + 1).expect("a String takes everything");
    }
    let outputs: Vec<String> =
        circuit.outputs.iter().map(|o| name(o.expect("all outputs are there"))).collect();
    writeln!(text, "    [{}]\n}}", outputs.join(", ")).expect("a String takes everything");
    text
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<u64>().expect("a number"));
    let passes = numbers.next().unwrap_or(1);
    let tries = numbers.next().unwrap_or(4) as usize;
    let width = numbers.next().unwrap_or(8) as usize;
    let seed = numbers.next().unwrap_or(1);
    let only = numbers.next();
    println!("{HEADER}");
    for number in 0..8 {
        if only.is_some_and(|only| only as usize != number + 1) {
            continue;
        }
        // Each function's search is repeatable by itself.
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut best = None;
        for _ in 0..passes {
            derive(number, tries, width, &mut best, &mut random);
        }
        if let Some(best) = best {
            println!("{}", print(number, &best));
        }
    }
}
