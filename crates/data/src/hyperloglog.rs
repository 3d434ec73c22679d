//! HyperLogLog: about how many distinct elements there were, in a string of at most 12 KiB.
//!
//! The representation is that of Redis, byte for byte:
//!
//! ```text
//! "HYLL" | encoding (0 dense, 1 sparse) | 3 unused | cardinality, 8 bytes | registers
//! ```
//!
//! The highest bit of the cardinality says that it must be computed anew. There are 16,384
//! registers; each holds the longest run of zeros, plus one, in the hashes that fell to it. Dense
//! registers take 6 bits each, low bits first. Sparse ones are runs; see [`sparse`].
//!
//! A string comes from a client, who may have made it by hand: it is checked as it is read.

mod dense;
mod estimate;
mod hash;
mod sparse;

use estimate::Histogram;
use std::fmt;

/// How many registers there are.
pub const REGISTERS: usize = 1 << 14;
/// Bytes in front of the registers.
const HEAD: usize = 16;
const DENSE_LEN: usize = HEAD + dense::LEN;
const MAGIC: [u8; 4] = *b"HYLL";
const STALE: u8 = 0x80;

/// The string is not of the format at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotSketch;

/// The registers do not add up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupted;

impl fmt::Display for Corrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the registers do not add up")
    }
}

impl std::error::Error for Corrupted {}

/// All registers of one sketch or of several, a byte each.
pub struct Registers(Box<[u8; REGISTERS]>);

impl Default for Registers {
    fn default() -> Self {
        Registers(Box::new([0; REGISTERS]))
    }
}

impl Registers {
    /// The estimate of all elements.
    #[must_use]
    pub fn count(&self) -> u64 {
        let mut histogram = Histogram::default();
        self.0.iter().for_each(|rank| histogram.add(*rank, 1));
        histogram.estimate()
    }

    /// The registers.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; REGISTERS] {
        &self.0
    }

    #[inline]
    fn raise(&mut self, index: usize, rank: u8) {
        let held = &mut self.0[index];
        *held = rank.max(*held);
    }
}

/// An element as a sketch sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Observation {
    index: u16,
    /// 1 to 51.
    rank: u8,
}

impl Observation {
    /// What a sketch sees of an element.
    #[must_use]
    pub fn of(element: &[u8]) -> Self {
        let hash = hash::murmur64a(element);
        // A bit behind the last one ends the run.
        let rest = (hash >> 14) | (1 << 50);
        Self {
            index: (hash & (REGISTERS as u64 - 1)) as u16,
            rank: rest.trailing_zeros() as u8 + 1,
        }
    }
}

/// How the registers are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// 6 bits each.
    Dense,
    /// Runs of equal ones.
    Sparse,
}

/// A sketch as it lies in a string.
#[derive(Clone, Copy)]
pub struct Sketch<'a> {
    bytes: &'a [u8],
    form: Form,
}

impl<'a> Sketch<'a> {
    /// The sketch that the string is.
    ///
    /// # Errors
    /// It has not the format. Sparse registers are not looked at.
    pub fn new(bytes: &'a [u8]) -> Result<Self, NotSketch> {
        if bytes.len() < HEAD || !bytes.starts_with(&MAGIC) {
            return Err(NotSketch);
        }
        let form = match bytes[4] {
            0 if bytes.len() == DENSE_LEN => Form::Dense,
            1 => Form::Sparse,
            _ => return Err(NotSketch),
        };
        Ok(Self { bytes, form })
    }

    /// How the registers are kept.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// The estimate that is kept in the sketch, if it still holds.
    #[must_use]
    pub fn cached_count(&self) -> Option<u64> {
        let count: [u8; 8] = self.bytes[8..HEAD].try_into().ok()?;
        (count[7] & STALE == 0).then(|| u64::from_le_bytes(count))
    }

