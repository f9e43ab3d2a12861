//! Standard Webhooks 1.0 (<https://www.standardwebhooks.com>).

use std::time::Duration;

use super::{Answer, Header, Letter, Rendered, Sealing, Speaks, Unsendable};
use crate::domain::Timestamp;
use crate::domain::delivery::Verdict;

/// The canonical message, with the headers that every dialect carries.
pub(super) struct Standard;

impl Speaks for Standard {
    fn render(&self, _: &Letter) -> Result<Option<Rendered>, Unsendable> {
        Ok(None)
    }

    fn sign(&self, _: &Sealing<'_>) -> Vec<Header> {
        Vec::new()
    }
}

/// 2xx is acceptance; 410 or `Webhook-Delivery: disable` means never again, `abort-message` never this one again;
/// everything else, redirects included, is a refusal that `Retry-After` may stretch.
pub(super) fn judge(answer: &Answer, now: Timestamp) -> Verdict {
    let accepted = (200..=299).contains(&answer.status);
    let asks = |word: &str| {
        answer.webhook_delivery.as_deref().is_some_and(|asked| asked.trim().eq_ignore_ascii_case(word))
    };
    match answer.status {
        410 => Verdict::Gone { accepted },
        _ if asks("disable") => Verdict::Gone { accepted },
        _ if accepted => Verdict::Accepted,
        _ if asks("abort-message") => Verdict::Rejected { why: "abort-message" },
        _ => Verdict::Refused { retry_after: retry_after(answer, now) },
    }
}

/// RFC 9110 §10.2.3: whole seconds, or a date in any of the three HTTP formats. Anything else is no promise.
pub(super) fn retry_after(answer: &Answer, now: Timestamp) -> Option<Duration> {
    let text = answer.retry_after.as_deref()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let at = Timestamp::from(httpdate::parse_http_date(text).ok()?);
    Some((at - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged_by_status_and_by_what_the_receiver_asks_for() {
        let now = Timestamp::from_timestamp(784_111_767, 0).unwrap(); // ten seconds before the date below
        let refused =
            |seconds: Option<u64>| Verdict::Refused { retry_after: seconds.map(Duration::from_secs) };
        for (status, retry_after, delivery, verdict) in [
            (200, None, None, Verdict::Accepted),
            (204, Some("30"), None, Verdict::Accepted),
            (299, None, Some("continue"), Verdict::Accepted),
            (410, Some("30"), None, Verdict::Gone { accepted: false }),
            (200, None, Some("disable"), Verdict::Gone { accepted: true }),
            (500, None, Some(" Disable "), Verdict::Gone { accepted: false }),
            (200, None, Some("abort-message"), Verdict::Accepted),
            (422, None, Some("abort-message"), Verdict::Rejected { why: "abort-message" }),
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
