//! Pages of relations: which log place each carries, and whether it is what the server wrote.
//!
//! A page begins with the place in the log after its last change (8 bytes), its checksum (2), flags (2), and where its free
//! space begins and ends (2 and 2). The checksum is a parallel FNV-1a over the page's 32-bit words in 32 columns, in the
//! machine's own byte order, mixed with the number of the page within the relation.

use super::lsn::Lsn;

/// How many sums run beside each other.
const COLUMNS: usize = 32;

const PRIME: u32 = 16_777_619;

/// Where each sum begins.
const BEGINNINGS: [u32; COLUMNS] = [
    0x5B1F_36E9,
    0xB852_5960,
    0x02AB_50AA,
    0x1DE6_6D2A,
    0x79FF_467A,
    0x9BB9_F8A3,
    0x217E_7CD2,
    0x83E1_3D2C,
    0xF8D4_474F,
    0xE39E_B970,
    0x42C6_AE16,
    0x9932_16FA,
    0x7B09_3B5D,
    0x98DA_FF3C,
    0xF718_902A,
    0x0B1C_9CDB,
    0xE58F_764B,
    0x1876_36BC,
    0x5D7B_3BB1,
    0xE73D_E7DE,
    0x92BE_C979,
    0xCCA6_C0B2,
    0x304A_0979,
    0x85AA_43D4,
    0x7831_25BB,
    0x6CA8_EAA2,
    0xE407_EAC6,
    0x4B5C_FC3E,
    0x9FBF_8C76,
    0x15CA_20BE,
    0xF2CA_9FD3,
    0x959B_D756,
];

/// Reads the place in the log after the last change of a page.
pub(super) fn lsn(page: &[u8]) -> Lsn {
    let half = |at: usize| {
        let bytes = page.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
        u64::from(u32::from_ne_bytes(bytes))
    };
    Lsn(half(0) << 32 | half(4))
}

fn short(page: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(page.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default())
}

/// Says whether a page was never written to: the end of its free space is nowhere.
pub(super) fn is_new(page: &[u8]) -> bool {
    short(page, 14) == 0
}

/// Says whether a page carries the checksum that it should; a page that was never written to is all zeros.
pub(super) fn is_sound(page: &[u8], number: u32) -> bool {
    if is_new(page) {
        return page.iter().all(|byte| *byte == 0);
    }
    checksum(page, number) == short(page, 8)
}

/// Adds up a page, its own checksum left out.
fn checksum(page: &[u8], number: u32) -> u16 {
    let mut sums = BEGINNINGS;
    let mix = |sum: u32, word: u32| {
        let mixed = sum ^ word;
        mixed.wrapping_mul(PRIME) ^ (mixed >> 17)
    };
    for (row, words) in page.chunks_exact(4 * COLUMNS).enumerate() {
        for (column, (sum, word)) in sums.iter_mut().zip(words.as_chunks::<4>().0).enumerate() {
            let mut word = u32::from_ne_bytes(*word);
            if row == 0 && column == 2 {
                // The checksum itself, in the first two of these bytes.
                let [_, _, third, fourth] = word.to_ne_bytes();
                word = u32::from_ne_bytes([0, 0, third, fourth]);
            }
            *sum = mix(*sum, word);
        }
    }
    for _ in 0..2 {
        for sum in &mut sums {
            *sum = mix(*sum, 0);
        }
    }
    let all = sums.iter().fold(0, |all, sum| all ^ sum) ^ number;
    // Never 0, which stands for a page without one.
    u16::try_from(all % 65_535 + 1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_bit_and_another_place_are_seen() {
        let mut page: Vec<u8> = (0..8192_u32).map(|place| (place * 7 % 251) as u8).collect();
        let sum = checksum(&page, 9);
        page[8..10].copy_from_slice(&sum.to_ne_bytes());
        assert!(is_sound(&page, 9) && !is_sound(&page, 10));
        page[5000] ^= 4;
        assert!(!is_sound(&page, 9));
        assert!(is_sound(&[0; 8192], 3) && is_new(&[0; 8192]));
        let mut torn = [0; 8192];
        torn[4096] = 1;
        assert!(!is_sound(&torn, 3), "an empty page with something in it");
    }

    #[test]
    fn the_place_in_the_log_is_read_high_half_first() {
        let mut page = [0; 8192];
        page[..4].copy_from_slice(&0x16_u32.to_ne_bytes());
        page[4..8].copy_from_slice(&0xB374_D848_u32.to_ne_bytes());
        assert_eq!(lsn(&page).to_string(), "16/B374D848");
    }
}
