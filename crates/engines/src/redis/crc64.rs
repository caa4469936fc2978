//! The checksum at the end of an RDB file: CRC-64 as Jones gave it, reflected, beginning with 0.

/// The polynomial 0xad93d23594c935a9, its bits in reverse.
const REFLECTED: u64 = 0x95ac_9329_ac4b_c9b5;

static TABLES: [[u64; 256]; 8] = tables();

#[allow(
    clippy::cast_possible_truncation,
    reason = "counts to 255 in a constant, where nothing else converts"
)]
const fn tables() -> [[u64; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ REFLECTED } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

fn entry(table: usize, byte: u8) -> u64 {
    TABLES.get(table).and_then(|table| table.get(usize::from(byte))).copied().unwrap_or_default()
}

/// Goes on with a checksum over more bytes, eight at a time.
pub(super) fn update(mut crc: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let mixed = (crc ^ u64::from_le_bytes(*word)).to_le_bytes();
        crc = mixed.iter().enumerate().fold(0, |sum, (place, byte)| sum ^ entry(7 - place, *byte));
    }
    rest.iter().fold(crc, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        (crc >> 8) ^ entry(0, low ^ byte)
    })
}

#[cfg(test)]
mod tests {
    use super::update;

    #[test]
    fn the_check_value_comes_out_however_the_bytes_are_cut() {
        // The value that Redis's own source gives for these digits.
        const CHECK: u64 = 0xe9c6_d914_c4b8_d9ca;
        let digits = b"123456789";
        for cut in 0..=digits.len() {
            let (left, right) = digits.split_at(cut);
            assert_eq!(update(update(0, left), right), CHECK);
        }
    }
}
