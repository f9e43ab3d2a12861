//! Dialects: which wire formats there are, and what each of them calls a loyalty event.
//!
//! How a message looks in a dialect is `wire`'s affair; its names are known here, because subscriptions, rules and the
//! catalogue speak of them, too.

use std::borrow::Cow;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::loyalty_event::{EventData, EventType};

macro_rules! dialects {
    ($($(#[$meta:meta])* $variant:ident = $word:literal,)*) => {
        /// The wire formats that an endpoint may speak.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, JsonSchema)]
        pub enum Dialect { $($(#[$meta])* #[schemars(rename = $word)] $variant,)* }

        impl Dialect {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used in JSON and in the store.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        const WANTED: &str = concat!("a dialect:" $(, " `", $word, "`")*);
    };
}

dialects! {
    /// Standard Webhooks 1.0, with our own names.
    #[default]
    Standard = "standard",
    /// GuestIQ's webhooks.
    Guestiq = "guestiq",
    /// Loyali's webhooks.
    Loyali = "loyali",
    /// The Events Webhook of a loyalty platform.
    EventsWebhook = "events_webhook",
    /// Gustaio's webhooks.
    Gustaio = "gustaio",
    /// Bubblehouse's hook `SendEvent1`.
    Bubblehouse = "bubblehouse",
    /// Sentences in a Slack channel.
    Slack = "slack",
    /// Sentences in a Google Chat space.
    GoogleChat = "google_chat",
    /// Sentences in a Discord channel.
    Discord = "discord",
    /// Our own names and values, without nesting, for automation tools.
    Flat = "flat",
}

/// What receivers of a dialect know a loyalty event by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpokenName {
    /// The name.
    pub said: Cow<'static, str>,
    /// Whether the product documents it. Otherwise it is our type in that product's spelling, and is sent only to who
    /// named it: a strict receiver that takes all there is must not meet what it cannot know.
    pub documented: bool,
}

impl Dialect {
    /// What its receivers know events of this type by; `None` when it cannot carry them.
    pub fn name_of(self, kind: EventType) -> Option<SpokenName> {
        if let Some(said) = self.documented_name(kind) {
            return Some(SpokenName { said: said.into(), documented: true });
        }
        let extension = |said: String| Some(SpokenName { said: said.into(), documented: false });
        let word = kind.as_str();
        match self {
            // They know all of ours.
            Self::Standard | Self::Slack | Self::GoogleChat | Self::Discord | Self::Flat => None,
            Self::Guestiq => extension(person(word, "guest").replace('.', "_").to_uppercase()),
            Self::Loyali => extension(person(word, "customer")),
            Self::EventsWebhook => extension(word.replace(['.', '_'], "-")),
            Self::Gustaio => extension(word.to_owned()),
            Self::Bubblehouse if !kind.is_about_member() => None, // its messages need a customer
            Self::Bubblehouse => extension(titled(&person(word, "customer"))),
        }
    }

    /// Another name that the product documents for events of this type, for receivers that ask for them by it.
    pub const fn other_name_of(self, kind: EventType) -> Option<&'static str> {
        match (self, kind) {
            (Self::Bubblehouse, EventType::PointsEarned) => Some("Points Earned"),
            (Self::Bubblehouse, EventType::PointsRedeemed) => Some("Points Redeemed"),
            (Self::Bubblehouse, EventType::PointsExpired) => Some("Points Expired"),
            _ => None,
        }
    }

    /// The type that a dialect calls so besides.
    pub fn calling(name: &str) -> Option<(Self, EventType)> {
        let all = Self::ALL.iter().flat_map(|dialect| EventType::ALL.iter().map(|kind| (*dialect, *kind)));
        all.into_iter().find(|(dialect, kind)| dialect.other_name_of(*kind) == Some(name))
    }

    /// The types that its receivers know by this name; none when they know no such name.
    pub fn kinds_called(self, name: &str) -> Vec<EventType> {
        // One type there has two names, by whom it is told to.
        let name = if name == "Referral Approved (Sender)" { "Referral Approved (Receiver)" } else { name };
        let is_called = |kind: &EventType| {
            self.name_of(*kind).is_some_and(|known| known.said == name)
                || self.other_name_of(*kind) == Some(name)
        };
        EventType::ALL.iter().copied().filter(is_called).collect()
    }

    /// What else an event is there: a till that tells of an order when it is paid, and not before, placed it by that.
    pub const fn is_also(self, event: &EventData) -> Option<EventType> {
        match (self, event) {
            (Self::Gustaio, EventData::OrderCompleted(told)) if !told.told_before => {
                Some(EventType::OrderCreated)
            }
            _ => None,
        }
    }

    /// The same of an event that was told before, by its canonical message.
    pub fn message_is_also(self, kind: EventType, message: &str) -> Option<EventType> {
        #[derive(Deserialize)]
        struct Message {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            #[serde(default)]
            told_before: bool,
        }
        if (self, kind) != (Self::Gustaio, EventType::OrderCompleted) {
            return None;
        }
        let told: Message = serde_json::from_str(message).ok()?;
        (!told.data.told_before).then_some(EventType::OrderCreated)
    }

    /// The hook of its receivers that only asks whether anybody is there.
    pub const fn greeting(self) -> Option<&'static str> {
        match self {
            Self::Bubblehouse => Some("Hello1"),
            _ => None,
        }
    }

    /// Whether it has a rendering of events of this type.
    pub fn carries(self, kind: EventType) -> bool {
        self != Self::Bubblehouse || kind.is_about_member()
    }

    /// Whether `*` covers this type: what the product documents.
    pub fn documents(self, kind: EventType) -> bool {
        self.documented_name(kind).is_some()
    }

    /// Whether it tells people sentences, which an endpoint may word itself.
    pub const fn is_worded(self) -> bool {
        matches!(self, Self::Slack | Self::GoogleChat | Self::Discord)
    }

    /// Whether what is told in it is our own message, of which an endpoint may want something else.
    pub const fn is_transformable(self) -> bool {
        matches!(self, Self::Standard | Self::Flat)
    }

    /// Whether its receivers take the secret's text for the key, as it is. The others decode it.
    pub const fn is_keyed_by_text(self) -> bool {
        matches!(self, Self::Guestiq | Self::Loyali | Self::Gustaio | Self::Bubblehouse)
    }

    /// Whether its own signature stands in a header that has room for one: that of one key.
    pub const fn has_one_signature(self) -> bool {
        matches!(self, Self::Guestiq | Self::Gustaio | Self::Bubblehouse)
    }

    const fn documented_name(self, kind: EventType) -> Option<&'static str> {
        match self {
            Self::Standard | Self::Slack | Self::GoogleChat | Self::Discord | Self::Flat => {
                Some(kind.as_str())
            }
            Self::Guestiq => guestiq(kind),
            Self::Loyali => loyali(kind),
            Self::EventsWebhook => events_webhook(kind),
            Self::Gustaio => gustaio(kind),
            Self::Bubblehouse => bubblehouse(kind),
        }
    }
}

/// Our type with the product's word for a member.
fn person(kind: &str, word: &str) -> String {
    match kind.strip_prefix("member.") {
        Some(what) => format!("{word}.{what}"),
        None => kind.to_owned(),
    }
}

/// `points.clawed_back` as `Points Clawed Back`.
fn titled(kind: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    };
    kind.split(['.', '_']).map(word).collect::<Vec<_>>().join(" ")
}

const fn guestiq(kind: EventType) -> Option<&'static str> {
    use EventType as E;
    Some(match kind {
        E::MemberIdentified => "GUEST_IDENTIFIED",
        E::MemberUpdated => "GUEST_PROFILE_UPDATED",
        E::MemberMerged => "GUEST_MERGED",
        E::SegmentEntered => "SEGMENT_ENTERED",
        E::SegmentExited => "SEGMENT_EXITED",
        E::SignalReceived => "SIGNAL_RECEIVED",
        E::SessionStarted => "SESSION_STARTED",
        E::SessionEnded => "SESSION_ENDED",
        E::OrderCompleted => "ORDER_COMPLETED",
        E::CartAbandoned => "CART_ABANDONED",
        E::MemberAtRisk => "GUEST_AT_RISK",
        E::MemberChurned => "GUEST_CHURNED",
        E::MemberReactivated => "GUEST_REACTIVATED",
        _ => return None,
    })
}

