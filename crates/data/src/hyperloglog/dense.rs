//! Registers of 6 bits each, one behind the other, low bits first.

use super::REGISTERS;

/// Bytes of all registers.
pub(super) const LEN: usize = REGISTERS * 6 / 8;
const MASK: u8 = 63;

/// The register at `index`.
#[inline]
pub(super) fn get(bytes: &[u8], index: usize) -> u8 {
    let (byte, shift) = place(index);
    let next = bytes.get(byte + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([bytes[byte], next]) >> shift) as u8 & MASK
}

/// Sets the register at `index`.
#[inline]
pub(super) fn set(bytes: &mut [u8], index: usize, rank: u8) {
    let (byte, shift) = place(index);
    let next = bytes.get(byte + 1).copied().unwrap_or(0);
    let held = u16::from_le_bytes([bytes[byte], next]);
    let changed = held & !(u16::from(MASK) << shift) | u16::from(rank) << shift;
    let [low, high] = changed.to_le_bytes();
    bytes[byte] = low;
    if let Some(next) = bytes.get_mut(byte + 1) {
        *next = high;
    }
}

/// Raises the register at `index`; whether it was lower.
#[inline]
pub(super) fn raise(bytes: &mut [u8], index: usize, rank: u8) -> bool {
    let raised = rank > get(bytes, index);
    if raised {
        set(bytes, index, rank);
    }
    raised
}

/// Gives all registers in order.
#[inline]
pub(super) fn each(bytes: &[u8], mut f: impl FnMut(u8)) {
    for group in bytes.chunks_exact(6) {
        // Eight registers at a time.
        let mut word = [0; 8];
        word[..6].copy_from_slice(group);
        let mut word = u64::from_le_bytes(word);
        for _ in 0..8 {
            f(word as u8 & MASK);
            word >>= 6;
        }
    }
}

/// The byte where a register begins, and at which bit.
#[inline]
fn place(index: usize) -> (usize, usize) {
    (index * 6 / 8, index * 6 % 8)
}
