//! Bubblehouse's hook `SendEvent1`: a JSON Web Token, maps of properties, and an answer that says what became of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use url::Url;

use super::told::{Face, Millis, Raw, Told};
use super::{
    Answer, Header, Letter, Occasion, Rendered, Sealing, Speaks, Unsendable, name_of, sign, standard,
};
use crate::domain::Timestamp;
use crate::domain::delivery::Verdict;
use crate::domain::endpoint::Dialect;
use crate::domain::ids::EventId;
use crate::domain::json::to_json;
use crate::domain::loyalty_event::EventType;

/// The only hook of theirs that tells of events.
const HOOK: &str = "SendEvent1";
/// Verifiers refuse tokens from their future, and clocks differ.
const ISSUED_BEFORE: i64 = 30;
/// For how long a token is good.
const GOOD_FOR: i64 = 300;

pub(super) struct Bubblehouse;

impl Speaks for Bubblehouse {
    fn render(&self, letter: &Letter) -> Result<Option<Rendered>, Unsendable> {
        if letter.occasion == Occasion::Greeting {
            return Ok(Some(Rendered { body: "{}".to_owned(), headers: Vec::new() }));
        }
        let told = Told::read(&letter.message)?;
        let unspeakable = Unsendable::Unspeakable { dialect: Dialect::Bubblehouse, kind: told.kind };
        let face = told.member.as_ref().ok_or(unspeakable)?;
        let facts: Facts<'_> = told.data()?;
        let body = to_json(&Event {
            bhid: bhid(message_id(told.id, letter.name)),
            time: Millis(told.timestamp),
            name: letter.name.map_or_else(|| name(&told, &facts), |name| Ok(name.to_owned()))?,
            customer: Customer::of(face),
            customer_props: customer_props(face, &facts),
            segment_props: segment_props(told.kind, &facts),
            extra_props: extra_props(told.kind, &facts),
            new_user: facts.new_user,
            referred_user: facts.referred_user,
            customer_only: matches!(told.kind, EventType::MemberUpdated | EventType::MemberEnrolled),
        });
        Ok(Some(Rendered { body, headers: Vec::new() }))
    }

    fn capitals(&self) -> bool {
        true
    }

    fn sign(&self, sealing: &Sealing<'_>) -> Vec<Header> {
        #[derive(Serialize)]
        struct Claims {
            iat: i64,
            exp: i64,
            jti: String,
            sub: &'static str,
            body_sha256: String,
        }
        let iat = sealing.timestamp() - ISSUED_BEFORE;
        let Letter { delivery, attempt, .. } = sealing.letter;
        let claims = Claims {
            iat,
            exp: iat + GOOD_FOR,
            // When somebody sends it again by hand, the attempts are counted anew.
            jti: format!("{delivery}.{attempt}.{}", sealing.now.timestamp_micros()),
            sub: hook(sealing.letter.occasion),
            body_sha256: sign::hex(&Sha256::digest(sealing.body)),
        };
        vec![("authorization", format!("Bearer {}", sign::jwt_hs256(sealing.secret(), &to_json(&claims))))]
    }

    /// The answer's `outcome` says what became of the event; a success without one does not.
    fn judge(&self, answer: &Answer, now: Timestamp) -> Verdict {
        #[derive(Deserialize)]
        struct Said {
            outcome: String,
        }
        // Files of scripts begin with this mark, and then so does what they print.
        let body = answer.body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&answer.body);
        // A list would be read as an object without names.
        let is_object = body.trim_ascii_start().starts_with(b"{");
        let said = serde_json::from_slice::<Said>(body).ok().filter(|_| is_object);
        let outcome = said.as_ref().map(|said| &*said.outcome);
        match (standard::judge(answer, now), outcome) {
            (Verdict::Gone { accepted }, _) => {
                Verdict::Gone { accepted: accepted && matches!(outcome, Some("sent" | "skipped")) }
            }
            (Verdict::Accepted, Some("sent" | "skipped")) => Verdict::Accepted,
            (Verdict::Accepted, Some("invalid_data")) => Verdict::Rejected { why: "invalid_data" },
            (Verdict::Accepted, Some("unsubscribed")) => Verdict::Rejected { why: "unsubscribed" },
            (Verdict::Accepted, _) => Verdict::Refused { retry_after: standard::retry_after(answer, now) },
            (verdict, _) => verdict,
        }
    }

    fn address(&self, url: &Url, occasion: Occasion) -> Option<Url> {
        const PLACE: &str = ":name";
        let (mut named, hook) = (url.clone(), hook(occasion));
        named.set_path(&url.path().replace(PLACE, hook));
        named.set_query(url.query().map(|query| query.replace(PLACE, hook)).as_deref());
        Some(named)
    }
}

fn hook(occasion: Occasion) -> &'static str {
    Dialect::Bubblehouse.greeting().filter(|_| occasion == Occasion::Greeting).unwrap_or(HOOK)
}

/// Their ids are hexadecimal. All bits of ours: receivers drop what they have seen, so none may be cut off.
fn bhid(id: u128) -> String {
    format!("{id:032x}")
}

/// A receiver may have one endpoint for `Points Updated` and another for `Points Earned`: to who drops what they have seen,
/// these are two.
fn message_id(event: EventId, name: Option<&str>) -> u128 {
    let Some(name) = name else { return event.ulid().0 };
    let digest = Sha256::digest(format!("{event} {name}"));
    digest.iter().take(16).fold(0, |id, byte| id << 8 | u128::from(*byte))
}

