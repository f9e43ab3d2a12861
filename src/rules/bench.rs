//! The world of one test: a member, their orders, a clock, and what the last event led to.

mod given;

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
use crate::domain::command::CommandType;
use crate::domain::commit::SourceOrigin;
use crate::domain::decide::{Occasion, SourceInput};
use crate::domain::desk::Desk;
use crate::domain::effect::RuleFailure;
use crate::domain::ids::{CouponBookKey, MemberId, SourceId};
use crate::domain::loyalty_event::EventData;
use crate::domain::member::{Member, RiskLevel};
use crate::domain::money::Money;
use crate::domain::schedule::TickType;
use crate::domain::source_event::{SourceEvent, SourceType};
use crate::domain::text::Name;

use super::conditions::Excerpt;
use super::decide::{Case, Decided, announce_and_tell};
use super::expectation::{Judgement, Truth};
use super::program::Program;
use super::records::{Nowhere, Records, Setting};
use super::verdict::Verdict;
use super::views::MemberView;

/// The most events that one test may send.
const MAX_SENDS: u128 = 1_000;
/// The most loyalty events that these may come to: what each leaves behind, such as a coupon, is kept until the test ends.
const MAX_TOLD: usize = 10_000;

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
    /// Since the last event: who was given, and the last day of their past.
    given: Option<NaiveDate>,
    records: Records,
    /// Events sent so far; also numbers orders without an id.
    sends: u128,
    /// Loyalty events that these came to.
    told: usize,
    /// When the time is up that all tests have together.
    until: Instant,
    last: Option<Decided>,
    /// What was sent last.
    sent: Option<Box<str>>,
    /// The file that the test stands in.
    file: Arc<str>,
    /// The expectation that did not hold.
    pub(super) unmet: Option<(Position, String)>,
}

impl World {
    pub(super) fn new(program: Arc<Program>, chain: Chain, file: Arc<str>, until: Instant) -> Self {
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
            given: None,
            records: Records::default(),
            sends: 0,
            told: 0,
            until,
            last: None,
            sent: None,
            file,
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

    /// The day in the chain's calendar.
    fn today(&self) -> NaiveDate {
        self.now.with_timezone(&self.chain.timezone).date_naive()
    }

    /// `member`: what the next rule would see.
    pub(super) fn member(&self) -> MemberView {
        MemberView::new(self.member.clone().into(), self.today(), &self.program, &self.foresight, self.now)
    }

    /// How many coupons of a book the member could use.
    pub(super) fn coupons(&mut self, book: CouponBookKey) -> i64 {
        let program = self.program.clone();
        let book = program.terms.coupon_books.iter().find(|known| known.key == book);
        let member = self.member.clone().into();
        book.map_or(0, |book| self.records.held(book, &member, self.now) as i64)
    }

    /// `redeem("coffee")`: what a guest asks for at the counter.
    pub(super) fn redeem(&mut self, reward: &str) -> Result<(), String> {
        let wish = [("reward".into(), reward.into())];
        self.send(CommandType::Redeem.as_str(), Map::from_iter(wish))
    }

    /// `send("order.completed", #{ total: 24.50 })`. A rule that fails fails the test.
    pub(super) fn send(&mut self, kind: &str, data: Map) -> Result<(), String> {
        self.sends += 1;
        if self.sends > MAX_SENDS {
            return Err(format!("a test may send {MAX_SENDS} events"));
        }
        self.has_time()?;
        if let Some(day) = self.given.take().filter(|day| *day > self.today()) {
            let clock = self.now.with_timezone(&self.chain.timezone).format("%Y-%m-%d %H:%M");
            return Err(format!(
                "the member was given a visit on {day}, and here it is {clock}; set the clock with at(\"…\")"
            ));
        }
        self.sent = Some(kind.into());
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

    /// Whether any is left of the time that all tests have together.
    fn has_time(&self) -> Result<(), String> {
        if Instant::now() < self.until { Ok(()) } else { Err(super::testing::TOO_LONG.to_owned()) }
    }

    fn remember(&mut self, decided: Decided) -> Result<(), String> {
        if let Some(member) = &decided.commit.member {
            self.member = Member { version: member.version + 1, ..Member::clone(member) };
        }
        self.records.keep(&decided.commit);
        self.told += decided.commit.events.len();
        if self.told > MAX_TOLD {
            return Err(format!("what a test sends may come to {MAX_TOLD} loyalty events"));
        }
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
        self.recommendations().any(|action| action.as_str() == what)
    }

    fn recommendations(&self) -> impl Iterator<Item = &Name> {
        self.told_events().flat_map(|data| match data {
            EventData::MemberAtRisk(absence)
            | EventData::MemberChurned(absence)
            | EventData::MemberReactivated(absence) => &absence.recommended_actions[..],
            _ => &[],
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
        self.fired_rules().any(|fired| **fired == *rule)
    }

    fn fired_rules(&self) -> impl Iterator<Item = &Arc<str>> {
        let verdicts = self.last.iter().flat_map(|decided| &decided.minutes.rules);
        let fired = verdicts.filter(|judged| matches!(judged.verdict, Verdict::Fired(_)));
        fired.map(|judged| &judged.rule)
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

    /// How the last event was judged.
    pub(super) fn judgement(&self) -> Judgement {
        let minutes = self.last.as_ref().map(|decided| &decided.minutes);
        let (rules, tiers) =
            minutes.map_or_else(Default::default, |minutes| (minutes.rules.clone(), minutes.tiers.clone()));
        Judgement { sent: self.sent.clone(), rules, tiers }
    }

    /// The expectation whose condition begins there.
    pub(super) fn expectation(&self, condition: Position) -> Excerpt {
        Excerpt::of_expectation(&self.file, condition)
    }

    /// What could have been answered to a word that asks for something by name.
    pub(super) fn truth(&mut self, word: &str) -> Option<Truth> {
        fn texts(names: impl Iterator<Item = impl ToString>) -> Vec<String> {
            names.map(|name| name.to_string()).collect()
        }
        let standing = &self.member.standing;
        let (what, names) = match word {
            "fired" => ("fired", texts(self.fired_rules())),
            "told" => ("told", texts(self.told_events().map(EventData::name))),
            "forwarded" => {
                let to = self.last.iter().flat_map(|decided| decided.forwards.iter().flatten());
                ("forwarded to", texts(to))
            }
            "achieved" | "has_achievement" => ("achieved", texts(standing.achievements.keys())),
            "in_segment" => ("in the segments", texts(standing.segments.keys())),
            "marked" | "has_mark" => ("marked", texts(standing.memo.marks().iter())),
            "recommended" => ("recommended", texts(self.recommendations())),
            "has_coupon" => ("coupons of", self.books_held()),
            _ => return None,
        };
        Some(Truth { what, names })
    }

    fn books_held(&mut self) -> Vec<String> {
        let program = self.program.clone();
        let books = program.terms.coupon_books.iter();
        let held = books.filter(|book| self.coupons(book.key) > 0);
        held.filter_map(|book| book.id.as_ref().map(ToString::to_string)).collect()
    }
}

fn fresh_member(program: &Program, now: Timestamp) -> Member {
    Member::new(MemberId::new(Ulid(1)), Vec::new(), program.terms.tiers.first().cloned(), now)
}

/// The instant of a local time: the earlier one when clocks are set back, `None` in the hour that is left out.
fn instant(chain: &Chain, local: NaiveDateTime) -> Option<Timestamp> {
    chain.timezone.from_local_datetime(&local).earliest().map(|at| at.to_utc())
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
