//! The world of one test: a member, their orders, a clock, and what the last event led to.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use chrono::{NaiveDate, NaiveDateTime, TimeZone};
use rhai::{Array, Dynamic, Map, Position};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map as JsonMap, Number, Value};
use ulid::Ulid;

use crate::domain::Timestamp;
use crate::domain::chain::Chain;
use crate::domain::churn::Foresight;
use crate::domain::commit::SourceOrigin;
use crate::domain::coupon::{self, Coupon, CouponCode, Hand, Move};
use crate::domain::decide::{Occasion, SourceInput};
use crate::domain::desk::Desk;
use crate::domain::effect::RuleFailure;
use crate::domain::ids::{CouponUsageKey, MemberId, ReferralId, SourceId};
use crate::domain::loyalty_event::EventData;
use crate::domain::member::{Member, RiskLevel, Status};
use crate::domain::money::{Money, Points};
use crate::domain::referral::{Referral, ReferralStatus};
use crate::domain::schedule::TickType;
use crate::domain::segment::{Membership, SegmentType};
use crate::domain::source_event::{SourceEvent, SourceType};
use crate::domain::text::Name;
use crate::domain::wallet::{Wallet, Wallets};

use super::api::money;
use super::decide::{Case, Decided, announce_and_tell};
use super::program::Program;
use super::records::{Nowhere, Records, Setting};
use super::verdict::{Verdict, in_words};

/// The most events that one test may send.
const MAX_SENDS: u128 = 1_000;

/// The world as the interpreter carries it while a test runs.
#[derive(Debug, Clone)]
pub(super) struct Bench(pub(super) Arc<Mutex<World>>);

/// What a test acts on.
#[derive(Debug)]
pub(super) struct World {
    program: Arc<Program>,
    chain: Chain,
    now: Timestamp,
    member: Member,
    foresight: Foresight,
    records: Records,
    /// Events sent so far; also numbers orders without an id.
    sends: u128,
    /// When the time is up that all tests have together.
    until: Instant,
    last: Option<Decided>,
    /// The expectation that did not hold.
    pub(super) unmet: Option<(Position, String)>,
}

impl World {
    pub(super) fn new(program: Arc<Program>, chain: Chain, until: Instant) -> Self {
        let noon =
            NaiveDate::from_ymd_opt(2026, 1, 5).and_then(|day| day.and_hms_opt(12, 0, 0)).unwrap_or_default();
        let now = instant(&chain, noon).unwrap_or_default();
        let member = fresh_member(&program, now);
        Self {
            program,
            chain,
            now,
            member,
            foresight: Foresight::Nothing,
            records: Records::default(),
            sends: 0,
            until,
            last: None,
            unmet: None,
        }
    }

    /// `at("2026-03-02 09:30")`
    pub(super) fn set_time(&mut self, text: &str) -> Result<(), String> {
        let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M")
            .map_err(|_| format!("`{text}` is no time; write it as \"2026-03-02 09:30\""))?;
        self.now = instant(&self.chain, time).ok_or_else(|| {
            format!("{text} does not exist in {}: clocks are set forward then", self.chain.timezone)
        })?;
        Ok(())
    }

