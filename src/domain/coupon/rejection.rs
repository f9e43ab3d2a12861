//! Why something cannot be done with a coupon.

/// Why not. The names are those that [`Rejection::code`] gives to programs; the sentences are for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rejection {
    /// No such code in this chain.
    #[error("there is no coupon with this code")]
    NotFound,
    /// No such book, or `program.toml` does not declare it any more.
    #[error(
        "there is no such coupon book; one that program.toml declares is gone when it is taken out there"
    )]
    BookNotFound,
    /// Before the book's `valid_from`.
    #[error("the coupon is not valid yet")]
    NotYetValid,
    /// Past the book's `valid_to`, its own expiry, or that of its assignment.
    #[error("the coupon has expired")]
    Expired,
    /// Used as often as it may be.
    #[error("the coupon was used as often as it may be")]
    Exhausted,
    /// Assigned as often as it may be.
    #[error("the coupon was assigned as often as it may be")]
    AssignLimitReached,
    /// The member had their share of the book.
    #[error("the member had as many coupons of this book as one member may")]
    MemberLimitReached,
    /// It belongs to somebody else.
    #[error("the coupon belongs to another member")]
    RecipientDoesNotMatch,
    /// What is left of it is kept for others.
    #[error(
        "the coupon is reserved for another member; it is free again when that order is off or its time is over"
    )]
    Reserved,
    /// Nothing is kept for the member.
    #[error("the coupon is not reserved for this member, or not any more")]
    ReservationMissing,
    /// A reservation that is over at once, or too long.
    #[error("a coupon is reserved until an instant from now on, at most 24 hours ahead")]
    ReservationLength,
    /// Nothing under this key was done with this coupon.
    #[error("nothing was done with this coupon under this key")]
    UsageNotFound,
    /// Only uses can be taken back.
    #[error("only a use can be reverted; this was something else")]
    NotAUse,
    /// It was taken back before.
    #[error("the use was reverted before; it counts once")]
    AlreadyReverted,
    /// What was used is not taken back.
    #[error("the member has used the coupon already")]
    Used,
    /// An uploaded book has no code left that is nobody's.
    #[error("the book has no free code left; upload more")]
    NoFreeCode,
}

impl Rejection {
    /// The stable word for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "coupon_not_found",
            Self::BookNotFound => "coupon_book_not_found",
            Self::NotYetValid => "coupon_not_yet_valid",
            Self::Expired => "coupon_expired",
            Self::Exhausted => "coupon_exhausted",
            Self::AssignLimitReached => "coupon_assign_limit_reached",
            Self::MemberLimitReached => "coupon_member_limit_reached",
            Self::RecipientDoesNotMatch => "coupon_recipient_does_not_match",
            Self::Reserved => "coupon_reserved",
            Self::ReservationMissing => "coupon_reservation_missing",
            Self::ReservationLength => "coupon_reservation_length",
            Self::UsageNotFound => "coupon_usage_not_found",
            Self::NotAUse => "coupon_usage_not_a_use",
            Self::AlreadyReverted => "coupon_already_reverted",
            Self::Used => "coupon_used",
            Self::NoFreeCode => "coupon_book_exhausted",
        }
    }
}
