//! Texts that must name something: tiers, wallets, segments and their like.

use rhai::{Dynamic, Expr, Position};

use super::literals::Literal;
use super::{Checker, Known, Mistake, Role, Type};
use crate::domain::identity::IdentityKind;
use crate::domain::loyalty_event::EventType;
use crate::domain::member::{RiskLevel, Status};
use crate::domain::referral::Side;
use crate::domain::schedule::TickType;
use crate::domain::segment::SegmentType;
use crate::domain::source_event::SourceType;
use crate::rules::suggest;

impl Checker<'_> {
    /// `member.tier in ["silver", "gold"]`: each value in the list must be such as the left side can be.
    pub(super) fn listed(&mut self, args: &[&Expr], known: &[Known]) {
        let ([list, expr], [_, value]) = (args, known) else { return };
        self.bounded_range((expr, *value), list);
        if let Expr::Array(parts, position) = list {
            if parts.is_empty() {
                let help = Some("write what it may be: [\"…\", \"…\"]".to_owned());
                self.problem(Mistake::NeverTrue, *position, "nothing is in an empty list", help);
            }
            parts.iter().for_each(|part| self.listed_value(value, part));
        } else if let (Expr::StringConstant(_, position), Some(_), true) =
            (list, value.role, value.kind == Type::Text)
        {
            let help = Some("write each in quotes of its own: [\"…\", \"…\"]".to_owned());
            self.problem(Mistake::Unclear, *position, "this is one text and no list of names", help);
        } else if let Some(Ok(parts)) = self.constant(list).map(Dynamic::as_array_ref) {
            let position = list.position();
            for part in parts.iter() {
                let part = Expr::from_dynamic(part.clone(), position);
                self.listed_value(value, &part);
            }
        }
    }

    fn listed_value(&mut self, value: &Known, part: &Expr) {
        // A function may be asked of several kinds of names.
        if let Some(role) = value.role.filter(|_| self.here.called.is_none()) {
            self.named_or_empty(role, part);
        }
        let Some(literal) = self.literal(part) else { return };
        let kind = literal.kind();
        let is_alike =
            kind == value.kind || value.kind.is_open() || kind.is_number() && value.kind.is_number();
        if !is_alike {
            let message = format!("{} is never {}", value.kind.as_str(), kind.as_str());
            self.problem(
                Mistake::WrongType,
                super::start(part),
                message,
                Some("it is in no such list".to_owned()),
            );
        }
    }

    /// Comparing with "" asks whether there is any.
    pub(super) fn named_or_empty(&mut self, role: Role, text: &Expr) {
        if self.literal(text) != Some(Literal::Text(String::new())) {
            self.named(role, text);
        }
    }

    /// A text that is written, or a constant, must name something that exists.
    pub(super) fn named(&mut self, role: Role, text: &Expr) {
        if role == Role::Date {
            return self.date(text, false);
        }
        if let Some(Literal::Text(name)) = self.literal(text) {
            self.unknown(role, &name, text.position());
        }
    }

    /// Complains about a name of something that does not exist.
    pub(super) fn unknown(&mut self, role: Role, name: &str, position: Position) {
        let Some((what, known)) = self.names_of(role) else { return };
        if known.iter().any(|known| known == name) || self.failed.contains(name) {
            return;
        }
        let in_manifest = matches!(
            role,
            Role::Tier
                | Role::Wallet
                | Role::CouponBook
                | Role::Reward
                | Role::Achievement
                | Role::Endpoint
                | Role::Category
                | Role::StatusOrMark
                | Role::Mark
                | Role::Counter
                | Role::OwnEvent
        );
        let is_told = role == Role::SourceEvent && name.parse::<EventType>().is_ok();
        let told = is_told
            .then(|| "this is told, not sent: send what brings it about, and expect told(…)".to_owned());
        let help = told
            .or_else(|| suggest::or_family(name, known.iter().map(String::as_str)))
            .or_else(|| in_manifest.then(|| "list it in program.toml".to_owned()))
            .or_else(|| (role == Role::Segment).then(|| format!("declare it: segment \"{name}\" when …")));
        self.problem(Mistake::UnknownName, position, format!("there is no {what} called `{name}`"), help);
    }

    /// Whether a word without quotes is the name of something that texts name.
    pub(super) fn is_name(&self, word: &str) -> bool {
        const ROLES: [Role; 10] = [
            Role::Tier,
            Role::Status,
            Role::Weekday,
            Role::RiskLevel,
            Role::Category,
            Role::Wallet,
            Role::Achievement,
            Role::Endpoint,
            Role::CouponBook,
            Role::Reward,
        ];
        let mut names = ROLES.into_iter().filter_map(|role| self.names_of(role));
        names.any(|(_, known)| known.iter().any(|name| name == word))
    }

    /// What a role is called, and the names that there are; `None` where any name will do.
    pub(super) fn names_of(&self, role: Role) -> Option<(&'static str, Vec<String>)> {
        let manifest = self.manifest;
        let names = |list: &'_ [crate::domain::text::Name]| {
            list.iter().map(|name| name.to_string()).collect::<Vec<_>>()
        };
        let owned = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Some(match role {
            Role::Tier => ("tier", manifest.terms.tiers.ids().map(|id| id.to_string()).collect()),
            Role::Wallet => {
                let wallets = manifest.terms.wallets.iter();
                ("wallet", wallets.map(|wallet| wallet.code.to_string()).collect())
            }
            Role::CouponBook => {
                let ids = manifest.terms.coupon_books.iter().filter_map(|book| book.id.as_ref());
                ("coupon book", ids.map(ToString::to_string).collect())
            }
            Role::Reward => {
                let all = manifest.terms.rewards.iter();
                ("reward", all.map(|reward| reward.id.to_string()).collect())
            }
            Role::Achievement => {
                let all = manifest.terms.achievements.iter();
                ("achievement", all.map(|achievement| achievement.id.to_string()).collect())
            }
            Role::Endpoint => ("endpoint tag", names(&manifest.endpoints)),
            Role::Side => ("side of a referral", owned(&[Side::Sender, Side::Receiver].map(Side::as_str))),
            Role::IdentityKind => ("kind of identity", owned(&IdentityKind::ALL.map(IdentityKind::as_str))),
            Role::Date => return None,
            Role::Category if manifest.categories.is_empty() => return None,
            Role::Category => ("category", names(&manifest.categories)),
            Role::Status => ("status", Status::ALL.iter().map(|status| status.as_str().to_owned()).collect()),
            Role::StatusOrMark if manifest.terms.marks.is_empty() => return self.names_of(Role::Status),
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
        })
    }
}

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
