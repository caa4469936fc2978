//! The compact index in memory: where each blob of a repository lies.

use crate::blob::{BlobKind, PackedBlob};
use crate::id::Id;

/// Blobs share a starting point in groups of about this many.
const BLOBS_PER_BUCKET: usize = 4;

/// Where every blob of a repository lies, built from the index objects present at one moment.
///
/// 48 bytes a blob and one for the starting points; sorted, so that nothing but the blobs themselves takes memory.
#[derive(Debug, Default)]
pub struct Index {
    packs: Vec<IndexPack>,
    data: Table,
    trees: Table,
}

/// A pack that the index knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexPack {
    /// The pack's name.
    pub id: Id,
    /// What its blobs are; by the format a pack holds one kind only.
    pub kind: BlobKind,
    /// How many blobs it has.
    pub blobs: u32,
}

/// Where one blob lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The pack's name.
    pub pack: Id,
    /// The pack's place in [`Index::packs`].
    pub pack_number: u32,
    /// The blob within the pack.
    pub blob: PackedBlob,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    id: Id,
    pack: u32,
    offset: u32,
    length: u32,
    /// 0 where the blob is stored as it was.
    uncompressed_length: u32,
}

#[derive(Debug, Default)]
struct Table {
    records: Vec<Record>,
    /// Where the names with each leading bit pattern begin; one more at the end.
    starts: Vec<u32>,
    bits: u32,
}

impl Table {
    fn build(mut records: Vec<Record>) -> Self {
        records
            .sort_unstable_by(|a, b| a.id.cmp(&b.id).then(a.pack.cmp(&b.pack)).then(a.offset.cmp(&b.offset)));
        records.shrink_to_fit();
        let buckets = (records.len() / BLOBS_PER_BUCKET).next_power_of_two();
        let bits = buckets.trailing_zeros();
        let mut starts = Vec::with_capacity(buckets + 1);
        for (position, record) in records.iter().enumerate() {
            let bucket = bucket(&record.id, bits);
            while starts.len() <= bucket {
                starts.push(u32::try_from(position).unwrap_or(u32::MAX));
            }
        }
        while starts.len() <= buckets {
            starts.push(u32::try_from(records.len()).unwrap_or(u32::MAX));
        }
        Self { records, starts, bits }
    }

    fn find(&self, id: &Id) -> &[Record] {
        let bucket = bucket(id, self.bits);
        let (Some(first), Some(end)) = (self.starts.get(bucket), self.starts.get(bucket + 1)) else {
            return &[];
        };
        let group = &self.records[*first as usize..*end as usize];
        let from = group.partition_point(|record| record.id < *id);
        let same = group[from..].iter().take_while(|record| record.id == *id).count();
        &group[from..from + same]
    }
}

const fn bucket(id: &Id, bits: u32) -> usize {
    if bits == 0 { 0 } else { (id.prefix() >> (64 - bits)) as usize }
}

/// Collects the packs of index objects; [`IndexBuilder::build`] makes the index of them.
#[derive(Debug, Default)]
pub struct IndexBuilder {
    packs: Vec<IndexPack>,
    data: Vec<Record>,
    trees: Vec<Record>,
}

impl IndexBuilder {
    /// Adds a pack and its blobs.
    pub fn add(&mut self, pack: Id, blobs: impl IntoIterator<Item = PackedBlob>) {
        let number = u32::try_from(self.packs.len()).unwrap_or(u32::MAX);
        let mut entry = IndexPack { id: pack, kind: BlobKind::Data, blobs: 0 };
        for blob in blobs {
            entry.blobs += 1;
            entry.kind = blob.kind;
            let record = Record {
                id: blob.id,
                pack: number,
                offset: blob.offset,
                length: blob.length,
                uncompressed_length: blob.uncompressed_length.unwrap_or(0),
            };
            match blob.kind {
                BlobKind::Data => self.data.push(record),
                BlobKind::Tree => self.trees.push(record),
            }
        }
        self.packs.push(entry);
    }

    /// Sorts everything into an index.
    #[must_use]
    pub fn build(self) -> Index {
        Index { packs: self.packs, data: Table::build(self.data), trees: Table::build(self.trees) }
    }
}

impl Index {
    fn table(&self, kind: BlobKind) -> &Table {
        match kind {
            BlobKind::Data => &self.data,
            BlobKind::Tree => &self.trees,
        }
    }

    fn location(&self, kind: BlobKind, record: &Record) -> Option<Location> {
        let pack = self.packs.get(record.pack as usize)?;
        let uncompressed_length = Some(record.uncompressed_length).filter(|length| *length != 0);
        let Record { id, offset, length, .. } = *record;
        let blob = PackedBlob { id, kind, offset, length, uncompressed_length };
        Some(Location { pack: pack.id, pack_number: record.pack, blob })
    }

