//! What the load generator and the demo need of the network: a small client, and a receiver of webhooks.

pub(super) mod api;
pub(super) mod http1;
pub(super) mod receiver;