const fn loyali(kind: EventType) -> Option<&'static str> {
    use EventType as E;
    Some(match kind {
        E::MemberEnrolled => "customer.created",
        E::MemberUpdated => "customer.updated",
        E::PointsEarned
        | E::PointsRedeemed
        | E::PointsExpired
        | E::PointsAdjusted
        | E::TierUpgraded
        | E::TierDowngraded
        | E::RedemptionCreated
        | E::RedemptionPending
        | E::RedemptionApproved
        | E::RedemptionFulfilled
        | E::RedemptionRejected
        | E::RedemptionCancelled
        | E::AchievementEarned => kind.as_str(),
        _ => return None,
    })
}

const fn events_webhook(kind: EventType) -> Option<&'static str> {
    use EventType as E;
    Some(match kind {
        E::MemberEnrolled => "member-created",
        E::CouponAssigned => "coupon-code-assigned",
        E::CouponUsed => "coupon-code-used",
        _ => return None,
    })
}

/// Whatever happens to an order after it was placed is an update of it there.
const fn gustaio(kind: EventType) -> Option<&'static str> {
    use EventType as E;
    Some(match kind {
        E::OrderCreated => "order.create",
        E::OrderUpdated | E::OrderCompleted | E::OrderCancelled | E::OrderRefunded => "order.update",
        E::ExperienceCreated => "experience.create",
        E::ExperienceUpdated => "experience.update",
        E::ExperienceDeleted => "experience.delete",
        E::MenuItemCreated => "menu_item.create",
        E::MenuItemUpdated => "menu_item.update",
        E::MenuItemDeleted => "menu_item.delete",
        _ => return None,
    })
}

