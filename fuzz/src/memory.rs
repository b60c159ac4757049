//! Contract rule 4: memory in proportion to the input.

/// Calls `call`, which was given `input` octets, and holds it to `factor` octets of memory for each
/// of them beside `fixed`.
pub(crate) fn bounded<R>(input: usize, factor: u64, fixed: u64, call: impl FnOnce() -> R) -> R {
    let mut result = None;
    let used = allocation_counter::measure(|| result = Some(call()));
    let input = u64::try_from(input).unwrap_or(u64::MAX);
    let allowed = input.saturating_mul(factor).saturating_add(fixed);
    assert!(used.bytes_max <= allowed, "{} octets of memory for {input}", used.bytes_max);
    result.expect("the call was made")
}