    /// `given_member(#{ tier: "gold", points: 10, orders: [ … ], coupons: [ … ], referred: true, churn_probability: 0.7 })`: a known
    /// member instead of the one so far.
    pub(super) fn given_member(&mut self, facts: Map) -> Result<(), String> {
        let mut member = fresh_member(&self.program, self.now);
        member.version = 1;
        let (mut foresight, mut given) = (Foresight::Nothing, coupon::Desk::default());
        for (key, value) in facts {
            match &*key {
                "tier" => member.standing.tier = Some(self.known_tier(&text("tier", value)?)?),
                "status" => member.standing.status = known_status(&text("status", value)?)?,
                "points" => {
                    let points = value.as_int().map_err(|_| "`points` must be a whole number")?;
                    let code = &self.program.terms.wallets[0].code;
                    member.standing.wallets = Wallets::only(code.clone(), Wallet::with(Points(points)));
                }
                "achievements" => {
                    for name in list("achievements", value)? {
                        let name = Name::parse(&text("achievements", name)?).map_err(|e| e.to_string())?;
                        member.standing.achievements.insert(name, self.now);
                    }
                }
                "segments" => {
                    for name in list("segments", value)? {
                        let (name, kind) = self.known_segment(&text("segments", name)?)?;
                        member.standing.segments.insert(name, Membership { kind, since: self.now });
                    }
                }
                "counters" => {
                    for (name, count) in value.try_cast::<Map>().ok_or("`counters` must be a map")? {
                        let count = count.as_int().map_err(|_| "a counter is a whole number")?;
                        let name = Name::parse(&name).map_err(|e| e.to_string())?;
                        member.standing.memo.count(&name, count).ok_or("a counter does not go that far")?;
                    }
                }
                "marks" => {
                    for name in list("marks", value)? {
                        let name = Name::parse(&text("marks", name)?).map_err(|e| e.to_string())?;
                        member.standing.memo.mark(&name);
                    }
                }
                "visits" => {
                    for visit in list("visits", value)? {
                        past_visit(&mut member, &self.chain, &text("visits", visit)?, Money::ZERO)?;
                    }
                }
                "orders" => {
                    for order in list("orders", value)? {
                        past_order(&mut member, &self.chain, order)?;
                    }
                }
                "coupons" => {
                    for book in list("coupons", value)? {
                        self.give(&mut given, member.id, &text("coupons", book)?)?;
                    }
                }
                "referred" => member.referring.received = given_referral(&value, self.now)?,
                "churn_probability" => foresight = given_probability(&value)?,
                other => {
                    let known = "tier, status, points, achievements, segments, visits, orders, coupons, counters, marks, referred, churn_probability";
                    return Err(format!("a member has no `{other}`; there is {known}"));
                }
            }
        }
        self.member = member;
        self.foresight = foresight;
        self.last = None;
        self.records.forget_coupons();
        self.records.keep_coupons(self.member.id, &given.into_changes());
        Ok(())
    }

    /// Gives a coupon of a book of the program, now.
    fn give(&self, desk: &mut coupon::Desk, member: MemberId, book: &str) -> Result<(), String> {
        let known = self.program.terms.coupon_books.iter();
        let known = known.into_iter().find(|known| known.id.as_ref().is_some_and(|id| id.as_str() == book));
        let book = known.ok_or_else(|| format!("there is no coupon book called `{book}` in program.toml"))?;
        let key = CouponUsageKey::new(Ulid(desk.moves() as u128));
        let code = CouponCode::generated(&key.ulid().to_bytes(), desk.moves() as u64);
        desk.shelves.entry(book.key).or_default();
        desk.lay(Coupon::fresh(code.clone(), book.key, self.now));
        let hand = Hand { key, member, now: self.now };
        desk.play(book, &code, hand, Move::Assign).map(drop).map_err(|rejection| rejection.to_string())
    }

    fn known_tier(&self, tier: &str) -> Result<Name, String> {
        let known = self.program.terms.tiers.ids().find(|known| known.as_str() == tier);
        known.cloned().ok_or_else(|| format!("there is no tier called `{tier}` in program.toml"))
    }

    fn known_segment(&self, name: &str) -> Result<(Name, SegmentType), String> {
        let known = self.program.code.segments.iter().map(|judged| &judged.segment);
        let found = known.into_iter().find(|segment| segment.name.as_str() == name);
        let found = found.map(|segment| (segment.name.clone(), segment.kind));
        found.ok_or_else(|| format!("there is no segment called `{name}`"))
    }