    /// Says whether a blob is in the repository.
    #[must_use]
    pub fn contains(&self, kind: BlobKind, id: &Id) -> bool {
        !self.table(kind).find(id).is_empty()
    }

    /// Returns where a blob lies; where it lies more than once, always the same place.
    #[must_use]
    pub fn locate(&self, kind: BlobKind, id: &Id) -> Option<Location> {
        self.table(kind).find(id).first().and_then(|record| self.location(kind, record))
    }

    /// Returns every place where a blob lies.
    pub fn locate_all(&self, kind: BlobKind, id: &Id) -> impl Iterator<Item = Location> + '_ {
        self.table(kind).find(id).iter().filter_map(move |record| self.location(kind, record))
    }

    /// Returns every blob of a kind, sorted by name; a blob that lies in several packs comes several times.
    pub fn blobs(&self, kind: BlobKind) -> impl Iterator<Item = Location> + '_ {
        self.table(kind).records.iter().filter_map(move |record| self.location(kind, record))
    }

    /// Returns the place at a position of [`Index::blobs`].
    #[must_use]
    pub fn at(&self, kind: BlobKind, position: usize) -> Option<Location> {
        self.table(kind).records.get(position).and_then(|record| self.location(kind, record))
    }

    /// Returns how many places of blobs of a kind there are.
    #[must_use]
    pub fn blob_count(&self, kind: BlobKind) -> usize {
        self.table(kind).records.len()
    }

    /// Returns the place of a blob in [`Index::blobs`], the same for every copy of it; for bit sets over all blobs.
    #[must_use]
    pub fn position(&self, kind: BlobKind, id: &Id) -> Option<usize> {
        let table = self.table(kind);
        let start = *table.starts.get(bucket(id, table.bits))? as usize;
        let end = *table.starts.get(bucket(id, table.bits) + 1)? as usize;
        let from = start + table.records[start..end].partition_point(|record| record.id < *id);
        table.records.get(from).filter(|record| record.id == *id).map(|_| from)
    }

    /// Returns every pack, in the order in which they were read; one that two index objects list comes twice.
    #[must_use]
    pub fn packs(&self) -> &[IndexPack] {
        &self.packs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(name: u32, kind: BlobKind) -> PackedBlob {
        let id = Id::of(&name.to_le_bytes());
        PackedBlob {
            id,
            kind,
            offset: name,
            length: 50,
            uncompressed_length: name.is_multiple_of(2).then_some(99),
        }
    }

    #[test]
    fn every_blob_is_found_and_no_other() {
        for total in [0, 1, 2, 3, 7, 100, 5000] {
            let mut builder = IndexBuilder::default();
            for first in (0..total).step_by(10) {
                builder.add(
                    Id::of(&[1, 2, 3]),
                    (first..total.min(first + 10)).map(|name| blob(name, BlobKind::Data)),
                );
            }
            let index = builder.build();
            assert_eq!(index.blob_count(BlobKind::Data), total as usize);
            for name in 0..total {
                let expected = blob(name, BlobKind::Data);
                let found = index.locate(BlobKind::Data, &expected.id).unwrap();
                assert_eq!(found.blob, expected);
                assert_eq!(found.pack_number, name / 10);
                assert!(!index.contains(BlobKind::Tree, &expected.id));
                let position = index.position(BlobKind::Data, &expected.id).unwrap();
                assert_eq!(index.blobs(BlobKind::Data).nth(position).unwrap().blob, expected);
            }
            for name in total..total + 100 {
                assert!(!index.contains(BlobKind::Data, &Id::of(&name.to_le_bytes())));
                assert_eq!(index.position(BlobKind::Data, &Id::of(&name.to_le_bytes())), None);
            }
        }
    }

    #[test]
    fn copies_of_a_blob_are_all_kept() {
        let mut builder = IndexBuilder::default();
        for pack in 0..3u8 {
            builder.add(Id::of(&[pack]), [blob(5, BlobKind::Tree), blob(6, BlobKind::Tree)]);
        }
        let index = builder.build();
        let id = blob(5, BlobKind::Tree).id;
        let packs: Vec<Id> = index.locate_all(BlobKind::Tree, &id).map(|l| l.pack).collect();
        assert_eq!(packs, [Id::of(&[0]), Id::of(&[1]), Id::of(&[2])]);
        assert_eq!(index.packs()[2], IndexPack { id: Id::of(&[2]), kind: BlobKind::Tree, blobs: 2 });
    }
}