fn name(told: &Told<'_>, facts: &Facts<'_>) -> Result<String, Unsendable> {
    let is_sender = told.kind == EventType::ReferralApproved && facts.role.as_deref() == Some("sender");
    if is_sender { Ok("Referral Approved (Sender)".to_owned()) } else { name_of(Dialect::Bubblehouse, told) }
}

#[derive(Serialize)]
struct Event<'a> {
    bhid: String,
    time: Millis,
    name: String,
    customer: Customer<'a>,
    customer_props: Props<'a>,
    segment_props: Props<'a>,
    extra_props: Props<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    new_user: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    referred_user: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    customer_only: bool,
}

#[derive(Serialize)]
struct Customer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    bhid: Option<String>,
    shopid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_name: Option<&'a str>,
}

impl<'a> Customer<'a> {
    fn of(face: &'a Face<'_>) -> Self {
        Self {
            bhid: face.member_id.map(|id| bhid(id.ulid().0)),
            shopid: &face.id,
            email: face.email.as_deref(),
            first_name: face.first_name.as_deref(),
            last_name: face.last_name.as_deref(),
            full_name: face.full_name.as_deref(),
        }
    }
}

/// What the properties are made of, whatever the type of the event.
#[derive(Deserialize)]
struct Facts<'a> {
    amount: Raw<'a>,
    #[serde(default)]
    taken: bool,
    #[serde(borrow)]
    order_id: Raw<'a>,
    new_tier: Option<Tier<'a>>,
    name: Raw<'a>,
    channel: Raw<'a>,
    has_coupon: Raw<'a>,
    sender_first_name: Raw<'a>,
    sender_email: Raw<'a>,
    link: Raw<'a>,
    role: Option<String>,
    #[serde(default)]
    new_user: bool,
    #[serde(default)]
    referred_user: bool,
    #[serde(default)]
    profile: Profile<'a>,
}

impl Facts<'_> {
    /// How many points an event about points is about.
    fn points(&self, kind: EventType) -> Option<i64> {
        self.amount.filter(|_| kind.as_str().starts_with("points."))?.get().parse().ok()
    }
}

#[derive(Deserialize)]
struct Tier<'a> {
    #[serde(borrow)]
    name: Raw<'a>,
}

#[derive(Default, Deserialize)]
struct Profile<'a> {
    #[serde(borrow, default)]
    attributes: BTreeMap<String, &'a RawValue>,
}

type Props<'a> = BTreeMap<&'a str, Prop<'a>>;

#[derive(Serialize)]
#[serde(untagged)]
enum Prop<'a> {
    AsTold(&'a RawValue),
    Text(&'a str),
    Number(i64),
    At(Millis),
}

/// The named properties of which something is known.
fn props<'a, const N: usize>(named: [(&'a str, Option<Prop<'a>>); N]) -> Props<'a> {
    named.into_iter().filter_map(|(name, prop)| Some((name, prop?))).collect()
}

fn customer_props<'a>(face: &'a Face<'a>, facts: &'a Facts<'a>) -> Props<'a> {
    let next = face.next_expiration.as_ref();
    let tier = face.tier_name.as_deref().or(face.tier.as_deref());
    let attributes = &facts.profile.attributes;
    let own = attributes.iter().map(|(name, value)| (&**name, Prop::AsTold(value)));
    let known = props([
        ("BH_Points_Balance", face.points.map(Prop::AsTold)),
        ("BH_Points_NextExpiration_Amount", next.map(|next| Prop::AsTold(next.amount))),
        ("BH_Points_NextExpiration_Date", next.map(|next| Prop::At(Millis(next.at)))),
        ("BH_Tier", tier.map(Prop::Text)),
    ]);
    own.chain(known).collect()
}

fn segment_props<'a>(kind: EventType, facts: &Facts<'a>) -> Props<'a> {
    match kind {
        EventType::TierUpgraded | EventType::TierDowngraded => {
            props([("BH_Tier", facts.new_tier.as_ref().and_then(|tier| tier.name).map(Prop::AsTold))])
        }
        EventType::AchievementEarned => props([("BH_Achievement", facts.name.map(Prop::AsTold))]),
        EventType::ReferralCreated => props([
            ("BH_Channel", facts.channel.map(Prop::AsTold)),
            ("BH_HasCoupon", facts.has_coupon.map(Prop::AsTold)),
        ]),
        _ if facts.points(kind).is_some() => props([("BH_Source", Some(Prop::Text(source(kind, facts))))]),
        _ => Props::new(),
    }
}

/// Where points come from, or go.
fn source(kind: EventType, facts: &Facts<'_>) -> &'static str {
    match kind {
        _ if facts.order_id.is_some() => "order",
        EventType::PointsAdjusted => "manual",
        EventType::PointsRedeemed | EventType::PointsReturned => "redemption",
        EventType::PointsExpired | EventType::PointsExpiringSoon => "expiration",
        _ => "rule",
    }
}

/// Points that went are fewer than none.
fn extra_props<'a>(kind: EventType, facts: &Facts<'a>) -> Props<'a> {
    let is_less = match kind {
        EventType::PointsDeducted
        | EventType::PointsClawedBack
        | EventType::PointsExpired
        | EventType::PointsRedeemed => true,
        _ => facts.taken,
    };
    props([
        ("BH_Points", facts.points(kind).map(|amount| Prop::Number(if is_less { -amount } else { amount }))),
        ("order_id", facts.order_id.map(Prop::AsTold)),
        ("BH_Sender_FirstName", facts.sender_first_name.map(Prop::AsTold)),
        ("BH_Sender_Email", facts.sender_email.map(Prop::AsTold)),
        ("BH_Link", facts.link.map(Prop::AsTold)),
    ])
}
