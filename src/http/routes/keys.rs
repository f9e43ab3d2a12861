//! API keys.

use serde_json::json;

use super::{Group, at};
use crate::domain::role::Right;
use crate::http::admin::keys::{self, NewKey, NewKeyView};
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
                        .creates::<NewKeyView<'static>>("The key. Keep it: it is not shown again."),
                ),
            at("/v1/keys/{key}").delete(
                keys::revoke,
                op("revoke_key", "Revoke a key")
                    .about("It is useless from now on; other processes notice within two seconds.")
                    .needs(Right::Administer)
                    .answers_nothing(204, "It is revoked."),
            ),
        ],
    }
}
