//! automerge's formats as bytes: fields are walked through without anything being kept of them.

/// What is left of some bytes. Every reader gives `None` where they end too early.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// Hashes that were passed.
    pub(super) hashes: u64,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, hashes: 0 }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(taken)
    }

    /// A length or a count: 35 bits of it, more than there is of anything.
    pub(super) fn number(&mut self) -> Option<u64> {
        self.digits().map(|(value, _)| value)
    }

    /// A number that may be negative.
    pub(super) fn signed(&mut self) -> Option<i64> {
        let (value, bits) = self.digits()?;
        let value = i64::try_from(value).ok()?;
        Some(if value >> (bits - 1) & 1 == 1 { value - (1 << bits) } else { value })
    }

    /// A number of any size, which nobody asks for.
    pub(super) fn skip_number(&mut self) -> Option<()> {
        let length = self.rest.iter().position(|byte| byte & 0x80 == 0)?;
        self.rest = &self.rest[length + 1..];
        Some(())
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length)
    }

    pub(super) fn skip_hashes(&mut self) -> Option<()> {
        let count = self.number()?;
        self.hashes += count;
        self.take(count.checked_mul(32)?).map(|_| ())
    }

    /// Up to five groups of seven bits, and how many bits they are.
    fn digits(&mut self) -> Option<(u64, u32)> {
        let mut value = 0;
        for bits in (7..=35).step_by(7) {
            let byte = *self.rest.split_off_first()?;
            value |= u64::from(byte & 0x7f) << (bits - 7);
            if byte & 0x80 == 0 {
                return Some((value, bits));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_written() {
        let cases: [(&[u8], Option<u64>, Option<i64>); 8] = [
            (&[0], Some(0), Some(0)),
            (&[63], Some(63), Some(63)),
            (&[64], Some(64), Some(-64)),
            (&[0x7f], Some(127), Some(-1)),
            (&[0xff, 0], Some(127), Some(127)),
            (&[0x80, 0x7f], Some(16256), Some(-128)),
            (&[0xff, 0xff, 0xff, 0xff, 0x07], Some(0x7fff_ffff), Some(0x7fff_ffff)),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0], None, None),
        ];
        for (bytes, number, signed) in cases {
            assert_eq!((Fields::new(bytes).number(), Fields::new(bytes).signed()), (number, signed), "{bytes:x?}");
        }
        let mut fields = Fields::new(&[0x80, 0x80, 0x80, 0x80, 0x80, 0, 7, 0x80]);
        assert_eq!((fields.skip_number(), fields.number(), fields.number()), (Some(()), Some(7), None));
    }
}