    fn registers(&self) -> &'a [u8] {
        &self.bytes[HEAD..]
    }

    /// The estimate, computed from the registers.
    ///
    /// # Errors
    /// They do not add up.
    pub fn count(&self) -> Result<u64, Corrupted> {
        let mut histogram = Histogram::default();
        match self.form {
            Form::Dense => dense::each(self.registers(), |rank| histogram.add(rank, 1)),
            Form::Sparse => {
                sparse::check(self.registers())?;
                sparse::runs(self.registers()).for_each(|run| histogram.add(run.rank, run.len));
            }
        }
        Ok(histogram.estimate())
    }

    /// Raises `into` to the registers.
    ///
    /// # Errors
    /// They do not add up; nothing was raised.
    pub fn merge(&self, into: &mut Registers) -> Result<(), Corrupted> {
        let mut index = 0;
        match self.form {
            Form::Dense => dense::each(self.registers(), |rank| {
                into.raise(index, rank);
                index += 1;
            }),
            Form::Sparse => {
                sparse::check(self.registers())?;
                for run in sparse::runs(self.registers()) {
                    if run.rank > 0 {
                        (index..index + run.len).for_each(|index| into.raise(index, run.rank));
                    }
                    index += run.len;
                }
            }
        }
        Ok(())
    }

    /// Whether adding this would change anything. `None`: it cannot be told, for the registers do
    /// not add up.
    fn is_raised_by(&self, seen: Observation) -> Option<bool> {
        let held = match self.form {
            Form::Dense => dense::get(self.registers(), usize::from(seen.index)),
            Form::Sparse => sparse::get(self.registers(), usize::from(seen.index))?,
        };
        Some(seen.rank > held)
    }

    /// Whether adding one of these would change anything.
    ///
    /// # Errors
    /// The registers do not add up.
    pub fn is_raised(&self, seen: &[Observation]) -> Result<bool, Corrupted> {
        for seen in seen {
            if self.is_raised_by(*seen).ok_or(Corrupted)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The runs of sparse registers as `PFDEBUG DECODE` tells them.
    #[must_use]
    pub fn describe_runs(&self) -> String {
        let words: Vec<String> =
            sparse::runs(self.registers()).map(|run| run.to_string()).collect();
        words.join(" ")
    }
}

/// Writes the estimate into the head of a sketch.
pub fn set_cached_count(sketch: &mut [u8], count: u64) {
    if let Some(head) = sketch.get_mut(8..HEAD) {
        head.copy_from_slice(&count.to_le_bytes());
    }
}

/// Says in the head of a sketch that the estimate must be computed anew.
pub fn invalidate(sketch: &mut [u8]) {
    if let Some(last) = sketch.get_mut(HEAD - 1) {
        *last |= STALE;
    }
}

/// Adds to a dense sketch in place; how many changed it.
pub fn add_dense(sketch: &mut [u8], seen: &[Observation]) -> u32 {
    let Some(registers) = sketch.get_mut(HEAD..) else { return 0 };
    let mut changed = 0;
    for seen in seen {
        changed += u32::from(dense::raise(registers, usize::from(seen.index), seen.rank));
    }
    changed
}

/// Whether the parts work together on this machine: registers keep what is set, both forms agree,
/// and estimates are near the truth. `seed` chooses the elements.
///
/// # Errors
/// What does not hold.
pub fn self_test(seed: u64) -> Result<(), String> {
    let mut registers = vec![0; dense::LEN];
    for round in 0..4 {
        let rank = |index: usize| ((index as u64 * 37) ^ (seed >> round)) as u8 & 63;
        (0..REGISTERS).for_each(|index| dense::set(&mut registers, index, rank(index)));
        if let Some(wrong) = (0..REGISTERS).find(|at| dense::get(&registers, *at) != rank(*at)) {
            return Err(format!(
                "Register {wrong} should be {} but is {}",
                rank(wrong),
                dense::get(&registers, wrong)
            ));
        }
    }
    let mut sketch = SketchBuf::new(3000);
    let mut dense = SketchBuf::new(0);
    let broken = |_| "a sketch is corrupted".to_owned();
    dense.make_dense().map_err(broken)?;
    let mut checkpoint = 1;
    for count in 1..=10_000_u64 {
        let seen = [Observation::of(&(count ^ seed).to_le_bytes())];
        sketch.add(&seen).map_err(broken)?;
        dense.add(&seen).map_err(broken)?;
        if count == checkpoint {
            check_estimate(&sketch, &dense, count)?;
            checkpoint *= 10;
        }
    }
    Ok(())
}

fn check_estimate(sketch: &SketchBuf, dense: &SketchBuf, truth: u64) -> Result<(), String> {
    let count = |sketch: &SketchBuf| Sketch::new(&sketch.bytes).ok()?.count().ok();
    let (Some(a), Some(b)) = (count(sketch), count(dense)) else {
        return Err("a sketch is corrupted".to_owned());
    };
    if a != b {
        return Err("dense/sparse disagree".to_owned());
    }
    // Six standard errors, and for few elements a collision.
    let allowed = (6.0 * 1.04 / (REGISTERS as f64).sqrt() * truth as f64).ceil() as u64;
    let off = a.abs_diff(truth);
    if off > allowed.max(1) {
        return Err(format!("Too big error. card:{truth} abserr:{off}"));
    }
    Ok(())
}

/// A sketch of its own, for changing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SketchBuf {
    bytes: Vec<u8>,
    form: Form,
    /// The longest sparse representation, in bytes; beyond, it becomes dense.
    sparse_max: usize,
}

