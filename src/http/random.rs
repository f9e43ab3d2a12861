//! Randomness, at the edge where it is allowed.

use ulid::Ulid;

use super::problem::Problem;
use crate::domain::Timestamp;

/// Random bytes from the operating system.
pub(super) fn bytes<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the operating system gives no random bytes");
        Problem::Unavailable
    })?;
    Ok(bytes)
}

/// A new ULID of that instant.
pub(super) fn ulid(now: Timestamp) -> Result<Ulid, Problem> {
    let random = u128::from_le_bytes(bytes()?);
    Ok(Ulid::from_parts(u64::try_from(now.timestamp_millis()).unwrap_or_default(), random))
}
