//! Coupon books, their codes, and what is done with coupons.

use serde_json::json;

use super::{Group, Routes, of_chain};
use crate::domain::command::CommandType;
use crate::domain::coupon::AssignBody;
use crate::domain::role::Right;
use crate::http::admin::commands::about_member;
use crate::http::admin::coupon_books::{self, NewBook};
use crate::http::admin::coupon_codes::{self, Generate, Report};
use crate::http::admin::coupons::{self, Wish, about_coupon};
use crate::http::openapi::{Operation, command, op};
use crate::read::coupon::{BookView, CouponView, MemberCouponView};
use crate::read::page::Page;

/// Why a coupon cannot be reserved or used.
const UNUSABLE: &[&str] = &[
    "coupon_book_not_found",
    "coupon_exhausted",
    "coupon_expired",
    "coupon_member_limit_reached",
    "coupon_not_found",
    "coupon_not_yet_valid",
    "coupon_recipient_does_not_match",
    "coupon_reserved",
];

pub(super) fn group() -> Group {
    let mut routes = books();
    routes.extend(coupons());
    Group {
        name: "Coupons",
        about: "Books of coupons, their codes, and what is done with them. What is done with a coupon is answered with a \
                receipt.",
        routes,
    }
}

fn books() -> Vec<Routes> {
    vec![
        of_chain("/coupon_books")
            .get(
                coupon_books::list,
                op("list_coupon_books", "Coupon books: those of `program.toml` and those of the API")
                    .needs(Right::View)
                    .paged()
                    .answers::<Page<BookView>>(200, "A page of books."),
            )
            .post(coupon_books::create, create_book()),
        of_chain("/coupon_books/{book}").get(
            coupon_books::get,
            op("get_coupon_book", "One coupon book").needs(Right::View).answers::<BookView>(200, "The book."),
        ),
        of_chain("/coupon_books/{book}/codes")
            .get(
                coupon_books::codes,
                op("list_coupons", "The coupons of a book, by code")
                    .needs(Right::View)
                    .paged()
                    .answers::<Page<CouponView>>(200, "A page of coupons."),
            )
            .post(coupon_codes::add, add_codes()),
    ]
}

fn create_book() -> Operation {
    op("create_coupon_book", "Make a coupon book")
        .about("Rules can only name books that `program.toml` declares.")
        .needs(Right::Manage)
        .repeatable()
        .takes::<NewBook>(json!({
            "name": "Summer of bowls",
            "type": "generated",
            "discount_type": "percentage",
            "discount_amount": 20,
            "valid_to_date": "2026-09-01T00:00:00Z",
        }))
        .creates::<BookView>("The book.")
        .answers::<BookView>(200, "It was made before, under this key.")
        .refuses(&["key_reused"])
}

fn add_codes() -> Operation {
    op("add_coupons", "Put coupons into a book")
        .about(
            "For an uploaded book: codes, one a line, as plain text, as CSV (code, and when it expires) or as objects of \
             `code`, `expires_at` and `custom_attributes`; however many, they are read as they come. For a generated book: how \
             many are to be made, 100,000 at most.",
        )
        .needs(Right::Manage)
        .repeatable()
        .takes::<Generate>(json!({ "generate": 100 }))
        .takes_text("text/plain", "SUMMER-20\nSUMMER-21\n")
        .takes_text("text/csv", "code,expires_at\nSUMMER-20,2026-09-01T00:00:00Z\n")
        .takes_text("application/x-ndjson", "{\"code\":\"SUMMER-20\"}\n")
        .answers::<Report>(200, "What became of them.")
}

fn coupons() -> Vec<Routes> {
    let move_it = |id, summary| command(id, summary, Right::Serve);
    vec![
        of_chain("/members/{member}/coupons")
            .get(
                coupons::of_member,
                op("list_member_coupons", "A member's coupons, by code")
                    .needs(Right::ViewMembers)
                    .paged()
                    .answers::<Page<MemberCouponView>>(200, "A page of coupons."),
            )
            .post(
                about_member(Right::Manage, CommandType::AssignCoupon),
                command("assign_coupon", "Give a coupon to a member", Right::Manage)
                    .about("Either a `code`, or a `book` of which one is given that is still nobody's.")
                    .takes::<AssignBody>(json!({ "book": "cbk_01HZY3V9W8Q2C5N7R4T6XKBMDG" }))
                    .refuses(&["coupon_assign_limit_reached", "coupon_book_exhausted"])
                    .refuses(UNUSABLE),
            ),
        of_chain("/coupons/{coupon}").get(
            coupons::get,
            op("get_coupon", "One coupon, with its book")
                .needs(Right::ViewMembers)
                .answers::<CouponView>(200, "The coupon."),
        ),
        of_chain("/coupons/{coupon}/reserve").post(
            about_coupon(CommandType::ReserveCoupon),
            move_it("reserve_coupon", "Keep a use of a coupon for a member while they order")
                .takes::<Wish>(json!({ "member": "m-42", "until": "2026-03-03T19:00:00Z" }))
                .refuses(&["coupon_reservation_length"])
                .refuses(UNUSABLE),
        ),
        of_chain("/coupons/{coupon}/release").post(
            about_coupon(CommandType::ReleaseCoupon),
            move_it("release_coupon", "Keep it no longer")
                .takes::<Wish>(json!({ "member": "m-42" }))
                .refuses(&["coupon_reservation_missing"])
                .refuses(UNUSABLE),
        ),
        of_chain("/coupons/{coupon}/use").post(
            about_coupon(CommandType::UseCoupon),
            move_it("use_coupon", "Use a coupon")
                .takes::<Wish>(json!({ "member": "m-42" }))
                .refuses(UNUSABLE),
        ),
        of_chain("/coupons/{coupon}/revert").post(
            about_coupon(CommandType::RevertCoupon),
            move_it("revert_coupon", "Take a use of a coupon back")
                .takes::<Wish>(json!({ "member": "m-42", "usage": "cbu_01HZY3V9W8Q2C5N7R4T6XKBMDG" }))
                .refuses(&["coupon_already_reverted", "coupon_usage_not_a_use", "coupon_usage_not_found"])
                .refuses(UNUSABLE),
        ),
    ]
}
