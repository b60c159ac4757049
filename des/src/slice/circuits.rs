//! The selection functions as circuits of and, or, xor, and-not and not. `x1` is the first of the six bits, as
//! the standard numbers them; the four outputs come in its order too.
//!
//! Made by `cargo run --release -p dmvpn-des --example derive_circuits -- 6 4 16 7`, which says how. Each is tested on
//! all its inputs.

use super::Lanes;

/// S1, 61 gates.
#[inline(always)]
pub(super) fn s1<W: Lanes>([x1, x2, x3, x4, x5, x6]: [W; 6]) -> [W; 4] {
    let g1 = x6 ^ x5;
    let g2 = !x2;
    let g3 = g2 & x1;
    let g4 = g1 ^ g3;
    let g5 = x1 | g2;
    let g6 = g1 | g2;
    let g7 = g6 & x1;
    let g8 = g7 & x5;
    let g9 = g5 ^ g8;
    let g10 = g9 & !x3;
    let g11 = g4 ^ g10;
    let g12 = g11 & x5;
    let g13 = x5 | x3;
    let g14 = g13 & x2;
    let g15 = g12 ^ g14;
    let g16 = x3 | g7;
    let g17 = g16 & !x6;
    let g18 = g15 ^ g17;
    let g19 = g18 & x4;
    let g20 = g11 ^ g19;
    let g21 = g7 ^ g9;
    let g22 = g9 ^ g2;
    let g23 = g22 & x6;
    let g24 = g21 ^ g23;
    let g25 = x2 & !g24;
    let g26 = g25 | g1;
    let g27 = g26 & !x3;
    let g28 = g24 ^ g27;
    let g29 = g22 ^ g11;
    let g30 = g29 | g10;
    let g31 = g29 | g24;
    let g32 = g31 ^ g11;
    let g33 = g32 & x5;
    let g34 = g30 ^ g33;
    let g35 = g34 & x4;
    let g36 = g28 ^ g35;
    let g37 = x4 ^ g12;
    let g38 = x6 | g15;
    let g39 = g38 ^ g36;
    let g40 = g39 & x2;
    let g41 = g37 ^ g40;
    let g42 = g4 & !g20;
    let g43 = g42 ^ g6;
    let g44 = g39 | g36;
    let g45 = g44 & x3;
    let g46 = g43 ^ g45;
    let g47 = g46 & x1;
    let g48 = g41 ^ g47;
    let g49 = g34 | g15;
    let g50 = g49 ^ g45;
    let g51 = g16 & g39;
    let g52 = g51 ^ g4;
    let g53 = g52 & !x1;
    let g54 = g50 ^ g53;
    let g55 = x2 | g38;
    let g56 = g29 ^ g44;
    let g57 = g24 & !g56;
    let g58 = g57 & x5;
    let g59 = g55 ^ g58;
    let g60 = g59 & x4;
    let g61 = g54 ^ g60;
    [g20, g61, g36, g48]
}

/// S2, 55 gates.
#[inline(always)]
pub(super) fn s2<W: Lanes>([x1, x2, x3, x4, x5, x6]: [W; 6]) -> [W; 4] {
    let g1 = x1 ^ x5;
    let g2 = !g1;
    let g3 = x5 & !g1;
    let g4 = g3 & !x6;
    let g5 = g4 & x2;
    let g6 = g2 ^ g5;
    let g7 = x6 | g5;
    let g8 = g7 ^ x2;
    let g9 = g8 & !x3;
    let g10 = g6 ^ g9;
    let g11 = g8 & !g7;
    let g12 = !g11;
    let g13 = x6 & !x3;
    let g14 = g13 & x5;
    let g15 = g12 ^ g14;
    let g16 = g15 & x4;
    let g17 = g10 ^ g16;
    let g18 = g8 ^ g1;
    let g19 = g1 & x2;
    let g20 = g19 & !x5;
    let g21 = g18 ^ g20;
    let g22 = x1 ^ g12;
    let g23 = g22 | g15;
    let g24 = g23 & !x3;
    let g25 = g21 ^ g24;
    let g26 = g4 ^ x5;
    let g27 = g26 | x2;
    let g28 = g27 & x4;
    let g29 = g25 ^ g28;
    let g30 = x4 ^ x6;
    let g31 = g30 ^ g27;
    let g32 = g29 & !g11;
    let g33 = g32 & x2;
    let g34 = g31 ^ g33;
    let g35 = g29 & !g21;
    let g36 = g35 & !x1;
    let g37 = g34 ^ g36;
    let g38 = g11 | g26;
    let g39 = g38 & !g22;
    let g40 = g39 & x3;
    let g41 = g37 ^ g40;
    let g42 = g10 ^ g8;
    let g43 = g42 ^ g24;
    let g44 = g19 & !g17;
    let g45 = g44 ^ g41;
    let g46 = g45 & !x4;
    let g47 = g43 ^ g46;
    let g48 = g17 | g18;
    let g49 = g48 ^ g37;
    let g50 = x4 ^ g4;
    let g51 = g50 ^ g17;
    let g52 = g51 & x5;
    let g53 = g49 ^ g52;
    let g54 = g53 & x1;
    let g55 = g47 ^ g54;
    [g29, g17, g55, g41]
}

