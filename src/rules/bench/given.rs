//! Who comes in a test: a member with a past.

use chrono::NaiveDate;
use rhai::{Array, Dynamic, Map};
use rust_decimal::Decimal;
use serde_json::{Map as JsonMap, Value};
use ulid::Ulid;

use super::{World, fresh_member, instant, json_map};
use crate::domain::Timestamp;
use crate::domain::chain::Chain;
use crate::domain::churn::Foresight;
use crate::domain::coupon::{self, Coupon, CouponCode, Hand, Move};
use crate::domain::ids::{CouponUsageKey, MemberId, ReferralId};
use crate::domain::member::{Member, Status};
use crate::domain::money::{Money, Points};
use crate::domain::profile::ProfileChange;
use crate::domain::referral::{Referral, ReferralStatus};
use crate::domain::segment::{Membership, SegmentType};
use crate::domain::text::Name;
use crate::domain::wallet::Wallet;
use crate::rules::api::money;
use crate::rules::complaints::in_words;

/// What can be said of a member.
const FACTS: &str = "tier, status, points, wallets, achievements, segments, visits, orders, coupons, counters, marks, first_name, \
     language, consents, attributes, referred, churn_probability";

/// A member in the making.
struct Given {
    member: Member,
    foresight: Foresight,
    coupons: coupon::Desk,
    /// As `member.updated` has it.
    profile: JsonMap<String, Value>,
    /// The last day on which they were here.
    last_day: NaiveDate,
}

impl World {
    /// `given_member(#{ tier: "gold", points: 10, orders: [ … ], coupons: [ … ], referred: true, churn_probability: 0.7 })`: a known
    /// member instead of the one so far.
    pub(in crate::rules) fn given_member(&mut self, facts: Map) -> Result<(), String> {
        self.has_time()?;
        if self.given.is_some() {
            return Err("a member was given already; say everything in one `given_member(#{ … })`".to_owned());
        }
        let mut given = Given {
            member: fresh_member(&self.program, self.now),
            foresight: Foresight::Nothing,
            coupons: coupon::Desk::default(),
            profile: JsonMap::new(),
            last_day: NaiveDate::MIN,
        };
        given.member.version = 1;
        for (fact, value) in facts {
            self.fact(&mut given, &fact, value)?;
        }
        let Given { mut member, foresight, coupons, profile, last_day } = given;
        let change =
            ProfileChange::parse(&Value::Object(profile).to_string()).map_err(|bad| bad.to_string())?;
        let (profile, _) =
            member.profile.after(change, self.today()).map_err(|refused| refused.to_string())?;
        member.profile = profile;
        self.member = member;
        self.foresight = foresight;
        self.given = Some(last_day);
        self.last = None;
        self.sent = None;
        self.records.forget_coupons();
        self.records.keep_coupons(self.member.id, &coupons.into_changes());
        Ok(())
    }

