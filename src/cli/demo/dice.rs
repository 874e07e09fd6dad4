//! Numbers that look random and are the same every time: what makes the database a function of the
//! number of its transactions.

/// A stream of numbers (`SplitMix64`), determined by what it is for.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// The stream for the `number`th thing of a kind.
    pub(super) fn of(kind: u64, number: i64) -> Self {
        let number = u64::from_ne_bytes(number.to_ne_bytes());
        let mut dice = Self(kind.wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ number);
        // Neighbouring numbers start far apart.
        Self(dice.roll() ^ number.rotate_left(32))
    }

    /// The next number.
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The next number from 0 up to, but not including, `bound` (at least 1).
    pub(super) fn below(&mut self, bound: i64) -> i64 {
        let number = i64::try_from(self.roll() >> 1).expect("63 bits fit");
        number.rem_euclid(bound.max(1))
    }

    /// One of these.
    pub(super) fn pick<'a>(&mut self, words: &'a [&'a str]) -> &'a str {
        let bound = i64::try_from(words.len()).unwrap_or(i64::MAX);
        let index = usize::try_from(self.below(bound)).unwrap_or(0);
        words.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_thing_rolls_the_same_numbers_and_neighbours_do_not() {
        let first: Vec<u64> = std::iter::repeat_with({
            let mut dice = Dice::of(1, 7);
            move || dice.roll()
        })
        .take(4)
        .collect();
        let mut again = Dice::of(1, 7);
        assert_eq!(first, [again.roll(), again.roll(), again.roll(), again.roll()]);
        assert_ne!(Dice::of(1, 8).roll(), Dice::of(1, 7).roll());
        assert_ne!(Dice::of(2, 7).roll(), Dice::of(1, 7).roll());
        assert!((0..1000).all(|number| (0..10).contains(&Dice::of(3, number).below(10))));
    }
}
