//! Lengths and numbers as an archive holds them.

/// A length as 64 bits, which every platform's `usize` fits.
pub(super) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The little-endian number of 32 bits at `at`, if it is there.
pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    let found = bytes.get(at..at.checked_add(4)?)?;
    found.try_into().ok().map(u32::from_le_bytes)
}

/// The little-endian number of 64 bits at `at`, if it is there.
pub(super) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    let found = bytes.get(at..at.checked_add(8)?)?;
    found.try_into().ok().map(u64::from_le_bytes)
}