/// S3, 56 gates.
#[inline(always)]
pub(super) fn s3<W: Lanes>([x1, x2, x3, x4, x5, x6]: [W; 6]) -> [W; 4] {
    let g1 = x1 ^ x4;
    let g2 = g1 ^ x2;
    let g3 = x4 | g1;
    let g4 = g3 & x6;
    let g5 = g2 ^ g4;
    let g6 = g3 & !x2;
    let g7 = !g6;
    let g8 = g7 & !x3;
    let g9 = g5 ^ g8;
    let g10 = x2 & !x6;
    let g11 = g10 ^ g4;
    let g12 = g5 & !g11;
    let g13 = g12 & x4;
    let g14 = g11 ^ g13;
    let g15 = !g11;
    let g16 = g15 & !x3;
    let g17 = g14 ^ g16;
    let g18 = g17 & x5;
    let g19 = g9 ^ g18;
    let g20 = x3 ^ x6;
    let g21 = g20 ^ x2;
    let g22 = x3 ^ x4;
    let g23 = g22 & !x5;
    let g24 = g21 ^ g23;
    let g25 = x3 ^ g11;
    let g26 = g25 ^ g9;
    let g27 = g26 & !x5;
    let g28 = g3 ^ g27;
    let g29 = g10 | g9;
    let g30 = g29 & !x4;
    let g31 = g28 ^ g30;
    let g32 = g31 & x1;
    let g33 = g24 ^ g32;
    let g34 = g24 ^ g25;
    let g35 = g33 & !g19;
    let g36 = g2 & !x5;
    let g37 = g35 ^ g36;
    let g38 = g37 & x4;
    let g39 = g34 ^ g38;
    let g40 = g2 & !g35;
    let g41 = g38 & !g18;
    let g42 = g40 ^ g41;
    let g43 = g42 & !x6;
    let g44 = g39 ^ g43;
    let g45 = g11 & !g20;
    let g46 = g45 ^ x5;
    let g47 = g46 & !x4;
    let g48 = g38 ^ g47;
    let g49 = g21 & !g36;
    let g50 = !g49;
    let g51 = g24 | g46;
    let g52 = g51 ^ g22;
    let g53 = g52 & x3;
    let g54 = g50 ^ g53;
    let g55 = g54 & !x1;
    let g56 = g48 ^ g55;
    [g19, g44, g56, g33]
}

/// S4, 43 gates.
#[inline(always)]
pub(super) fn s4<W: Lanes>([x1, x2, x3, x4, x5, x6]: [W; 6]) -> [W; 4] {
    let g1 = x5 ^ x4;
    let g2 = !x5;
    let g3 = g2 & !x3;
    let g4 = g1 ^ g3;
    let g5 = g1 & !x3;
    let g6 = g5 | x4;
    let g7 = g6 & !x1;
    let g8 = g4 ^ g7;
    let g9 = x1 | g6;
    let g10 = g9 ^ x3;
    let g11 = g8 & !g5;
    let g12 = g11 & !x5;
    let g13 = g10 ^ g12;
    let g14 = g13 & x2;
    let g15 = g8 ^ g14;
    let g16 = x4 ^ g5;
    let g17 = g16 ^ g10;
    let g18 = g4 & g13;
    let g19 = g18 ^ g9;
    let g20 = g19 & !x2;
    let g21 = g17 ^ g20;
    let g22 = g21 & x6;
    let g23 = g15 ^ g22;
    let g24 = g23 ^ g21;
    let g25 = !g24;
    let g26 = g25 ^ x6;
    let g27 = !g14;
    let g28 = g7 ^ g10;
    let g29 = g28 & !x2;
    let g30 = g27 ^ g29;
    let g31 = g29 | x3;
    let g32 = g31 ^ x4;
    let g33 = g32 & x5;
    let g34 = g30 ^ g33;
    let g35 = g11 ^ g20;
    let g36 = g35 ^ g31;
    let g37 = g29 ^ g8;
    let g38 = g37 & !x5;
    let g39 = g36 ^ g38;
    let g40 = g39 & !x6;
    let g41 = g34 ^ g40;
    let g42 = g41 ^ x6;
    let g43 = g42 ^ g39;
    [g41, g43, g23, g26]
}

