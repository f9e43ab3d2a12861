//! What a client that does nothing but post gets out of the same receiver: the measure of what delivering costs.

use std::time::{Duration, Instant};

use awc::Client;

/// Requests under way, as many as one endpoint has.
const AT_ONCE: usize = 64;

/// Posts this body to `url` for as long as that, on a thread of its own; answers how many a second were taken.
pub(super) fn posts_per_second(url: &str, body: &str, seconds: u64) -> Option<f64> {
    let (url, body) = (url.to_owned(), body.to_owned());
    let posting = move || {
        actix_rt::System::new().block_on(async move {
            let end = Instant::now() + Duration::from_secs(seconds);
            let client = Client::builder().disable_timeout().finish();
            let posters = (0..AT_ONCE).map(|_| {
                let (client, url, body) = (client.clone(), url.clone(), body.clone());
                async move {
                    let mut taken = 0_u64;
                    while Instant::now() < end {
                        let answer = client.post(&url).insert_header(("content-type", "application/json"));
                        let answer = answer.send_body(body.clone()).await;
                        taken += u64::from(answer.is_ok_and(|answer| answer.status().is_success()));
                    }
                    taken
                }
            });
            let taken: u64 = futures_util::future::join_all(posters).await.into_iter().sum();
            taken as f64 / seconds as f64
        })
    };
    std::thread::Builder::new().name("plain".to_owned()).spawn(posting).ok()?.join().ok()
}
