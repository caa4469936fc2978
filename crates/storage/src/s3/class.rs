//! Storage classes: which object goes where.

use larder_model::task::S3StorageClass;

/// The class as the protocol writes it; nothing for the standard one, for not every server knows that it has classes.
pub(crate) const fn header(class: S3StorageClass) -> Option<&'static str> {
    match class {
        S3StorageClass::Standard => None,
        S3StorageClass::DeepArchive => Some("DEEP_ARCHIVE"),
        S3StorageClass::Glacier => Some("GLACIER"),
        S3StorageClass::GlacierInstantRetrieval => Some("GLACIER_IR"),
        S3StorageClass::IntelligentTiering => Some("INTELLIGENT_TIERING"),
        S3StorageClass::OneZoneInfrequentAccess => Some("ONEZONE_IA"),
        S3StorageClass::ReducedRedundancy => Some("REDUCED_REDUNDANCY"),
        S3StorageClass::StandardInfrequentAccess => Some("STANDARD_IA"),
        S3StorageClass::ExpressOneZone => Some("EXPRESS_ONEZONE"),
    }
}

/// Says whether objects of a class must be asked for before they can be read.
pub(crate) const fn is_archive(class: S3StorageClass) -> bool {
    matches!(class, S3StorageClass::DeepArchive | S3StorageClass::Glacier)
}

/// Says whether a class, as the protocol writes it, is one of those whose objects must be asked for.
pub(crate) fn is_archive_name(name: &str) -> bool {
    matches!(name, "GLACIER" | "DEEP_ARCHIVE")
}