/// Every move of a balance is an update of the points there.
const fn bubblehouse(kind: EventType) -> Option<&'static str> {
    use EventType as E;
    Some(match kind {
        E::PointsEarned
        | E::PointsDeducted
        | E::PointsClawedBack
        | E::PointsExpired
        | E::PointsAdjusted
        | E::PointsRedeemed
        | E::PointsReturned => "Points Updated",
        E::TierUpgraded => "Tier Reached",
        E::AchievementEarned => "Asset Unlocked",
        E::RedemptionCreated => "Vendible Redeemed",
        E::ReferralCreated => "Referred (Receiver)",
        E::ReferralApproved => "Referral Approved (Receiver)",
        E::MemberUpdated => "Customer Updated",
        E::MemberBirthday => "Birthday",
        E::MemberAnniversary => "Anniversary",
        _ => return None,
    })
}

impl Serialize for Dialect {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Dialect {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::json::from_text(deserializer, WANTED)
    }
}

impl FromStr for Dialect {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|dialect| dialect.as_str() == word).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(dialect: Dialect, kind: EventType) -> Option<String> {
        dialect.name_of(kind).map(|name| name.said.into_owned())
    }

    #[test]
    fn what_a_product_does_not_document_has_our_name_in_its_spelling() {
        let kinds = [EventType::PointsClawedBack, EventType::MemberErased, EventType::MenuItemCreated];
        for (dialect, names) in [
            (Dialect::Guestiq, ["POINTS_CLAWED_BACK", "GUEST_ERASED", "MENU_ITEM_CREATED"]),
            (Dialect::Loyali, ["points.clawed_back", "customer.erased", "menu_item.created"]),
            (Dialect::EventsWebhook, ["points-clawed-back", "member-erased", "menu-item-created"]),
        ] {
            assert_eq!(kinds.map(|kind| said(dialect, kind)), names.map(|name| Some(name.to_owned())));
            assert!(kinds.iter().all(|kind| !dialect.documents(*kind)));
        }
        assert_eq!(said(Dialect::Gustaio, kinds[0]).as_deref(), Some("points.clawed_back"));
        assert_eq!(
            said(Dialect::Bubblehouse, EventType::RedemptionPending).as_deref(),
            Some("Redemption Pending")
        );
        assert_eq!(said(Dialect::Bubblehouse, kinds[1]).as_deref(), Some("Customer Erased"));
        assert_eq!(said(Dialect::Bubblehouse, kinds[2]), None);
    }

    #[test]
    fn so_many_events_are_documented_and_each_that_is_carried_has_a_name() {
        let documented = |dialect: &Dialect| {
            let all = EventType::ALL.iter().copied();
            all.filter(|kind| dialect.documents(*kind)).count()
        };
        let all = EventType::ALL.len();
        assert_eq!(
            Dialect::ALL.iter().map(documented).collect::<Vec<_>>(),
            [all, 13, 15, 3, 11, 15, all, all, all, all]
        );
        for dialect in Dialect::ALL {
            for kind in EventType::ALL {
                let name = dialect.name_of(*kind);
                assert_eq!(name.is_some(), dialect.carries(*kind), "{dialect:?} {kind}");
                assert!(name.is_none_or(|name| name.documented == dialect.documents(*kind)));
            }
        }
    }

    #[test]
    fn a_message_says_what_else_it_is_as_its_event_does() {
        for dialect in Dialect::ALL {
            for event in EventType::ALL.iter().map(|kind| kind.example()) {
                let said = dialect.message_is_also(event.kind(), &event.to_json());
                assert_eq!(said, dialect.is_also(&event.data), "{dialect:?} {}", event.kind());
            }
        }
        let first = EventType::OrderCompleted.example().to_json().replace(r#""told_before":true,"#, "");
        let also = Dialect::Gustaio.message_is_also(EventType::OrderCompleted, &first);
        assert_eq!(also, Some(EventType::OrderCreated));
    }

    #[test]
    fn a_dialect_is_read_by_its_word() {
        for dialect in Dialect::ALL {
            let json = serde_json::to_string(dialect).unwrap();
            assert_eq!(serde_json::from_str::<Dialect>(&json).unwrap(), *dialect);
        }
        let refused = serde_json::from_str::<Dialect>("\"morse\"").unwrap_err().to_string();
        assert!(refused.contains("`events_webhook`"), "{refused}");
    }
}