    /// `send("order.completed", #{ total: 24.50 })`. A rule that fails fails the test.
    pub(super) fn send(&mut self, kind: &str, data: Map) -> Result<(), String> {
        self.sends += 1;
        if self.sends > MAX_SENDS {
            return Err(format!("a test may send {MAX_SENDS} events"));
        }
        if Instant::now() >= self.until {
            return Err(super::testing::TOO_LONG.to_owned());
        }
        // Ids lie far apart: each event derives the ids of its effects from its own.
        let id = Ulid(self.sends << 64);
        let occasion = match (kind.parse::<TickType>(), kind.parse::<SourceType>()) {
            (Ok(TickType::TierReview), _) if data.is_empty() => {
                self.member.standing.footing.review_at = Some(self.now); // whatever the calendar says
                Occasion::Tick { kind: TickType::TierReview, id, then: None }
            }
            (Ok(tick), _) if data.is_empty() => Occasion::Tick { kind: tick, id, then: None },
            (Ok(tick), _) => return Err(format!("{tick} has no data: write send(\"{tick}\")")),
            (_, Ok(source)) => Occasion::Source(SourceInput {
                id: SourceId::new(id),
                event: Arc::new(self.source_event(source, data)?),
                received_at: self.now,
                from: SourceOrigin::Outside,
            }),
            _ => return Err(format!("there is no event called `{kind}`")),
        };
        if let Occasion::Source(input) = &occasion
            && let Some(announced) = announce_and_tell(&self.program, &self.chain.id, &[], input, self.now)
        {
            return self.remember(announced);
        }
        let order_id = match &occasion {
            Occasion::Source(input) => input.event.data.order_id().cloned(),
            Occasion::Tick { .. } | Occasion::Due { .. } => None,
        };
        let case = Case {
            member: self.member.clone().into(),
            order: order_id.and_then(|id| self.records.order(&id)),
            attach: Vec::new(),
            notes: Vec::new(),
            occasion,
            foresight: self.foresight.clone(),
            again: None,
            desk: Desk::default(),
            now: self.now,
        };
        let setting = Setting { program: &self.program, chain: &self.chain.id, endpoints: &[] };
        match self.records.decide(setting, case, &mut Nowhere) {
            Ok(decided) => self.remember(decided),
            Err(refused) => Err(refused.to_string()),
        }
    }

    fn remember(&mut self, decided: Decided) -> Result<(), String> {
        if let Some(member) = &decided.commit.member {
            self.member = Member { version: member.version + 1, ..Member::clone(member) };
        }
        self.records.keep(&decided.commit);
        let failed = decided
            .failures
            .first()
            .map(|RuleFailure { rule, at, error, .. }| format!("\"{rule}\" failed at {at}: {error}"));
        self.last = Some(decided);
        failed.map_or(Ok(()), Err)
    }

    /// The event as a POS would have sent it, by the same strict parser.
    fn source_event(&self, kind: SourceType, mut data: Map) -> Result<SourceEvent, String> {
        let location = data.remove("location");
        let mut data: JsonMap<String, Value> = json_map(data)?;
        if matches!(kind, SourceType::OrderCreated | SourceType::OrderUpdated | SourceType::OrderCompleted) {
            data.entry("order_id").or_insert_with(|| format!("order-{}", self.sends).into());
            if !data.contains_key("total") {
                data.insert("total".to_owned(), sum_of_items(&data).to_string().into());
            }
        }
        let mut event = JsonMap::new();
        event.insert("key".to_owned(), format!("test-{}", self.sends).into());
        event.insert("type".to_owned(), kind.as_str().into());
        event.insert("data".to_owned(), data.into());
        if let Some(location) = location {
            event.insert("location".to_owned(), json(location)?);
        }
        let body = Value::Object(event).to_string();
        SourceEvent::parse(body.as_bytes(), &self.chain.currency, self.now).map_err(|bad| bad.to_string())
    }

    fn told_events(&self) -> impl Iterator<Item = &EventData> {
        self.last.iter().flat_map(|decided| decided.commit.events.iter().map(|event| &event.data))
    }

