//! From where a request comes.

use std::net::IpAddr;

use actix_web::HttpRequest;

/// The address of the client; `None` when the connection has none.
pub(super) fn address(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|peer| peer.ip())
}
