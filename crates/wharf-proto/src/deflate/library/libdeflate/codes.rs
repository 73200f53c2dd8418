//! The codes of a deflate stream, as far as telling where each ends (RFC 1951 §3.2).

use super::super::Unable;

/// BTYPE (RFC 1951 §3.2.3).
#[derive(PartialEq, Eq)]
pub(super) enum Kind {
    Stored,
    FixedCodes,
    OwnCodes,
}

impl Kind {
    pub(super) fn read(bits: &mut Bits<'_>) -> Result<Self, Unable> {
        match bits.take(2)? {
            0 => Ok(Self::Stored),
            1 => Ok(Self::FixedCodes),
            2 => Ok(Self::OwnCodes),
            _ => Err(Unable),
        }
    }
}

/// The lengths of a block's codes, which tell the codes (RFC 1951 §3.2.7).
pub(super) struct Lengths {
    /// Room for all, and for the longest run behind the last.
    all: [u8; 512],
    literals: usize,
    distances: usize,
}

/// The order of the lengths of the codes for lengths.
const CODE_LENGTHS_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

impl Lengths {
    pub(super) fn read(bits: &mut Bits<'_>) -> Result<Self, Unable> {
        let literals = bits.take_size(5)? + 257;
        let distances = bits.take_size(5)? + 1;
        let mut of_lengths = [0; 19];
        for at in CODE_LENGTHS_ORDER.into_iter().take(bits.take_size(4)? + 4) {
            of_lengths[at] = bits.take(3)?;
        }
        let mut symbols = Vec::new();
        tabulate(&mut symbols, &of_lengths, |symbol, length| small(symbol) | length << 5);
        let mut all = [0; 512];
        let mut read = 0;
        while read < literals + distances {
            let entry = next(&symbols, bits.peek())?;
            bits.pass(usize::from(entry >> 5))?;
            let (length, times) = match entry & BITS {
                16 => (*all.get(read.wrapping_sub(1)).ok_or(Unable)?, bits.take_size(2)? + 3),
                17 => (0, bits.take_size(3)? + 3),
                18 => (0, bits.take_size(7)? + 11),
                length => {
                    all[read] = length;
                    read += 1;
                    continue;
                }
            };
            all[read..read + times].fill(length);
            read += times;
        }
        Ok(Self { all, literals, distances })
    }

    fn literals(&self) -> &[u8] {
        &self.all[..self.literals]
    }

    fn distances(&self) -> &[u8] {
        &self.all[self.literals..self.literals + self.distances]
    }

    /// The code of the end of the block, its last bit the lowest: each code before it, which is shorter or of a smaller
    /// symbol, takes its share of those of this length (RFC 1951 §3.2.2).
    pub(super) fn end_of_block(&self) -> u16 {
        let length = self.all[256];
        let codes_before = |symbols: &[u8], lengths: std::ops::Range<u8>| -> u16 {
            let before = symbols.iter().filter(|&&other| lengths.contains(&other));
            before.fold(0, |sum, other| sum.wrapping_add(1 << (length - other)))
        };
        let (before, behind) = self.literals().split_at(256);
        codes_before(before, 1..length + 1).wrapping_add(codes_before(behind, 1..length))
    }
}

/// What the next bits stand for, in a table as long as the longest code needs it.
#[derive(Debug, Default)]
pub(super) struct Codes {
    literals: Vec<Step>,
    distances: Vec<Step>,
}

/// A code and its extra bits: five bits for how many bits these are, and above them which of the three it is.
type Step = u8;

const BITS: Step = 0x1f;
const END_OF_BLOCK: Step = 1 << 5;
const LENGTH: Step = 1 << 6;

/// The most that a length and its distance take: codes of 15 bits, with 5 and 13 extra bits.
const LONGEST_PAIR: usize = 48;

const LENGTH_EXTRA_BITS: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

impl Codes {
    /// RFC 1951 §3.2.6.
    pub(super) fn fixed() -> Self {
        let mut codes = Self::default();
        let literals: Vec<u8> = [(8, 144), (9, 112), (7, 24), (8, 8)]
            .into_iter()
            .flat_map(|(length, n)| vec![length; n])
            .collect();
        tabulate(&mut codes.literals, &literals, literal_step);
        tabulate(&mut codes.distances, &[5; 30], distance_step);
        codes
    }

    pub(super) fn change_to(&mut self, lengths: &Lengths) {
        tabulate(&mut self.literals, lengths.literals(), literal_step);
        tabulate(&mut self.distances, lengths.distances(), distance_step);
    }