    fn fact(&self, given: &mut Given, fact: &str, value: Dynamic) -> Result<(), String> {
        let Given { member, foresight, coupons, profile, last_day } = given;
        let standing = &mut member.standing;
        match fact {
            "tier" => standing.tier = Some(self.known_tier(&text(fact, value)?)?),
            "status" => standing.status = known_status(&text(fact, value)?)?,
            "points" => {
                let code = self.program.terms.wallets[0].code.clone();
                self.fill(member, &code, &value)?;
            }
            "wallets" => {
                for (code, points) in value.try_cast::<Map>().ok_or("`wallets` must be a map")? {
                    self.fill(member, &code, &points)?;
                }
            }
            "achievements" => {
                for name in list(fact, value)? {
                    standing.achievements.insert(name_of(fact, name)?, self.now);
                }
            }
            "segments" => {
                for name in list(fact, value)? {
                    let (name, kind) = self.known_segment(&text(fact, name)?)?;
                    standing.segments.insert(name, Membership { kind, since: self.now });
                }
            }
            "counters" => {
                for (name, count) in value.try_cast::<Map>().ok_or("`counters` must be a map")? {
                    let count = count.as_int().map_err(|_| "a counter is a whole number")?;
                    let name = Name::parse(&name).map_err(|e| e.to_string())?;
                    standing.memo.count(&name, count).ok_or("a counter does not go that far")?;
                }
            }
            "marks" => {
                for name in list(fact, value)? {
                    standing.memo.mark(&name_of(fact, name)?);
                }
            }
            "visits" => {
                for visit in list(fact, value)? {
                    let day = past_visit(member, &self.chain, &text(fact, visit)?, Money::ZERO)?;
                    *last_day = day.max(*last_day);
                }
            }
            "orders" => {
                for order in list(fact, value)? {
                    *last_day = past_order(member, &self.chain, order)?.max(*last_day);
                }
            }
            "coupons" => {
                for book in list(fact, value)? {
                    self.give(coupons, member.id, &text(fact, book)?)?;
                }
            }
            "first_name" | "language" => {
                profile.insert(fact.to_owned(), text(fact, value)?.into());
            }
            "consents" | "attributes" => {
                let map = value.try_cast::<Map>().ok_or_else(|| format!("`{fact}` must be a map"))?;
                profile.insert(fact.to_owned(), json_map(map)?.into());
            }
            "referred" => member.referring.received = given_referral(&value, self.now)?,
            "churn_probability" => *foresight = given_probability(&value)?,
            other => return Err(format!("a member has no `{other}`; there is {FACTS}")),
        }
        Ok(())
    }

    /// Puts points into a wallet of the program.
    fn fill(&self, member: &mut Member, code: &str, points: &Dynamic) -> Result<(), String> {
        let points = points.as_int().map_err(|_| "points must be a whole number")?;
        let mut codes = self.program.terms.wallets.iter().map(|wallet| &wallet.code);
        let known = codes.clone().find(|known| known.as_str() == code);
        let code = known.ok_or_else(|| format!("there is no wallet called `{code}` in program.toml"))?;
        let wallets = &mut member.standing.wallets;
        *wallets.open(code) = Wallet::with(Points(points));
        wallets.arrange(&mut codes);
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
}

/// Puts an order into the past; gives its day.
fn past_order(member: &mut Member, chain: &Chain, order: Dynamic) -> Result<NaiveDate, String> {
    let wanted = "an order of the past is written #{ at: \"2025-06-15\", total: 40.00 }";
    let order = order.try_cast::<Map>().ok_or(wanted)?;
    if order.keys().any(|key| key != "at" && key != "total") {
        return Err(wanted.to_owned());
    }
    let day = order.get("at").and_then(|at| at.clone().into_string().ok()).ok_or(wanted)?;
    let total = order.get("total").and_then(money).ok_or(wanted)?;
    past_visit(member, chain, &day, total)
}

/// Puts a visit into the past; gives its day.
fn past_visit(member: &mut Member, chain: &Chain, day: &str, spend: Money) -> Result<NaiveDate, String> {
    let day: NaiveDate = day.parse().map_err(|_| format!("`{day}` is no day; write it as \"2026-03-02\""))?;
    member.history.visit(day, spend);
    let noon = day.and_hms_opt(12, 0, 0).and_then(|noon| instant(chain, noon));
    member.enrolled_at = noon.map_or(member.enrolled_at, |noon| noon.min(member.enrolled_at));
    Ok(day)
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
    value.into_string().map_err(|found| format!("`{what}` must be a text, not {}", in_words(found)))
}

fn list(what: &str, value: Dynamic) -> Result<Array, String> {
    value.into_array().map_err(|found| format!("`{what}` must be a list, not {}", in_words(found)))
}

fn name_of(what: &str, value: Dynamic) -> Result<Name, String> {
    Name::parse(&text(what, value)?).map_err(|problem| format!("`{what}`: a name {problem}"))
}