impl SketchBuf {
    /// A sketch that has seen nothing.
    #[must_use]
    pub fn new(sparse_max: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEAD + 2);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&sparse::NOTHING);
        Self { bytes, form: Form::Sparse, sparse_max }
    }

    /// A copy of a sketch.
    #[must_use]
    pub fn copy_of(sketch: Sketch<'_>, sparse_max: usize) -> Self {
        Self { bytes: sketch.bytes.to_vec(), form: sketch.form, sparse_max }
    }

    /// How the registers are kept.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// The bytes to be stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds elements; how many changed anything.
    ///
    /// # Errors
    /// The registers do not add up; some of the elements may have been added.
    pub fn add(&mut self, seen: &[Observation]) -> Result<u32, Corrupted> {
        let mut changed = 0;
        for seen in seen {
            let from = sparse::Place::START;
            changed += u32::from(self.raise(usize::from(seen.index), seen.rank, from)?.1);
        }
        Ok(changed)
    }

    /// Raises to the registers given.
    ///
    /// # Errors
    /// The registers do not add up; some may have been raised.
    pub fn add_registers(&mut self, registers: &Registers) -> Result<(), Corrupted> {
        let mut place = sparse::Place::START;
        for (index, rank) in registers.0.iter().enumerate() {
            if *rank > 0 {
                place = self.raise(index, *rank, place)?.0;
            }
        }
        Ok(())
    }

    /// Raises one register, which lies behind `from`; a place before the next ones, and whether
    /// anything changed.
    fn raise(
        &mut self,
        index: usize,
        rank: u8,
        from: sparse::Place,
    ) -> Result<(sparse::Place, bool), Corrupted> {
        if self.form == Form::Sparse {
            let room = self.sparse_max.saturating_sub(HEAD);
            match sparse::raise(&mut self.bytes, HEAD, room, index, rank, from)? {
                Some((place, changed)) => {
                    if changed {
                        invalidate(&mut self.bytes);
                    }
                    return Ok((place, changed));
                }
                None => self.make_dense()?,
            }
        }
        Ok((from, dense::raise(&mut self.bytes[HEAD..], index, rank)))
    }

    /// Makes the registers dense.
    ///
    /// # Errors
    /// They do not add up; nothing was changed.
    pub fn make_dense(&mut self) -> Result<(), Corrupted> {
        if self.form == Form::Dense {
            return Ok(());
        }
        let sparse = &self.bytes[HEAD..];
        sparse::check(sparse)?;
        let mut dense = vec![0; DENSE_LEN];
        dense[..HEAD].copy_from_slice(&self.bytes[..HEAD]);
        dense[4] = 0;
        let mut index = 0;
        for run in sparse::runs(sparse) {
            if run.rank > 0 {
                (index..index + run.len)
                    .for_each(|at| dense::set(&mut dense[HEAD..], at, run.rank));
            }
            index += run.len;
        }
        (self.bytes, self.form) = (dense, Form::Dense);
        Ok(())
    }

    /// Says that the estimate must be computed anew.
    pub fn invalidate(&mut self) {
        invalidate(&mut self.bytes);
    }
}

#[cfg(test)]
mod tests;