    /// Passes all codes up to and with the end of the block.
    pub(super) fn pass(&self, bits: &mut Bits<'_>) -> Result<(), Unable> {
        let (literals, distances) = (self.literals.as_slice(), self.distances.as_slice());
        loop {
            let mut ahead = bits.peek();
            let mut passed = 0;
            while passed + LONGEST_PAIR <= Bits::PEEKED {
                let step = next(literals, ahead)?;
                ahead >>= step & BITS;
                passed += usize::from(step & BITS);
                if step & END_OF_BLOCK != 0 {
                    return bits.pass(passed);
                }
                if step & LENGTH != 0 {
                    let step = next(distances, ahead)?;
                    ahead >>= step & BITS;
                    passed += usize::from(step & BITS);
                }
            }
            bits.pass(passed)?;
        }
    }
}

fn next(steps: &[Step], ahead: u64) -> Result<Step, Unable> {
    let mask = steps.len().wrapping_sub(1);
    #[expect(clippy::cast_possible_truncation, reason = "the mask leaves at most 15 bits of it")]
    let step = steps.get(ahead as usize & mask).copied().unwrap_or(0);
    // What no code stands at, nor any step that goes nowhere.
    if step == 0 { Err(Unable) } else { Ok(step) }
}

fn literal_step(symbol: usize, length: u8) -> Step {
    match symbol {
        0..256 => length,
        256 => length | END_OF_BLOCK,
        _ => (length + LENGTH_EXTRA_BITS.get(symbol - 257).copied().unwrap_or(0)) | LENGTH,
    }
}

fn distance_step(symbol: usize, length: u8) -> Step {
    length + (small(symbol) / 2).saturating_sub(1)
}

#[expect(clippy::cast_possible_truncation, reason = "codes for distances and lengths are fewer than 32")]
const fn small(symbol: usize) -> u8 {
    symbol as u8
}

/// The first code of each length (RFC 1951 §3.2.2), its last bit the lowest.
fn first_codes(lengths: &[u8]) -> [u16; 16] {
    let mut of_length = [0_u16; 16];
    for &length in lengths {
        of_length[usize::from(length)] += 1;
    }
    of_length[0] = 0;
    let mut codes = [0_u16; 16];
    for length in 1..16 {
        codes[length] = codes[length - 1].wrapping_add(of_length[length - 1]) << 1;
    }
    codes
}

/// Lays out which step the next bits are, from the lengths of the codes.
fn tabulate(steps: &mut Vec<Step>, lengths: &[u8], step: impl Fn(usize, u8) -> Step) {
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let mut codes = first_codes(lengths);
    steps.clear();
    steps.resize(1 << longest, 0);
    for (symbol, &length) in lengths.iter().enumerate().filter(|&(_, &length)| length != 0) {
        let code = &mut codes[usize::from(length)];
        // Codes come with their first bit first, all else with its last.
        let first = usize::from(code.reverse_bits() >> (16 - length));
        *code = code.wrapping_add(1);
        let step = step(symbol, length);
        for at in (first..steps.len()).step_by(1 << length) {
            steps[at] = step;
        }
    }
}

pub(super) struct Bits<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) position: usize,
}

impl Bits<'_> {
    /// How many bits `peek` has at least, where the stream goes on for so long.
    const PEEKED: usize = 57;

    /// The next bits, the first of them the lowest; zeros behind the end.
    fn peek(&self) -> u64 {
        let rest = self.bytes.get(self.position / 8..).unwrap_or(&[]);
        let word = match rest.first_chunk() {
            Some(word) => u64::from_le_bytes(*word),
            None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        word >> (self.position % 8)
    }

    pub(super) fn pass(&mut self, bits: usize) -> Result<(), Unable> {
        self.position += bits;
        if self.position <= self.bytes.len() * 8 { Ok(()) } else { Err(Unable) }
    }

    /// Up to 8 bits.
    pub(super) fn take(&mut self, bits: u8) -> Result<u8, Unable> {
        let [low, ..] = self.peek().to_le_bytes();
        self.pass(bits.into())?;
        Ok(low & (0xff >> (8 - bits)))
    }

    fn take_size(&mut self, bits: u8) -> Result<usize, Unable> {
        self.take(bits).map(usize::from)
    }

    /// RFC 1951 §3.2.4.
    pub(super) fn pass_stored(&mut self) -> Result<(), Unable> {
        self.position = self.position.next_multiple_of(8);
        let length = self.take_size(8)? | self.take_size(8)? << 8;
        self.pass(16 + length * 8)
    }
}
