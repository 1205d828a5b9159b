//! Random numbers that are the same for ever: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
//! generators, 2014). A seed in a bug report has to mean the same runs in every later version.

#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Independent streams for each run of a seed.
    pub(crate) fn new(seed: u64, run: u64) -> Self {
        Self(mix(seed ^ mix(run)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        let drawn = mix(self.0);
        self.0 = self.0.wrapping_add(GAMMA);
        drawn
    }

    /// Less than `n`, which must not be 0. Off from uniform by less than one in 2^64 / `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The generator's output function; also serves as a hash.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(GAMMA);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