/// S5, 60 gates.
#[inline(always)]
pub(super) fn s5<W: Lanes>([x1, x2, x3, x4, x5, x6]: [W; 6]) -> [W; 4] {
    let g1 = x3 ^ x6;
    let g2 = x4 & !x1;
    let g3 = g1 ^ g2;
    let g4 = x3 & !g1;
    let g5 = g4 ^ x1;
    let g6 = g5 & !x4;
    let g7 = g3 ^ g6;
    let g8 = g7 & !x6;
    let g9 = g8 | x3;
    let g10 = x5 ^ g6;
    let g11 = g10 ^ g9;
    let g12 = g11 & !x1;
    let g13 = g9 ^ g12;
    let g14 = g13 & x5;
    let g15 = g7 ^ g14;
    let g16 = g6 & !g8;
    let g17 = g16 ^ x4;
    let g18 = g17 & x2;
    let g19 = g15 ^ g18;
    let g20 = g4 | g12;
    let g21 = g20 ^ x4;
    let g22 = g21 ^ x2;
    let g23 = g22 & !g17;
    let g24 = g23 | g7;
    let g25 = g24 & !x6;
    let g26 = g22 ^ g25;
    let g27 = g11 ^ g19;
    let g28 = g27 | g13;
    let g29 = !g28;
    let g30 = !g7;
    let g31 = g30 & x2;
    let g32 = g29 ^ g31;
    let g33 = g32 & !x6;
    let g34 = g28 ^ g33;
    let g35 = g34 & !x5;
    let g36 = g26 ^ g35;
    let g37 = g22 ^ g32;
    let g38 = g37 ^ g5;
    let g39 = g19 ^ x2;
    let g40 = g39 ^ g36;
    let g41 = g40 & !x6;
    let g42 = g38 ^ g41;
    let g43 = x4 | g42;
    let g44 = g43 ^ g5;
    let g45 = x2 ^ g35;
    let g46 = g45 | g29;
    let g47 = g46 & !x5;
    let g48 = g44 ^ g47;
    let g49 = g48 & x3;
    let g50 = g42 ^ g49;
    let g51 = g46 & !g50;
    let g52 = g51 ^ g40;
    let g53 = x4 ^ g36;
    let g54 = g53 & !g50;
    let g55 = g54 & x1;
    let g56 = g52 ^ g55;
    let g57 = x1 & g51;
    let g58 = g57 | g47;
    let g59 = g58 & x2;
    let g60 = g56 ^ g59;
    [g60, g19, g36, g50]
}

/// S6, 57 gates.
#[inline(always)]
pub(super) fn s6<W: Lanes>([x1, x2, x3, x4, x5, x6]: [W; 6]) -> [W; 4] {
    let g1 = x1 & x5;
    let g2 = g1 ^ x2;
    let g3 = x1 ^ x5;
    let g4 = g3 & !x3;
    let g5 = g2 ^ g4;
    let g6 = g5 | x3;
    let g7 = g6 ^ g3;
    let g8 = g7 & !x4;
    let g9 = g5 ^ g8;
    let g10 = x1 & g6;
    let g11 = x5 | g9;
    let g12 = g11 ^ g7;
    let g13 = g9 & !g1;
    let g14 = g13 & x1;
    let g15 = g12 ^ g14;
    let g16 = g15 & x4;
    let g17 = g10 ^ g16;
    let g18 = g17 & x6;
    let g19 = g9 ^ g18;
    let g20 = g7 ^ x3;
    let g21 = g20 ^ x4;
    let g22 = g11 & g17;
    let g23 = !g22;
    let g24 = g23 & x6;
    let g25 = g21 ^ g24;
    let g26 = g19 & !x4;
    let g27 = g26 & !x1;
    let g28 = g5 ^ g27;
    let g29 = g1 ^ g12;
    let g30 = g29 ^ g8;
    let g31 = g30 & x6;
    let g32 = g28 ^ g31;
    let g33 = g32 & x2;
    let g34 = g25 ^ g33;
    let g35 = !g25;
    let g36 = x4 | x5;
    let g37 = g36 & !x3;
    let g38 = g35 ^ g37;
    let g39 = x5 | g25;
    let g40 = g12 & !x4;
    let g41 = g39 ^ g40;
    let g42 = x2 | g27;
    let g43 = g42 & !g40;
    let g44 = g43 & !x1;
    let g45 = g41 ^ g44;
    let g46 = g45 & x6;
    let g47 = g38 ^ g46;
    let g48 = g18 ^ g42;
    let g49 = g48 ^ g21;
    let g50 = g2 & !g11;
    let g51 = g50 & !x1;
    let g52 = g49 ^ g51;
    let g53 = g33 ^ g7;
    let g54 = g53 & x4;
    let g55 = g23 ^ g54;
    let g56 = g55 & !x6;
    let g57 = g52 ^ g56;
    [g47, g57, g34, g19]
}

