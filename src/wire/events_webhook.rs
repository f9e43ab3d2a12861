//! The Events Webhook: one object `event`. Its document has no signature; that of Standard Webhooks stands beside.

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::told::{Face, Millis, Raw, Told};
use super::{Header, Letter, Rendered, Sealing, Speaks, Unsendable, name_of};
use crate::domain::endpoint::Dialect;
use crate::domain::json::to_json;
use crate::domain::loyalty_event::EventType;

pub(super) struct EventsWebhook;

impl Speaks for EventsWebhook {
    fn render(&self, letter: &Letter) -> Result<Option<Rendered>, Unsendable> {
        let told = Told::read(&letter.message)?;
        let name = name_of(Dialect::EventsWebhook, &told)?;
        let body = match (told.kind, &told.member) {
            (EventType::MemberEnrolled, Some(face)) => {
                let person = told.data::<Enrolled>()?;
                let (results, payload) = (Member::of(&told, face, &person), Request::of(face, &person));
                // Its samples tell of the member inside only.
                envelope(&told, &name, Ids { event: true, member: false }, None, &results, &payload)
            }
            (
                EventType::CouponAssigned
                | EventType::CouponReserved
                | EventType::CouponReleased
                | EventType::CouponUsed
                | EventType::CouponReverted
                | EventType::CouponWithdrawn,
                _,
            ) => {
                let CouponMoved { coupon, usage, coupon_book } = told.data()?;
                let key = usage.system_unique_key.clone();
                let results = Used { coupon: &coupon, usage: &usage, loyalty_member_id: None };
                let loyalty_member_id = told.member_id();
                let usage = Used { coupon: &coupon, usage: &usage, loyalty_member_id };
                let payload = CouponPayload { usage, coupon_book };
                envelope(&told, &name, Ids { event: false, member: true }, key, &results, &payload)
            }
            _ => {
                let data = told.camel();
                envelope(&told, &name, Ids { event: true, member: true }, None, &data, &data)
            }
        };
        Ok(Some(Rendered { body, headers: Vec::new() }))
    }

    fn sign(&self, _: &Sealing<'_>) -> Vec<Header> {
        Vec::new()
    }
}

/// Which of the two stand in the envelope.
struct Ids {
    event: bool,
    member: bool,
}

#[derive(Serialize)]
struct Outer<E> {
    event: E,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a, R, P> {
    #[serde(skip_serializing_if = "Option::is_none")]
    loyalty_event_id: Option<String>,
    event_type: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    loyalty_member_id: Option<&'a str>,
    execution_results: &'a R,
    payload: &'a P,
    evaluation_status: u8,
    system_unique_key: String,
    loyalty_event_key: String,
    updated_at: Millis,
    created_at: Millis,
    external_event_date: (),
    external_id: (),
    last_error: (),
    description: (),
    tags: (),
    evaluation_results: (),
}

fn envelope<R: Serialize, P: Serialize>(
    told: &Told<'_>,
    name: &str,
    ids: Ids,
    system_unique_key: Option<String>,
    execution_results: &R,
    payload: &P,
) -> String {
    let (id, at) = (told.id.ulid(), Millis(told.timestamp));
    to_json(&Outer {
        event: Event {
            loyalty_event_id: ids.event.then(|| number(&told.id.to_string(), EVENT_BITS).to_string()),
            event_type: name,
            status: "success",
            loyalty_member_id: told.member_id().filter(|_| ids.member),
            execution_results,
            payload,
            evaluation_status: 0,
            system_unique_key: system_unique_key.unwrap_or_else(|| uuid(id)),
            loyalty_event_key: format!("ev_{id}"),
            updated_at: at,
            created_at: at,
            external_event_date: (),
            external_id: (),
            last_error: (),
            description: (),
            tags: (),
            evaluation_results: (),
        },
    })
}

/// What JavaScript can count to.
const EVENT_BITS: u32 = 53;
/// What a column of a database holds in most of them.
const ID_BITS: u32 = 31;

/// A number where the product has one and we have a text. A text of digits is that number, so who names tiers `1`, `2`
/// keeps theirs; of any other the FNV-1a hash, which is the same for ever. Never 0.
fn number(text: &str, bits: u32) -> u64 {
    let most = (1_u64 << bits) - 1;
    // `01` is another name than `1`.
    let is_written_so = |said: &u64| (1..=most).contains(said) && said.to_string() == text;
    if let Some(said) = text.parse().ok().filter(is_written_so) {
        return said;
    }
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step) % most + 1
}

