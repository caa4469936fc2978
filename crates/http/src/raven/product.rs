//! Which RavenDB this server speaks like, and what it is called in a cluster of one.

/// The version whose wire format is spoken; clients compare it with their own.
pub(crate) const SERVER_VERSION: &str = "7.2.7.72051";

/// The same without the build number.
pub(crate) const FULL_VERSION: &str = "7.2.7";

/// The first two numbers of it.
pub(crate) const PRODUCT_VERSION: &str = "7.2";

/// The build number of it.
pub(crate) const BUILD_VERSION: u32 = 72_051;

/// The tag of the only node.
pub(crate) const NODE: &str = "A";
