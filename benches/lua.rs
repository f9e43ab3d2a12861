//! What the five rules of `benches/rules.rs` would cost in Lua: asked of the same order and the same member, with the
//! same effects asked for, none of them applied. What applying them costs is the same, whoever asks.
//!
//! Like a rule of ours, each is a function that the host calls, reads what it needs through getters and is stopped when
//! it runs away. Lua has no decimals: money is a float here.
#![allow(clippy::unwrap_used, reason = "a benchmark")]
#![allow(missing_docs, reason = "criterion's macros write the public items")]

mod till;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use criterion::{Criterion, criterion_group, criterion_main};
use mlua::{
    AnyUserData, Function, HookTriggers, Lua, UserData, UserDataFields, UserDataMethods, Value, VmState,
};
use punchcard::domain::Timestamp;
use punchcard::domain::decide::Occasion;
use punchcard::domain::history::Window;
use punchcard::domain::member::Member;
use punchcard::domain::order::Order;
use punchcard::domain::shared::Shared;
use punchcard::domain::source_event::SourceData;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use till::five;

/// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The same five rules.
const FIVE: &str = r#"
local SILVER_FROM = 200
local times = { coffee = 3, food = 2 }

local function multiplier(category)
    return times[category] or 1
end

return {
    function(order, member)
        local points = 0
        for i = 1, order.lines do
            local item = order:item(i)
            points = points + item.total * multiplier(item.category)
        end
        award(points)
    end,
    function(order, member)
        if order.weekday == "Tuesday" then award(order.total) end
    end,
    function(order, member)
        if member.tier == "bronze" and member:spend_in_months(12) >= SILVER_FROM then set_tier("silver") end
    end,
    function(order, member)
        if member:visits_in_days(30) >= 5 and not member:has_achievement("regular") then achieve("regular") end
    end,
    function(order, member)
        if order.channel == "pos" and order.total > 20 then award(1) end
    end,
}
"#;

/// What a rule asks for.
#[derive(Debug, PartialEq)]
enum Asked {
    Award(Decimal),
    SetTier(String),
    Achieve(String),
}

struct OrderView {
    order: Arc<Order>,
    at: Timestamp,
}

struct ItemView {
    order: Arc<Order>,
    index: usize,
}

struct MemberView {
    member: Shared<Member>,
    today: NaiveDate,
}

fn float(amount: Decimal) -> f64 {
    amount.to_f64().unwrap_or_default()
}

impl UserData for OrderView {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("total", |_, this| Ok(float(this.order.total.decimal())));
        fields.add_field_method_get("lines", |_, this| Ok(this.order.items.len()));
        fields.add_field_method_get("channel", |lua, this| {
            lua.create_string(this.order.channel.as_deref().unwrap_or_default())
        });
        fields.add_field_method_get("weekday", |_, this| {
            Ok(match this.at.with_timezone(&chrono_tz::America::New_York).weekday() {
                chrono::Weekday::Tue => "Tuesday",
                _ => "another day",
            })
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("item", |_, this, number: usize| {
            Ok(ItemView { order: this.order.clone(), index: number - 1 })
        });
    }
}

impl UserData for ItemView {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("total", |_, this| Ok(float(this.order.items[this.index].total())));
        fields.add_field_method_get("category", |lua, this| {
            lua.create_string(this.order.items[this.index].category.as_deref().unwrap_or_default())
        });
    }
}

impl UserData for MemberView {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("tier", |lua, this| {
            lua.create_string(this.member.standing.tier.as_deref().unwrap_or_default())
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("spend_in_months", |_, this, months: u32| {
            Ok(float(this.member.history.spend_in(Window::Months(months), this.today).decimal()))
        });
        methods.add_method("visits_in_days", |_, this, days: u32| {
            Ok(this.member.history.visits_in(Window::Days(days), this.today))
        });
        methods.add_method("has_achievement", |_, this, name: mlua::LuaString| {
            let name = name.to_str()?;
            Ok(this.member.standing.achievements.keys().any(|earned| earned.as_str() == &*name))
        });
    }
}

/// The rules, and what they ask for.
struct Rules {
    lua: Lua,
    rules: Vec<Function>,
    asked: Rc<RefCell<Vec<Asked>>>,
}

impl Rules {
    fn new(is_stopped: bool) -> mlua::Result<Self> {
        let lua = Lua::new();
        let asked = Rc::new(RefCell::new(Vec::new()));
        let ask = |asked: &Rc<RefCell<Vec<Asked>>>, what| asked.borrow_mut().push(what);
        let effects = asked.clone();
        let award = lua.create_function(move |_, amount: f64| {
            ask(&effects, Asked::Award(Decimal::try_from(amount).unwrap_or_default()));
            Ok(())
        })?;
        let effects = asked.clone();
        let set_tier = lua.create_function(move |_, tier: String| {
            ask(&effects, Asked::SetTier(tier));
            Ok(())
        })?;
        let effects = asked.clone();
        let achieve = lua.create_function(move |_, name: String| {
            ask(&effects, Asked::Achieve(name));
            Ok(())
        })?;
        lua.globals().set("award", award)?;
        lua.globals().set("set_tier", set_tier)?;
        lua.globals().set("achieve", achieve)?;
        let rules = lua.load(FIVE).eval()?;
        if is_stopped {
            let every = HookTriggers::new().every_nth_instruction(1_000);
            lua.set_hook(every, |_, _| Ok(VmState::Continue))?;
        }
        Ok(Self { lua, rules, asked })
    }

    /// One event: what the rules see is made for it, as it is for ours.
    fn ask(&self, order: &Arc<Order>, member: &Shared<Member>, now: Timestamp) -> mlua::Result<Vec<Asked>> {
        let today = now.with_timezone(&chrono_tz::America::New_York).date_naive();
        let order = self.lua.create_userdata(OrderView { order: order.clone(), at: now })?;
        let member = self.lua.create_userdata(MemberView { member: member.clone(), today })?;
        for rule in &self.rules {
            rule.call::<Value>((&order, &member) as (&AnyUserData, &AnyUserData))?;
        }
        Ok(self.asked.take())
    }
}

fn decisions(criterion: &mut Criterion) {
    let case = five::case(&five::till("", 0, ""));
    let Occasion::Source(input) = &case.occasion else { unreachable!("an order") };
    let SourceData::OrderCompleted(completed) = &input.event.data else { unreachable!("an order") };
    let order = &completed.order;
    let wanted = [
        Asked::Award(67.into()),
        Asked::Award(Decimal::new(3450, 2)),
        Asked::SetTier("silver".to_owned()),
        Asked::Achieve("regular".to_owned()),
        Asked::Award(1.into()),
    ];
    let mut group = criterion.benchmark_group("ask");
    for (name, is_stopped) in [("the five, in Lua", false), ("the five, in Lua that can be stopped", true)] {
        let rules = Rules::new(is_stopped).unwrap();
        assert_eq!(rules.ask(order, &case.member, case.now).unwrap(), wanted);
        group.bench_function(name, |bencher| {
            bencher.iter(|| rules.ask(order, &case.member, case.now).unwrap());
        });
    }
    group.bench_function("the five, in Rust", |bencher| {
        bencher.iter(|| five::in_rust(order, &case.member, case.now));
    });
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
