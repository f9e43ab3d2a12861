//! Where names lead, asked before an endpoint that goes there is stored. Every dial asks again; this tells the person who
//! makes the endpoint at once.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::domain::address::AddressPolicy;
use crate::http::problem::Problem;

/// A resolver that does not answer must not hold up an admin.
const RESOLVE_WITHIN: Duration = Duration::from_secs(2);

/// Names that are looked up at once. A look-up takes a thread for as long as the resolver lets it, whoever waits for it.
static LOOK_UPS: Semaphore = Semaphore::const_new(16);

/// Refuses a name that leads to a private address now. One that leads nowhere yet is taken, and so is one that nobody finds
/// the time to look up.
pub(in crate::http) async fn check_name(
    policy: &AddressPolicy,
    field: &str,
    url: &url::Url,
) -> Result<(), Problem> {
    let (Some(host), Some(port)) = (url.domain(), url.port_or_known_default()) else { return Ok(()) };
    let host = host.to_owned();
    let look_up = async move {
        let found = tokio::net::lookup_host((host, port)).await;
        found.map(|all| all.map(|address| address.ip()).collect()).unwrap_or_default()
    };
    let found: Vec<IpAddr> = within(RESOLVE_WITHIN, &LOOK_UPS, look_up).await.unwrap_or_default();
    policy
        .check_all(&found)
        .map_err(|refusal| Problem::field(field, format!("its host leads to a private address: {refusal}")))
}

/// Does work that has a place, and keeps it until it is done, although nobody may be waiting any more. `None` when there was no
/// place for it, or it was not done, within `time`.
async fn within<T: Send + 'static>(
    time: Duration,
    places: &'static Semaphore,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let done = async move {
        let place = places.acquire().await.ok()?;
        let work = tokio::spawn(async move {
            let done = work.await;
            drop(place);
            done
        });
        work.await.ok()
    };
    timeout(time, done).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;

    #[actix_web::test]
    async fn whoever_waits_for_a_place_is_not_kept_waiting_and_one_that_hangs_keeps_its_own() {
        static ONE: Semaphore = Semaphore::const_new(1);
        let (soon, answer) = (Duration::from_millis(20), Arc::new(Notify::new()));
        let hanging = answer.clone();
        assert_eq!(within(soon, &ONE, async move { hanging.notified().await }).await, None);
        assert_eq!(ONE.available_permits(), 0);
        assert_eq!(within(soon, &ONE, async { panic!("there is no place for it") }).await, None::<()>);
        answer.notify_one();
        assert_eq!(within(Duration::from_secs(20), &ONE, async { 7 }).await, Some(7));
    }
}
