//! Integer conversions that lose nothing, or that stop at the largest number.
//!
//! `as` is linted in this crate because it cuts numbers off silently. What `try_from` cannot promise for every
//! platform is promised here once, for the platforms that Coffer is built for.

const _: () = assert!(
    usize::BITS >= u32::BITS && usize::BITS <= u64::BITS,
    "Coffer is built for 32-bit and 64-bit platforms"
);

/// A length or index as 64 bits.
#[expect(clippy::as_conversions, reason = "`usize` has at most 64 bits, see above")]
pub const fn to_u64(number: usize) -> u64 {
    number as u64
}

/// A number of 32 bits as a length or index.
#[expect(clippy::as_conversions, reason = "`usize` has at least 32 bits, see above")]
pub const fn to_usize(number: u32) -> usize {
    number as usize
}

/// A number of 64 bits as a length or index; [`usize::MAX`] where it does not fit.
pub fn saturating_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A number in 32 bits; [`u32::MAX`] where it does not fit.
pub fn saturating_u32(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}
