//! API keys.

use serde_json::json;

use super::{Group, at};
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
            at("/v1/keys/{key}")
                .get(
                    keys::get,
                    op("get_key", "Read a key")
                        .about("Who made it, until when it works, and in which minute it was used last.")
                        .needs(Right::Administer)
                        .answers::<KeyView>(200, "The key, without its text."),
                )
                .patch(
                    keys::patch,
                    op("change_key", "Change the name, the end or the limit of a key")
                        .about("What is not said stays as it is; `null` clears.")
                        .needs(Right::Administer)
                        .takes::<KeyPatch>(json!({ "name": "till 3", "expires_at": "2099-01-01T00:00:00Z" }))
                        .answers::<KeyView>(200, "The key.")
                        .refuses(&["last_admin_key", "conflict"]),
                )
                .delete(
                    keys::revoke,
                    op("revoke_key", "Revoke a key")
                        .about("It is useless from now on; other processes notice within two seconds.")
                        .needs(Right::Administer)
                        .answers_nothing(204, "It is revoked.")
                        .refuses(&["last_admin_key"]),
                ),
            at("/v1/keys/{key}/rotate").post(
                keys::rotate,
                op("rotate_key", "Give a key another text")
                    .about("The answer alone shows it. The texts before it work for a day, or for `overlap_seconds`.")
                    .needs(Right::Administer)
                    .takes::<Rotate>(json!({ "overlap_seconds": 3600 }))
                    .answers::<RotatedView<'static>>(200, "The key with its new text. Keep it: it is not shown again.")
                    .refuses(&["conflict"]),
            ),
        ],
    }
}