    /// Points that the last event earned.
    pub(super) fn awarded(&self) -> i64 {
        self.told_events()
            .map(|data| match data {
                EventData::PointsEarned(moved) => moved.amount.0,
                _ => 0,
            })
            .sum()
    }

    pub(super) fn points(&self) -> i64 {
        self.member.standing.points().0
    }

    pub(super) fn tier(&self) -> &str {
        self.member.standing.tier.as_ref().map_or("", |tier| tier.as_str())
    }

    pub(super) fn status(&self) -> &'static str {
        self.member.standing.status.as_str()
    }

    pub(super) fn risk_level(&self) -> &'static str {
        self.member.standing.risk_level().map_or("", RiskLevel::as_str)
    }

    /// Whether the last event told of a guest with this recommendation.
    pub(super) fn recommended(&self, what: &str) -> bool {
        self.told_events().any(|data| match data {
            EventData::MemberAtRisk(absence)
            | EventData::MemberChurned(absence)
            | EventData::MemberReactivated(absence) => {
                absence.recommended_actions.iter().any(|action| action.as_str() == what)
            }
            _ => false,
        })
    }

    pub(super) fn in_segment(&self, name: &str) -> bool {
        self.member.standing.segments.keys().any(|segment| segment.as_str() == name)
    }

    pub(super) fn achieved(&self, name: &str) -> bool {
        self.member.standing.achievements.keys().any(|earned| earned.as_str() == name)
    }

    /// Whether the condition of `rule` held on the last event.
    pub(super) fn fired(&self, rule: &str) -> bool {
        let mut verdicts = self.last.iter().flat_map(|decided| &decided.minutes.rules);
        verdicts.any(|judged| *judged.rule == *rule && matches!(judged.verdict, Verdict::Fired(_)))
    }

    pub(super) fn forwarded(&self, tag: &str) -> bool {
        self.last.iter().any(|decided| decided.forwards.iter().flatten().any(|to| to.as_str() == tag))
    }

    pub(super) fn counter(&self, name: &str) -> i64 {
        self.member.standing.memo.counter(name)
    }

    pub(super) fn marked(&self, name: &str) -> bool {
        self.member.standing.memo.has_mark(name)
    }

    pub(super) fn told(&self, kind: &str) -> bool {
        self.told_events().any(|data| data.kind().as_str() == kind || data.name() == kind)
    }

    /// For the explanation of a failing test.
    pub(super) fn verdicts_in_words(&self) -> String {
        let minutes = self.last.as_ref().map(|decided| &decided.minutes);
        minutes.map_or_else(|| "no event was sent before this".to_owned(), in_words)
    }
}

fn fresh_member(program: &Program, now: Timestamp) -> Member {
    Member::new(MemberId::new(Ulid(1)), Vec::new(), program.terms.tiers.first().cloned(), now)
}

/// The instant of a local time: the earlier one when clocks are set back, `None` in the hour that is left out.
fn instant(chain: &Chain, local: NaiveDateTime) -> Option<Timestamp> {
    chain.timezone.from_local_datetime(&local).earliest().map(|at| at.to_utc())
}

fn past_order(member: &mut Member, chain: &Chain, order: Dynamic) -> Result<(), String> {
    let wanted = "an order of the past is written #{ at: \"2025-06-15\", total: 40.00 }";
    let order = order.try_cast::<Map>().ok_or(wanted)?;
    if order.keys().any(|key| key != "at" && key != "total") {
        return Err(wanted.to_owned());
    }
    let day = order.get("at").and_then(|at| at.clone().into_string().ok()).ok_or(wanted)?;
    let total = order.get("total").and_then(money).ok_or(wanted)?;
    past_visit(member, chain, &day, total)
}

