//! The certificate that the server shows at its port, with its private key: read, checked, and used by rustls.

mod certificate;
mod error;
mod files;
mod pair;
mod pinned;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use certificate::Certificate;
pub use error::TlsError;
pub use pair::Pair;
pub use pinned::trusting_only;

type Result<T, E = TlsError> = std::result::Result<T, E>;

/// The one library for cryptography of this program.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
