//! How engines reach servers that they ask without a vendor's client: addresses, options, TLS, HTTP.

mod address;
mod http;
mod options;
mod tls;

pub(crate) use address::Address;
pub(crate) use http::{Answer, Http, quick_get};
pub(crate) use options::Options;
pub(crate) use tls::{TLS_MEANINGS, TLS_OPTIONS, Tls};

use std::time::Duration;

/// How long a connection may take to be made.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// How long a server may say nothing before it is given up.
pub(crate) const SILENCE: Duration = Duration::from_secs(120);