fn past_visit(member: &mut Member, chain: &Chain, day: &str, spend: Money) -> Result<(), String> {
    let day: NaiveDate = day.parse().map_err(|_| format!("`{day}` is no day; write it as \"2026-03-02\""))?;
    member.history.visit(day, spend);
    let noon = day.and_hms_opt(12, 0, 0).and_then(|noon| instant(chain, noon));
    member.enrolled_at = noon.map_or(member.enrolled_at, |noon| noon.min(member.enrolled_at));
    Ok(())
}

fn known_status(status: &str) -> Result<Status, String> {
    let known = Status::ALL.into_iter().find(|known| known.as_str() == status);
    known.ok_or_else(|| format!("there is no status called `{status}`"))
}

/// Brought by another member, and not approved yet.
fn given_referral(value: &Dynamic, now: Timestamp) -> Result<Option<Box<Referral>>, String> {
    let is_referred = value.as_bool().map_err(|_| "`referred` must be true or false")?;
    let referral = || Referral {
        id: ReferralId::new(Ulid(1)),
        sender: MemberId::new(Ulid(2)),
        status: ReferralStatus::Pending,
        channel: None,
        created_at: now,
        settled_at: None,
        reason: None,
        order: None,
        brought: Vec::new(),
    };
    Ok(is_referred.then(|| Box::new(referral())))
}

fn given_probability(value: &Dynamic) -> Result<Foresight, String> {
    let number = value.as_decimal().or_else(|_| value.as_int().map(Decimal::from)).ok();
    let probability = number.filter(|number| (Decimal::ZERO..=Decimal::ONE).contains(number));
    probability
        .map(Foresight::Given)
        .ok_or_else(|| "`churn_probability` must be a number from 0 to 1".to_owned())
}

fn text(what: &str, value: Dynamic) -> Result<String, String> {
    value.into_string().map_err(|found| format!("`{what}` must be a text, not {found}"))
}

fn list(what: &str, value: Dynamic) -> Result<Array, String> {
    value.into_array().map_err(|found| format!("`{what}` must be a list, not {found}"))
}

/// What the items of an order without a total come to.
fn sum_of_items(data: &JsonMap<String, Value>) -> Money {
    let number = |item: &Value, key: &str| -> Option<Money> {
        let value = item.get(key)?;
        value.as_str().map_or_else(|| value.to_string().parse().ok(), |text| text.parse().ok())
    };
    let items = data.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    items.iter().fold(Money::ZERO, |sum, item| {
        let price = number(item, "price").unwrap_or_default().decimal();
        let quantity = number(item, "quantity").map_or(Decimal::ONE, Money::decimal);
        sum.plus(Money::new(price.saturating_mul(quantity).round_dp(2)))
    })
}

/// The JSON number that is written like this one. One of more digits than a float has goes as a text, which is read
/// exactly where money is wanted.
fn exact(number: Decimal) -> Option<Number> {
    let written = number.to_f64().and_then(Number::from_f64)?;
    (written.to_string().parse() == Ok(number)).then_some(written)
}

fn json_map(map: Map) -> Result<JsonMap<String, Value>, String> {
    map.into_iter().map(|(key, value)| Ok((key.to_string(), json(value)?))).collect()
}

/// A value of a rule as JSON.
fn json(value: Dynamic) -> Result<Value, String> {
    if let Ok(number) = value.as_int() {
        return Ok(number.into());
    }
    if let Ok(bool) = value.as_bool() {
        return Ok(bool.into());
    }
    if let Ok(number) = value.as_decimal() {
        return Ok(exact(number).map_or_else(|| number.to_string().into(), Value::Number));
    }
    if value.is_map() {
        return Ok(Value::Object(json_map(value.cast())?));
    }
    if value.is_array() {
        return value.cast::<Array>().into_iter().map(json).collect::<Result<Vec<_>, _>>().map(Value::Array);
    }
    let kind = value.type_name();
    value.into_string().map(Value::String).map_err(|_| format!("an event cannot hold a value of type {kind}"))
}
