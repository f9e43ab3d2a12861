//! Operators, and texts that must name something.

use rhai::{Expr, Position};

use super::{Checker, Known, Role, Type};
use crate::domain::loyalty_event::EventType;
use crate::domain::member::{RiskLevel, Status};
use crate::domain::schedule::TickType;
use crate::domain::segment::SegmentType;
use crate::domain::source_event::SourceType;
use crate::rules::suggest;

impl Checker<'_> {
    pub(super) fn operator(&mut self, sign: &str, args: &[&Expr], position: Position) -> Known {
        let known: Vec<Known> = args.iter().map(|arg| self.expression(arg)).collect();
        match (sign, args, &known[..]) {
            ("!", [operand], [known]) => {
                if !known.kind.fits(Type::Bool) {
                    let message = format!("`!` needs true or false, but this is {}", known.kind.as_str());
                    self.problem(super::start(operand), message, None);
                }
                Known::of(Type::Bool)
            }
            ("-" | "+", [operand], [known]) => {
                self.number(sign, operand, known.kind);
                Known::of(if known.kind.is_number() { known.kind } else { Type::Any })
            }
            ("==" | "!=" | "<" | "<=" | ">" | ">=", [left, right], [a, b]) => {
                self.comparison(sign, (left, *a), (right, *b), position);
                Known::of(Type::Bool)
            }
            (".." | "..=", _, _) => Known::of(Type::Range),
            (_, [_, _], [a, b]) => Known::of(self.arithmetic(sign, a.kind, b.kind, position)),
            _ => Known::ANY,
        }
    }

    fn number(&mut self, sign: &str, operand: &Expr, kind: Type) {
        if !kind.is_number() && !kind.is_open() {
            let message = format!("`{sign}` needs a number, but this is {}", kind.as_str());
            self.problem(super::start(operand), message, None);
        }
    }

    fn comparison(&mut self, sign: &str, left: (&Expr, Known), right: (&Expr, Known), position: Position) {
        let (a, b) = (left.1.kind, right.1.kind);
        let is_order = !matches!(sign, "==" | "!=");
        let plain = |kind: Type| match kind {
            Type::Any | Type::Json | Type::Text => true,
            Type::Bool => !is_order,
            kind => kind.is_number(),
        };
        let alike = a == b || a.is_open() || b.is_open() || a.is_number() && b.is_number();
        if !alike {
            let message = format!("cannot compare {} with {}", a.as_str(), b.as_str());
            self.problem(position, message, Some("this would always be false".to_owned()));
        } else if let Some(odd) = [a, b].into_iter().find(|kind| !plain(*kind)) {
            let help = Some("compare one of its properties".to_owned());
            self.problem(position, format!("`{sign}` cannot compare {}", odd.as_str()), help);
        }
        for ((_, known), (other, _)) in [(left, right), (right, left)] {
            if let Some(role) = known.role {
                self.named_or_empty(role, other);
            }
        }
    }

    /// The type of `a + b` and its like; also of `a += b`.
    pub(super) fn arithmetic(&mut self, sign: &str, a: Type, b: Type, position: Position) -> Type {
        let sign = sign.trim_end_matches('=');
        match (a, b) {
            (Type::Text, Type::Text) if sign == "+" => Type::Text,
            (Type::Whole, Type::Whole) => {
                if sign == "/" {
                    let help = Some(
                        "write 2.0 instead of 2; where whole points are wanted, floor(a / 2.0)".to_owned(),
                    );
                    self.problem(position, "whole number divided by whole number drops the fraction", help);
                }
                Type::Whole
            }
            (a, b) if a.is_number() && b.is_number() => Type::Decimal,
            (Type::Any | Type::Json, other) | (other, Type::Any | Type::Json)
                if other.is_open() || other.is_number() || other == Type::Text =>
            {
                Type::Any
            }
            (Type::Bool, Type::Bool) if matches!(sign, "&" | "|" | "^") => Type::Bool,
            (Type::Text, _) | (_, Type::Text) if sign == "+" => {
                let help =
                    Some("put values into a text with back-ticks: `earned ${event.amount}`".to_owned());
                let other = if a == Type::Text { b } else { a };
                self.problem(position, format!("cannot add a text and {}", other.as_str()), help);
                Type::Any
            }
            (a, b) => {
                let message = format!("`{sign}` cannot be used with {} and {}", a.as_str(), b.as_str());
                self.problem(position, message, None);
                Type::Any
            }
        }
    }

    /// `order.channel in ["pos", "app"]`: each text in the list must name what the left side names.
    pub(super) fn listed_names(&mut self, args: &[&Expr], known: &[Known]) {
        if let ([Expr::Array(parts, _), _], [_, Known { role: Some(role), .. }]) = (args, known) {
            parts.iter().for_each(|part| self.named_or_empty(*role, part));
        }
    }

    /// Comparing with "" asks whether there is any.
    fn named_or_empty(&mut self, role: Role, text: &Expr) {
        if !matches!(text, Expr::StringConstant(text, _) if text.is_empty()) {
            self.named(role, text);
        }
    }

    /// A literal text must name something that exists.
    pub(super) fn named(&mut self, role: Role, text: &Expr) {
        let Expr::StringConstant(text, position) = text else { return };
        let manifest = self.manifest;
        let names = |list: &'_ [crate::domain::text::Name]| {
            list.iter().map(|name| name.to_string()).collect::<Vec<_>>()
        };
        let owned = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (what, known) = match role {
            Role::Tier => ("tier", manifest.terms.tiers.ids().map(|id| id.to_string()).collect()),
            Role::Wallet => {
                let wallets = manifest.terms.wallets.iter();
                ("wallet", wallets.map(|wallet| wallet.code.to_string()).collect())
            }
            Role::CouponBook => {
                let ids = manifest.terms.coupon_books.iter().filter_map(|book| book.id.as_ref());
                ("coupon book", ids.map(ToString::to_string).collect())
            }
            Role::Achievement => {
                let all = manifest.terms.achievements.iter();
                ("achievement", all.map(|achievement| achievement.id.to_string()).collect())
            }
            Role::Endpoint => ("endpoint tag", names(&manifest.endpoints)),
            Role::Category if manifest.categories.is_empty() => return,
            Role::Category => ("category", names(&manifest.categories)),
            Role::Status => ("status", Status::ALL.iter().map(|status| status.as_str().to_owned()).collect()),
            Role::StatusOrMark => {
                let statuses = Status::ALL.iter().map(|status| status.as_str().to_owned());
                ("status or mark", statuses.chain(names(&manifest.terms.marks)).collect())
            }
            Role::Mark => ("mark", names(&manifest.terms.marks)),
            Role::Counter => ("counter", names(&manifest.terms.counters)),
            Role::OwnEvent => ("event", names(&manifest.terms.events)),
            Role::Weekday => ("weekday", owned(&WEEKDAYS)),
            Role::RiskLevel => ("risk level", owned(&RiskLevel::ALL.map(RiskLevel::as_str))),
            Role::SegmentType => ("type of segment", owned(&SegmentType::ALL.map(SegmentType::as_str))),
            Role::Segment => ("segment", self.segment_names.clone()),
            Role::Rule => ("rule", self.rule_names.clone()),
            Role::LoyaltyEvent => {
                let all = EventType::ALL.iter().map(|e| e.as_str().to_owned());
                ("loyalty event", all.chain(names(&manifest.terms.events)).collect())
            }
            Role::SourceEvent => {
                let sources = SourceType::ALL.into_iter().map(SourceType::as_str);
                let ticks = TickType::ALL.into_iter().map(TickType::as_str);
                ("event", sources.chain(ticks).map(str::to_owned).collect())
            }
        };
        if known.iter().any(|name| name == text.as_str()) {
            return;
        }
        let in_manifest = matches!(
            role,
            Role::Tier
                | Role::Wallet
                | Role::CouponBook
                | Role::Achievement
                | Role::Endpoint
                | Role::Category
                | Role::StatusOrMark
                | Role::Mark
                | Role::Counter
                | Role::OwnEvent
        );
        let help = suggest::or_list(text, known.iter().map(String::as_str))
            .or_else(|| in_manifest.then(|| "list it in program.toml".to_owned()))
            .or_else(|| (role == Role::Segment).then(|| format!("declare it: segment \"{text}\" when …")));
        self.problem(*position, format!("there is no {what} called `{text}`"), help);
    }
}

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
