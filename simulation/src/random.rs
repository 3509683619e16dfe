//! Where chance comes from: the seed alone.

use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};

/// What all draws of a run come from.
pub(crate) type Random = Xoshiro256PlusPlus;

/// A generator of its own for each part of a run.
pub(crate) fn generator(seed: u64, part: u64) -> Random {
    // An odd factor: no two parts of a run meet.
    Random::seed_from_u64(seed ^ part.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