fn uuid(id: Ulid) -> String {
    let hex = format!("{:032x}", id.0);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[derive(Deserialize)]
struct Enrolled {
    enrolled_at: Option<Millis>,
    #[serde(default)]
    identities: Vec<Identity>,
    #[serde(default)]
    profile: Known,
}

#[derive(Deserialize)]
struct Identity {
    kind: String,
    value: String,
}

#[derive(Default, Deserialize)]
struct Known {
    birthdate: Option<String>,
    gov_id: Option<GovId>,
    #[serde(default)]
    emails: Vec<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"))]
struct GovId {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    issuing_country: Option<String>,
}

impl Enrolled {
    /// The number on the card, by which the public knows a member there.
    fn card(&self) -> Option<&str> {
        self.identities.iter().find(|identity| identity.kind == "card").map(|card| &*card.value)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile<'a> {
    name: Option<&'a str>,
    email: Option<&'a str>,
    gov_id: Option<&'a GovId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emails: Option<Vec<&'a str>>,
    last_name: Option<&'a str>,
    birthdate: Option<String>,
    phone_number: Option<&'a str>,
}

impl<'a> Profile<'a> {
    fn of(face: &'a Face<'_>, person: &'a Enrolled) -> Self {
        let known = &person.profile;
        Self {
            name: face.first_name.as_deref(),
            email: face.email.as_deref(),
            gov_id: known.gov_id.as_ref(),
            emails: None,
            last_name: face.last_name.as_deref(),
            birthdate: known.birthdate.as_ref().map(|day| format!("{day}T00:00:00.000Z")),
            phone_number: face.phone.as_deref().map(|phone| phone.trim_start_matches('+')),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Member<'a> {
    tiers: Vec<Tier>,
    active: bool,
    on_chain: OnChain,
    profile: Profile<'a>,
    created_at: Option<Millis>,
    updated_at: Option<Millis>,
    organizations: [Organization<'a>; 1],
    ledger_wallet_id: u64,
    ledger_wallet_key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tier {
    loyalty_tier_id: u64,
    loyalty_program_id: u64,
    loyalty_manual_tier_id: Option<u64>,
    loyalty_system_tier_id: Option<u64>,
}

/// Points are on no blockchain.
#[derive(Serialize)]
struct OnChain {
    wallets: [(); 0],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Organization<'a> {
    active: bool,
    created_at: Option<Millis>,
    updated_at: Option<Millis>,
    loyalty_member_id: &'a str,
    public_loyalty_member_id: Option<&'a str>,
}

impl<'a> Member<'a> {
    fn of(told: &Told<'_>, face: &'a Face<'_>, person: &'a Enrolled) -> Self {
        let tier = |id: &String| number(id, ID_BITS);
        let tiers = face.tier.as_ref().map(|effective| Tier {
            loyalty_tier_id: tier(effective),
            loyalty_program_id: number(&told.chain, ID_BITS),
            loyalty_manual_tier_id: face.manual_tier.as_ref().map(tier),
            loyalty_system_tier_id: face.system_tier.as_ref().map(tier),
        });
        let emails = face.email.iter().chain(&person.profile.emails).map(|email| &**email).collect();
        // Of who was erased, only our id is left, in either place.
        let id = face.member_id.map_or_else(|| told.id.ulid(), |id| id.ulid());
        let at = person.enrolled_at;
        Self {
            tiers: tiers.into_iter().collect(),
            active: true,
            on_chain: OnChain { wallets: [] },
            profile: Profile { emails: Some(emails), ..Profile::of(face, person) },
            created_at: at,
            updated_at: at,
            organizations: [Organization {
                active: true,
                created_at: at,
                updated_at: at,
                loyalty_member_id: &face.id,
                public_loyalty_member_id: person.card(),
            }],
            ledger_wallet_id: number(&id.to_string(), EVENT_BITS),
            ledger_wallet_key: format!("wal_{id}"),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    active: bool,
    profile: Profile<'a>,
    loyalty_member_id: &'a str,
    public_loyalty_member_id: Option<&'a str>,
}

impl<'a> Request<'a> {
    fn of(face: &'a Face<'_>, person: &'a Enrolled) -> Self {
        Self {
            active: true,
            profile: Profile::of(face, person),
            loyalty_member_id: &face.id,
            public_loyalty_member_id: person.card(),
        }
    }
}

#[derive(Deserialize)]
struct CouponMoved<'a> {
    #[serde(borrow)]
    coupon: Coupon<'a>,
    usage: Usage<'a>,
    coupon_book: Book<'a>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"))]
struct Coupon<'a> {
    #[serde(borrow)]
    code: Raw<'a>,
    created_at: Option<Millis>,
    expired_at: Option<Millis>,
    updated_at: Option<Millis>,
    total_usages: Raw<'a>,
    total_assigned: Raw<'a>,
    coupon_book_key: Raw<'a>,
    custom_attributes: Raw<'a>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"))]
struct Usage<'a> {
    created_at: Option<Millis>,
    updated_at: Option<Millis>,
    #[serde(borrow)]
    amount_used: Raw<'a>,
    amount_assigned: Raw<'a>,
    coupon_usage_key: Raw<'a>,
    reverted_usage_id: Raw<'a>,
    system_unique_key: Option<String>,
    custom_attributes: Raw<'a>,
    updated_total_usages: Raw<'a>,
    updated_total_assigned: Raw<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Used<'a> {
    coupon: &'a Coupon<'a>,
    #[serde(flatten)]
    usage: &'a Usage<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loyalty_member_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CouponPayload<'a> {
    usage: Used<'a>,
    coupon_book: Book<'a>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"))]
struct Book<'a> {
    #[serde(borrow)]
    coupon_book_key: Raw<'a>,
    name: Raw<'a>,
    #[serde(rename = "type")]
    kind: Raw<'a>,
    external_id: Raw<'a>,
    picture_url: Raw<'a>,
    description: Raw<'a>,
    valid_to_date: Option<Millis>,
    valid_from_date: Option<Millis>,
    discount_type: Raw<'a>,
    discount_amount: Raw<'a>,
    tags: Raw<'a>,
    custom_attributes: Raw<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_digits_is_its_number_and_any_other_always_the_same() {
        for (text, bits, expected) in
            [("1", ID_BITS, 1), ("2147483647", ID_BITS, 2_147_483_647), ("1262268", EVENT_BITS, 1_262_268)]
        {
            assert_eq!(number(text, bits), expected);
        }
        for text in ["", "0", "gold", "2147483648", "99999999999999999999", "-1"] {
            let id = number(text, ID_BITS);
            assert!((1..1 << ID_BITS).contains(&id), "{text}: {id}");
            assert_eq!(id, number(text, ID_BITS));
        }
        // FNV-1a of `gold`; receivers keep it, so it must not change.
        assert_eq!(number("gold", EVENT_BITS), 4_442_516_848_281_019);
    }
}
