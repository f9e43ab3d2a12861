//! A large file of codes on its way to a book, when the process is killed.

use actix_web::rt::spawn;
use awc::http::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::counter::Counter;
use crate::coupons::{self, codes_of};
use crate::on_both_backends;
use crate::server::{ADMIN_KEY, Server, send, verify};
use crate::stories::program;

on_both_backends! { an_upload_that_kill_9_cuts_off_leaves_whole_thousands_and_can_be_sent_again }

const CODES: usize = 50_000;

async fn an_upload_that_kill_9_cuts_off_leaves_whole_thousands_and_can_be_sent_again(database: &str) {
    let rules = program(coupons::PROGRAM);
    let mut server = Server::start_under(rules.path(), database, &[]);
    let counter = Counter::open(&server.base);
    counter.order(Method::POST, "members", "ana", &json!({ "id": "ana" })).await;
    let (file, path) =
        ((0..CODES).map(|n| code(n) + "\n").collect::<String>(), codes_of(&server.base, "First come").await);
    let mut kept = 0;
    for seen in [0, 11_500, 37_200] {
        let upload = spawn(all_but_the_last_byte(server.base.clone(), path.clone(), file.clone()));
        let there = format!("coupons/{}", code(seen));
        counter.until("codes arrive", async || counter.look(&there).await.is_some()).await;
        server.kill();
        upload.abort();
        server = Server::start_under(rules.path(), database, &[]);
        counter.move_to(&server.base);
        let before = kept;
        kept = how_many(&counter).await;
        assert!(kept > seen && kept >= before && kept < CODES, "{kept} codes after {before}");
        assert_eq!(kept % 1_000, 0, "a thousand codes are there or not");
        println!("{kept} of {CODES} codes were there when the process was killed");
    }
    let used = format!("coupons/{}/use", code(0));
    counter.order(Method::POST, &used, "use", &json!({ "member": "ana" })).await;

    for there in [kept, CODES] {
        let plain = ("content-type", "text/plain");
        let (status, report) =
            send(&server.base, Method::POST, &path, &[plain], file.clone()).await.expect("an answer");
        assert_eq!(status, 200, "{report}");
        let report: Value = serde_json::from_str(&report).expect("JSON");
        assert_eq!(report, json!({ "added": CODES - there, "duplicate": there, "invalid": 0 }));
    }
    let shown = counter.see(&format!("coupons/{}", code(0))).await;
    assert_eq!(shown["total_usages"], 1, "what was used stays used");
    server.kill();
    verify(database);
}

fn code(n: usize) -> String {
    format!("ONCE-{n:06}")
}

/// How many codes there are, when they are the first ones of the file.
async fn how_many(counter: &Counter) -> usize {
    let (mut there, mut missing) = (0, CODES);
    while there + 1 < missing {
        let middle = usize::midpoint(there, missing);
        let found = counter.look(&format!("coupons/{}", code(middle))).await;
        *(if found.is_some() { &mut there } else { &mut missing }) = middle;
    }
    missing
}

/// An upload that cannot end by itself.
async fn all_but_the_last_byte(base: String, path: String, file: String) {
    let address = base.trim_start_matches("http://");
    let mut line = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\nContent-Type: text/plain\r\n\
         Content-Length: {}\r\n\r\n",
        file.len()
    );
    line.write_all(head.as_bytes()).await.unwrap();
    // It breaks off with the process.
    let _ = line.write_all(&file.as_bytes()[..file.len() - 1]).await;
    std::future::pending().await
}
