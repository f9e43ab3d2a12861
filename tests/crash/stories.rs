//! Everything that the loyalty program promises, under `kill -9`: each command that was answered has had its effect
//! exactly once, however often it was sent.

use std::path::Path;
use std::time::Duration;

use actix_web::rt::time::sleep;
use tempfile::TempDir;

use crate::copy_folder::copy_folder;
use crate::counter::{Counter, join};
use crate::coupons::{self, Coupons};
use crate::people::{Erasures, Merges};
use crate::redemptions::{self, Redemptions};
use crate::referrals::{self, Referrals};
use crate::server::{Server, sample_rules, verify};
use crate::{on_both_backends, rounds};

/// Kills per backend, unless it is said.
const ROUNDS: u32 = 5;

on_both_backends! { every_answered_command_has_had_its_effect_exactly_once_after_kill_9 }

async fn every_answered_command_has_had_its_effect_exactly_once_after_kill_9(database: &str) {
    let rules = program(&[redemptions::PROGRAM, coupons::PROGRAM, referrals::PROGRAM].concat());
    let server = Server::start_under(rules.path(), database, &[]);
    let counter = Counter::open(&server.base);
    let redemptions = Redemptions::open(&counter).await;
    let coupons = Coupons::open(&server.base, &counter).await;
    let referrals = Referrals::open(&counter).await;
    let (merges, erasures) = (Merges::open(&counter), Erasures::open(&counter));
    macro_rules! staff {
        ($($clerks:literal of $noun:ident),*) => {
            [$(counter.staff($clerks, { let noun = $noun.clone(); move |n| noun.clone().story(n) })),*]
        };
    }
    let clerks = staff![6 of redemptions, 4 of coupons, 4 of referrals, 4 of merges, 2 of erasures];
    let server = kills(server, rules.path(), database, &counter).await;
    counter.close();
    join(clerks.into_iter().flatten().collect()).await;
    // Whatever is only remembered by a process is forgotten now.
    server.kill();
    let server = Server::start_under(rules.path(), database, &[]);
    counter.move_to(&server.base);
    redemptions.reconcile().await;
    coupons.reconcile().await;
    referrals.reconcile().await;
    merges.reconcile().await;
    erasures.reconcile().await;
    let (answered, repeated) = (counter.answered(), counter.repeated());
    assert!(answered > 200 && repeated > 5, "{answered} answers, {repeated} repeated: this proves little");
    println!("{answered} commands answered, {repeated} of them asked again after they were done");
    server.kill();
    verify(database);
}

/// Kills the server in the midst of it, again and again; answers the last one.
async fn kills(mut server: Server, rules: &Path, database: &str, counter: &Counter) -> Server {
    for round in 0..rounds(ROUNDS) {
        let (before, more) = (counter.answered(), 40 + round * 7919 % 60);
        counter.until("people are answered", async || counter.answered() >= before + more).await;
        sleep(Duration::from_millis(u64::from(round * 7 % 20))).await;
        server.kill();
        server = Server::start_under(rules, database, &[]);
        counter.move_to(&server.base);
    }
    server
}

/// The sample's rules with a longer `program.toml`.
pub(crate) fn program(more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&sample_rules(), folder.path());
    let manifest = folder.path().join("harvest/program.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text + more).unwrap();
    folder
}
