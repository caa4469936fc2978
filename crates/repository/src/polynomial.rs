//! The polynomial of restic's own chunker, which a repository's configuration must hold.
//!
//! Larder cuts by FastCDC and never uses it; it has to be irreducible and of degree 53 so that stock restic can
//! write to the repository too.

use crate::crypto::{NoRandomness, fill_random};

const DEGREE: u32 = 53;

/// A polynomial over the field of two elements, bit i being the coefficient of x^i.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polynomial(pub u64);

impl Polynomial {
    /// Draws a random irreducible polynomial of degree 53; about one in 27 candidates is one.
    ///
    /// # Errors
    /// [`NoRandomness`] where the system has none.
    pub fn random_irreducible() -> Result<Self, NoRandomness> {
        loop {
            let mut bytes = [0; 8];
            fill_random(&mut bytes)?;
            let candidate = Self((u64::from_le_bytes(bytes) & ((1 << DEGREE) - 1)) | (1 << DEGREE) | 1);
            if candidate.is_irreducible() {
                return Ok(candidate);
            }
        }
    }

    /// Says whether it has no factors, by Rabin's test: a polynomial f of prime degree n is irreducible exactly when
    /// x^(2^n) = x modulo f and x^2 - x shares no factor with f.
    #[must_use]
    pub const fn is_irreducible(self) -> bool {
        if self.degree() != DEGREE {
            return false;
        }
        let x = 2;
        let mut power = x;
        let mut round = 0;
        while round < DEGREE {
            power = self.multiply(power, power);
            round += 1;
        }
        // No common factor with x (x + 1) means neither 0 nor 1 is a root.
        power == x && self.0 & 1 == 1 && self.0.count_ones() % 2 == 1
    }

    const fn degree(self) -> u32 {
        63 - (self.0 | 1).leading_zeros()
    }

    const fn multiply(self, a: u64, mut b: u64) -> u64 {
        let mut product = 0;
        let mut shifted = a;
        while b != 0 {
            if b & 1 == 1 {
                product ^= shifted;
            }
            shifted <<= 1;
            if shifted >> DEGREE != 0 {
                shifted ^= self.0;
            }
            b >>= 1;
        }
        product
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_polynomials_are_told_apart() {
        // The first is the example in the tests of restic's chunker; the second has an even number of terms.
        assert!(Polynomial(0x003D_A335_8B4D_C173).is_irreducible());
        assert!(!Polynomial(0x003D_A335_8B4D_C172).is_irreducible());
        assert!(!Polynomial((1 << 53) | 1).is_irreducible());
        assert!(!Polynomial(7).is_irreducible());
    }

    #[test]
    fn one_candidate_in_27_is_irreducible() {
        let found = (0..27_000u64)
            .filter(|n| {
                Polynomial((1 << 53) | (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11) | 1).is_irreducible()
            })
            .count();
        // Among odd constant terms the share is 2/53.
        assert!((800..1250).contains(&found), "{found}");
    }

    #[test]
    fn a_random_one_is_irreducible() {
        assert!(Polynomial::random_irreducible().unwrap().is_irreducible());
    }
}