/// S7, 55 gates.
#[inline(always)]
pub(super) fn s7<W: Lanes>([x1, x2, x3, x4, x5, x6]: [W; 6]) -> [W; 4] {
    let g1 = x3 ^ x2;
    let g2 = g1 ^ x4;
    let g3 = x2 & g2;
    let g4 = g3 ^ g1;
    let g5 = g4 & x5;
    let g6 = g2 ^ g5;
    let g7 = x5 & !x4;
    let g8 = g7 ^ x3;
    let g9 = g8 & x6;
    let g10 = g6 ^ g9;
    let g11 = g7 & !g4;
    let g12 = g11 | x6;
    let g13 = g4 & x6;
    let g14 = g13 ^ x4;
    let g15 = g14 & !x5;
    let g16 = g12 ^ g15;
    let g17 = x2 & !g15;
    let g18 = g17 & !x3;
    let g19 = g16 ^ g18;
    let g20 = g19 & !x1;
    let g21 = g10 ^ g20;
    let g22 = x1 ^ x6;
    let g23 = g22 ^ g8;
    let g24 = g22 ^ g21;
    let g25 = g24 & x4;
    let g26 = g25 & !x5;
    let g27 = g23 ^ g26;
    let g28 = x6 & !g21;
    let g29 = g28 & !x1;
    let g30 = g10 ^ g29;
    let g31 = g30 & x2;
    let g32 = g27 ^ g31;
    let g33 = g19 ^ g21;
    let g34 = g13 & !g3;
    let g35 = x2 & !g34;
    let g36 = g35 & x6;
    let g37 = g33 ^ g36;
    let g38 = !g4;
    let g39 = g38 & !x5;
    let g40 = g9 ^ g39;
    let g41 = g34 & !g10;
    let g42 = g41 & x4;
    let g43 = g40 ^ g42;
    let g44 = g43 & !x1;
    let g45 = g37 ^ g44;
    let g46 = x3 & !g25;
    let g47 = g46 ^ g2;
    let g48 = g40 & !g41;
    let g49 = g48 | g25;
    let g50 = g49 & x1;
    let g51 = g47 ^ g50;
    let g52 = g32 & !g25;
    let g53 = g52 ^ g3;
    let g54 = g53 & !x6;
    let g55 = g51 ^ g54;
    [g21, g45, g55, g32]
}

/// S8, 54 gates.
#[inline(always)]
pub(super) fn s8<W: Lanes>([x1, x2, x3, x4, x5, x6]: [W; 6]) -> [W; 4] {
    let g1 = x3 & !x5;
    let g2 = g1 ^ x4;
    let g3 = x4 | x5;
    let g4 = g3 & !x2;
    let g5 = g2 ^ g4;
    let g6 = x3 ^ g1;
    let g7 = !g6;
    let g8 = g4 & x3;
    let g9 = g8 ^ x5;
    let g10 = g9 & x4;
    let g11 = g7 ^ g10;
    let g12 = g11 & !x1;
    let g13 = g5 ^ g12;
    let g14 = g3 & !g12;
    let g15 = g14 ^ x1;
    let g16 = g9 & !x3;
    let g17 = g15 ^ g16;
    let g18 = !g13;
    let g19 = g12 & !x3;
    let g20 = g19 & !x4;
    let g21 = g18 ^ g20;
    let g22 = g21 & !x2;
    let g23 = g17 ^ g22;
    let g24 = g23 & x6;
    let g25 = g13 ^ g24;
    let g26 = x2 ^ g3;
    let g27 = g26 ^ g2;
    let g28 = g17 & !g4;
    let g29 = g28 ^ g6;
    let g30 = g29 & x1;
    let g31 = g27 ^ g30;
    let g32 = x1 ^ g28;
    let g33 = x2 & !g2;
    let g34 = g33 & !x3;
    let g35 = g32 ^ g34;
    let g36 = g35 & x6;
    let g37 = g31 ^ g36;
    let g38 = g11 ^ g27;
    let g39 = !g20;
    let g40 = g39 & !x2;
    let g41 = g29 ^ g40;
    let g42 = g41 & !x1;
    let g43 = g38 ^ g42;
    let g44 = g11 ^ g14;
    let g45 = g44 & x6;
    let g46 = g43 ^ g45;
    let g47 = g38 ^ x1;
    let g48 = x2 ^ g46;
    let g49 = g48 & !x4;
    let g50 = g47 ^ g49;
    let g51 = g18 ^ g50;
    let g52 = g51 ^ g23;
    let g53 = g52 & !x6;
    let g54 = g50 ^ g53;
    [g25, g46, g37, g54]
}
