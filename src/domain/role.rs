//! What a key may do.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;

/// The role of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Runs the program: reads everything, mends what failed. No endpoints, no keys.
    Manager,
    /// Reads everything.
    Viewer,
    /// A till: writes events and reads what it prints on a receipt.
    Ingest,
}

/// One thing that a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Configure chains, endpoints and keys.
    Administer,
    /// Run the program and mend what failed.
    Manage,
    /// Read events, deliveries, history.
    View,
    /// Read members, which a till needs too.
    ViewMembers,
    /// Send source events.
    SendEvents,
    /// Serve a guest at the till or by hand: use a coupon, redeem a reward.
    Serve,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Manager, Self::Viewer, Self::Ingest];

    /// The word used in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Manager => "manager",
            Self::Viewer => "viewer",
            Self::Ingest => "ingest",
        }
    }

    /// Whether this role includes that right.
    pub const fn has(self, right: Right) -> bool {
        match self {
            Self::Admin => true,
            Self::Manager => matches!(right, Right::Manage | Right::View | Right::ViewMembers | Right::Serve),
            Self::Viewer => matches!(right, Right::View | Right::ViewMembers),
            Self::Ingest => matches!(right, Right::SendEvents | Right::ViewMembers | Right::Serve),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of admin, manager, viewer, ingest")]
pub struct BadRole;

impl FromStr for Role {
    type Err = BadRole;
    fn from_str(word: &str) -> Result<Self, BadRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or(BadRole)
    }
}

impl Right {
    /// The word for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administer => "administer",
            Self::Manage => "manage",
            Self::View => "view",
            Self::ViewMembers => "view_members",
            Self::SendEvents => "send_events",
            Self::Serve => "serve",
        }
    }

    /// The least role that has it, for people.
    pub const fn least_role(self) -> Role {
        match self {
            Self::Administer => Role::Admin,
            Self::Manage => Role::Manager,
            Self::View | Self::ViewMembers => Role::Viewer,
            Self::SendEvents | Self::Serve => Role::Ingest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_exactly_the_rights_of_the_table() {
        let table = [
            // right, admin, manager, viewer, ingest
            (Right::Administer, [true, false, false, false]),
            (Right::Manage, [true, true, false, false]),
            (Right::View, [true, true, true, false]),
            (Right::ViewMembers, [true, true, true, true]),
            (Right::SendEvents, [true, false, false, true]),
            (Right::Serve, [true, true, false, true]),
        ];
        for (right, expected) in table {
            assert_eq!(Role::ALL.map(|role| role.has(right)), expected, "{right:?}");
            assert!(right.least_role().has(right), "{right:?}");
        }
    }

    #[test]
    fn roles_survive_their_word() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!("owner".parse::<Role>(), Err(BadRole));
    }
}
