//! Events that rules and triggers wait for, and that this program never tells.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Expr, Stmt};

use super::literals::Literal;
use super::{Block, Checker, Mistake, Place, Spot};
use crate::domain::loyalty_event::EventType;
use crate::domain::schedule::TickType;
use crate::domain::terms::achievement::{Goal, Measure, Steps};
use crate::domain::terms::wallet::Pending;

impl Checker<'_> {
    /// Complains about waiting for what cannot happen before something is declared.
    pub(in crate::rules) fn awaited(&mut self, rules: &[(usize, Block)], triggers: &[(usize, Block)]) {
        let emitted = self.emitted(rules);
        for (file, block) in rules {
            self.emits(*file, block, emitted.as_ref());
            let missing = match block.event.parse::<TickType>() {
                Ok(tick) => self.never_ticks(tick),
                Err(()) => block.event.parse().ok().and_then(|event| self.never_told(event)),
            };
            self.awaits(*file, block, missing);
        }
        for (file, block) in triggers {
            self.emits(*file, block, emitted.as_ref());
            let event = block.event.parse::<EventType>().ok();
            self.awaits(*file, block, event.and_then(|event| self.never_told(event)));
        }
    }

    fn awaits(&mut self, file: usize, block: &Block, missing: Option<&str>) {
        let Some(missing) = missing else { return };
        self.enter(file, Place::Anywhere, None);
        let spot = Spot { length: block.event.len(), ..self.spot(block.event_position) };
        let message = format!("`{}` never happens in this program", block.event);
        self.push(Mistake::NeverHappens, spot, message, Some(format!("it needs {missing}")));
    }

    /// Complains about waiting for an event of the program's own that no rule emits.
    fn emits(&mut self, file: usize, block: &Block, emitted: Option<&BTreeSet<String>>) {
        let is_own = self.manifest.terms.events.iter().any(|name| name.as_str() == block.event);
        if is_own && emitted.is_some_and(|emitted| !emitted.contains(&block.event)) {
            let missing = format!("a rule that says emit(\"{}\")", block.event);
            self.awaits(file, block, Some(&missing));
        }
    }

    /// The events of the program's own that rules emit; `None` when that is not known before they run.
    fn emitted(&self, rules: &[(usize, Block)]) -> Option<BTreeSet<String>> {
        let (mut emitted, mut is_known) = (BTreeSet::new(), true);
        let mut look = |path: &[ASTNode<'_>]| {
            if let Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) =
                path.last()
                && call.name == "emit"
            {
                match call.args.first().and_then(|name| self.literal(name)) {
                    Some(Literal::Text(name)) => _ = emitted.insert(name),
                    _ => is_known = false,
                }
            }
            true
        };
        for (_, block) in rules {
            block.body.walk(&mut Vec::new(), &mut look);
        }
        let asts: Vec<&AST> = self.functions.iter().map(|function| function.ast).collect();
        for ast in asts {
            ast.walk(&mut look);
        }
        is_known.then_some(emitted)
    }

    fn never_ticks(&self, tick: TickType) -> Option<&'static str> {
        let celebrations = self.manifest.terms.celebrations;
        match tick {
            TickType::Birthday if !celebrations.birthdays => Some("birthdays = true in [celebrations]"),
            TickType::Anniversary if !celebrations.anniversaries => {
                Some("anniversaries = true in [celebrations]")
            }
            _ => None,
        }
    }

    /// Only of what an earlier version of the program cannot have left behind either.
    fn never_told(&self, event: EventType) -> Option<&'static str> {
        let terms = &self.manifest.terms;
        let has_goal = |is_it: &dyn Fn(&Goal) -> bool| {
            terms.achievements.iter().filter_map(|achievement| achievement.goal.as_ref()).any(is_it)
        };
        match event {
            EventType::CartAbandoned if terms.carts.is_none() => Some("[carts] in program.toml"),
            EventType::ReferralCreated if terms.referrals.is_none() => Some("[referrals] in program.toml"),
            EventType::PointsPending if terms.wallets.iter().all(|wallet| wallet.pending == Pending::No) => {
                Some("a wallet with `pending`")
            }
            EventType::PointsExpiringSoon
                if terms.wallets.iter().all(|wallet| wallet.warn_days.is_none()) =>
            {
                Some("a wallet with `warn_days`")
            }
            EventType::RedemptionCreated | EventType::PointsRedeemed if terms.rewards.is_empty() => {
                Some("[[rewards]] in program.toml")
            }
            EventType::TierUpgraded | EventType::TierDowngraded if terms.tiers.ladder.is_empty() => {
                Some("`tiers` in program.toml")
            }
            EventType::AchievementEarned if terms.achievements.is_empty() => {
                Some("`achievements` in program.toml")
            }
            EventType::AchievementProgressed if !has_goal(&|goal| goal.steps == Steps::Told) => {
                Some("an achievement with `tell_progress = true`")
            }
            EventType::StreakBroken if !has_goal(&|goal| matches!(goal.measure, Measure::Streak(_))) => {
                Some("an achievement with `counts = \"streak\"`")
            }
            EventType::CampaignExhausted if terms.campaigns.is_empty() => {
                Some("[[campaigns]] in program.toml")
            }
            EventType::TierWillDowngrade if terms.tiers.policy.is_none() => {
                Some("[tier_policy] in program.toml")
            }
            EventType::SegmentEntered if self.segment_names.is_empty() => Some("a `segment`"),
            EventType::CustomEmitted if terms.events.is_empty() => Some("`events` in program.toml"),
            EventType::MemberBirthday => self.never_ticks(TickType::Birthday),
            EventType::MemberAnniversary => self.never_ticks(TickType::Anniversary),
            _ => None,
        }
    }
}
