//! API keys.

use serde_json::json;

use super::{Group, Routes, at};
use crate::domain::role::Right;
use crate::http::admin::keys::{self, KeyPatch, NewKey, NewKeyView, Rotate, RotatedView};
use crate::http::openapi::op;
use crate::read::api_key::KeyView;
use crate::read::page::Page;

pub(super) fn group() -> Group {
    Group {
        name: "Keys",
        about: "Who may do what. A key has a role, and is for one chain or for all; it is shown once.",
        routes: vec![
            at("/v1/keys")
                .get(
                    keys::list,
                    op("list_keys", "The keys, the newest first")
                        .about("Never the keys themselves. An admin of one chain sees those of that chain.")
                        .needs(Right::Administer)
                        .paged()
                        .answers::<Page<KeyView>>(200, "A page of keys."),
                )
                .post(
                    keys::create,
                    op("create_key", "Make a key")
                        .about(
                            "The answer alone shows the key. An admin of one chain makes keys of that chain only, and \
                             must name it.",
                        )
                        .needs(Right::Administer)
                        .takes::<NewKey>(json!({ "role": "ingest", "chain": "harvest", "name": "till 3" }))
                        .creates::<NewKeyView<'static>>("The key. Keep it: it is not shown again.")
                        .makes_once(),
                ),
            one_key(),
            at("/v1/keys/{key}/rotate").post(
                keys::rotate,
                op("rotate_key", "Give a key another text")
                    .about(
                        "The texts before it work beside it for `overlap_seconds`. Id, role and all else stay. The answer \
                         alone shows the new text.",
                    )
                    .needs(Right::Administer)
                    .may_take::<Rotate>(json!({ "overlap_seconds": 86_400 }))
                    .answers::<RotatedView<'static>>(200, "The key. Keep it: it is not shown again.")
                    .makes_once()
                    .refuses(&["conflict"]),
            ),
        ],
    }
}

fn one_key() -> Routes {
    at("/v1/keys/{key}")
        .get(
            keys::get,
            op("get_key", "One key")
                .about("Never the key itself. When it was used last is told by the minute, about a minute later.")
                .needs(Right::Administer)
                .answers::<KeyView>(200, "The key."),
        )
        .patch(
            keys::patch,
            op("update_key", "Change a key's name, end or limit")
                .about("Only what is given changes; `null` clears. Who has a key of one chain does not change its limit.")
                .needs(Right::Administer)
                .takes::<KeyPatch>(json!({ "name": "till 4", "expires_at": "2027-01-31T00:00:00Z" }))
                .answers::<KeyView>(200, "The key as it is now.")
                .refuses(&["conflict", "last_admin_key"]),
        )
        .delete(
            keys::revoke,
            op("revoke_key", "Revoke a key")
                .about("It is useless from now on; other processes notice within two seconds.")
                .needs(Right::Administer)
                .answers_nothing(204, "It is revoked.")
                .refuses(&["last_admin_key"]),
        )
}
