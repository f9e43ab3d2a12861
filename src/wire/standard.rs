//! Standard Webhooks 1.0 (<https://www.standardwebhooks.com>).

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Answer, NoUsableSecret, SignedRequest, USER_AGENT};
use crate::domain::Timestamp;
use crate::domain::delivery::Verdict;
use crate::domain::endpoint::Secret;

/// Signs `id.timestamp.body`, once for every secret. `timestamp` is in seconds since the epoch.
pub(super) fn encode(
    id: &str,
    body: String,
    secrets: &[Secret],
    timestamp: i64,
) -> Result<SignedRequest, NoUsableSecret> {
    let timestamp = timestamp.to_string();
    let mut signatures = String::with_capacity(48 * secrets.len());
    for key in secrets.iter().filter_map(Secret::key) {
        // Verifiers split the list at spaces and choke on an empty token.
        if !signatures.is_empty() {
            signatures.push(' ');
        }
        signatures.push_str("v1,");
        BASE64_STANDARD.encode_string(sign(&key, id, &timestamp, &body), &mut signatures);
    }
    if signatures.is_empty() {
        return Err(NoUsableSecret);
    }
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", USER_AGENT.to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", signatures),
    ];
    Ok(SignedRequest { headers, body })
}

fn sign(key: &[u8], id: &str, timestamp: &str, body: &str) -> [u8; 32] {
    #[expect(clippy::unwrap_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    for part in [id, ".", timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

/// 2xx is acceptance; 410 or `Webhook-Delivery: disable` means never again; everything else, redirects included, is a
/// refusal that `Retry-After` may stretch.
pub(super) fn judge(answer: &Answer, now: Timestamp) -> Verdict {
    let wants_no_more =
        answer.webhook_delivery.as_deref().is_some_and(|word| word.trim().eq_ignore_ascii_case("disable"));
    match answer.status {
        410 => Verdict::Gone,
        _ if wants_no_more => Verdict::Gone,
        200..=299 => Verdict::Accepted,
        _ => Verdict::Refused {
            retry_after: answer.retry_after.as_deref().and_then(|text| retry_after(text, now)),
        },
    }
}

/// RFC 9110 §10.2.3: whole seconds, or a date in any of the three HTTP formats. Anything else is no promise.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let at = Timestamp::from(httpdate::parse_http_date(text).ok()?);
    Some((at - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use standardwebhooks::Webhook;

    fn header<'a>(request: &'a SignedRequest, name: &str) -> &'a str {
        request.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str()).unwrap()
    }

    #[test]
    fn the_published_vectors_are_reproduced() {
        for (secret, id, timestamp, body, signature) in [
            (
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                1_649_367_553,
                r#"{"email":"test@example.com","username":"test_user"}"#,
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
            (
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ] {
            let secret = Secret::parse(secret).unwrap();
            let request = encode(id, body.to_owned(), &[secret], timestamp).unwrap();
            assert_eq!(header(&request, "webhook-signature"), signature);
            assert_eq!(header(&request, "webhook-id"), id);
            assert_eq!(header(&request, "webhook-timestamp"), timestamp.to_string());
            assert_eq!(request.body, body);
        }
    }

    #[test]
    fn the_official_library_verifies_with_the_new_and_the_old_secret() {
        let secrets = [Secret::of(&[1; 32]), Secret::of(&[2; 32])];
        let body = r#"{"note":"Größe 🍜"}"#;
        let request = encode("evt_1", body.to_owned(), &secrets, 1_772_562_600).unwrap();
        for secret in &secrets {
            let ours = header(&request, "webhook-signature");
            let theirs =
                Webhook::new(secret.reveal()).unwrap().sign("evt_1", 1_772_562_600, body.as_bytes()).unwrap();
            assert!(ours.split(' ').any(|signature| signature == theirs), "{ours} lacks {theirs}");
        }
        assert_eq!(header(&request, "webhook-signature").split(' ').count(), 2);
    }

    #[test]
    fn without_a_secret_nothing_is_sent() {
        assert_eq!(encode("evt_1", "{}".into(), &[], 0), Err(NoUsableSecret));
    }

    #[test]
    fn answers_are_judged_by_status_and_by_what_the_receiver_asks_for() {
        let now = Timestamp::from_timestamp(784_111_767, 0).unwrap(); // ten seconds before the date below
        let refused =
            |seconds: Option<u64>| Verdict::Refused { retry_after: seconds.map(Duration::from_secs) };
        for (status, retry_after, delivery, verdict) in [
            (200, None, None, Verdict::Accepted),
            (204, Some("30"), None, Verdict::Accepted),
            (299, None, Some("continue"), Verdict::Accepted),
            (410, Some("30"), None, Verdict::Gone),
            (200, None, Some("disable"), Verdict::Gone),
            (500, None, Some(" Disable "), Verdict::Gone),
            (100, None, None, refused(None)),
            (301, None, None, refused(None)),
            (304, None, None, refused(None)),
            (401, None, None, refused(None)),
            (429, Some("30"), None, refused(Some(30))),
            (503, Some("0"), None, refused(Some(0))),
            (503, Some("99999999999999999999999"), None, refused(Some(u64::MAX))),
            (503, Some("1e9"), None, refused(None)),
            (503, Some("-5"), None, refused(None)),
            (503, Some(""), None, refused(None)),
            (503, Some("Sun, 06 Nov 1994 08:49:37 GMT"), None, refused(Some(10))),
            (503, Some("Sunday, 06-Nov-94 08:49:37 GMT"), None, refused(Some(10))),
            (503, Some("Sun Nov  6 08:49:37 1994"), None, refused(Some(10))),
            (503, Some("Sun, 06 Nov 1994 08:49:07 GMT"), None, refused(Some(0))),
            (503, Some("tomorrow"), None, refused(None)),
        ] {
            let answer = Answer {
                status,
                retry_after: retry_after.map(str::to_owned),
                webhook_delivery: delivery.map(str::to_owned),
                body: Vec::new(),
            };
            assert_eq!(judge(&answer, now), verdict, "{status} {retry_after:?} {delivery:?}");
        }
    }
}
