//! All dialects: golden vectors, the shapes that the products document, and every event in each of them.

mod samples;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use standardwebhooks::Webhook;
use ulid::Ulid;

use super::*;
use crate::domain::delivery::Verdict;
use crate::domain::endpoint::{Keys, Signatures, SigningKey, SigningPair};
use crate::domain::erasure::message_without_person;
use crate::domain::ids::MemberId;

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const AT: i64 = 1_772_562_600;

fn secret() -> Secret {
    Secret::of_text(SECRET).unwrap()
}

/// The keys with these secrets, the newest first.
fn keys(secrets: &[Secret]) -> Keys {
    let (first, others) = secrets.split_last().unwrap();
    let mut keys = Keys::new(first.clone(), now());
    for secret in others.iter().rev() {
        keys.rotate(secret.clone(), [0; 32], now(), DAY).unwrap();
    }
    keys
}

/// What a receiver with the sample's secret gets.
fn encoded(dialect: Dialect, message: String) -> Result<SignedRequest, Unsendable> {
    encoded_letter(dialect, letter(message))
}

fn encoded_letter(dialect: Dialect, letter: Letter) -> Result<SignedRequest, Unsendable> {
    encode(dialect, letter, &keys(&[secret()]).signers(now()), now())
}

fn letter(message: String) -> Letter {
    Letter {
        delivery: "dlv_0CKPWHJ8YG0000000000000001".parse().unwrap(),
        sequence: 7,
        attempt: 1,
        occasion: Occasion::News,
        event: EventId::new(Ulid(0x019c_b5c8_a3d0_0000_0000_0000_0000_002a)),
        message,
        name: None,
        texts: Arc::default(),
        trace: None,
    }
}

fn now() -> Timestamp {
    Timestamp::from_timestamp(AT, 0).unwrap()
}

fn said(dialect: Dialect, message: String) -> Value {
    let request = encoded(dialect, message).unwrap();
    serde_json::from_str(&request.body).unwrap()
}

fn header(request: &SignedRequest, name: &str) -> String {
    let mut found = request.headers.iter().filter(|(known, _)| *known == name);
    let (_, value) = found.next().unwrap_or_else(|| panic!("{name} in {:?}", request.headers));
    assert!(found.next().is_none(), "{name} is there once");
    value.clone()
}

/// The headers that a dialect makes for this body.
fn sealed(dialect: Dialect, body: &str, secrets: &[Secret]) -> Vec<Header> {
    let (letter, keys) = (letter(String::new()), keys(secrets));
    let signers = &keys.signers(now());
    speaker(dialect).sign(&Sealing { letter: &letter, body, signers, now: now() })
}

#[test]
fn the_golden_vectors_are_reproduced() {
    // Each was made, and is verified, by code of others: the snippets that the products print, Stripe's library, three
    // libraries for tokens.
    let body = r#"{"test": 2432232314}"#;
    let over_time = "b39f770f79240ee9f99d5612b9f2e6b7bcb1e0994f5939815160412cc3d545de";
    let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3NzI1NjI1NzAsImV4cCI6MTc3MjU2Mjg3MCwianRpIjoiZGx\
        2XzBDS1BXSEo4WUcwMDAwMDAwMDAwMDAwMDAxLjEuMTc3MjU2MjYwMDAwMDAwMCIsInN1YiI6IlNlbmRFdmVudDEiLCJib2R5X3NoYTI1NiI6ImFlODU4OTM\
        xZjY3ODg3ZTgxNTBkNmY5NmM5ZmUwMzA2MmMxZGYzNmI0NDY0YzRkZGM4ZTAwMmMwODRkNWQxOTgifQ.8kz4IP09rWEeFL95bp-67y1iHCCa7PfAeR7hkxt9\
        U0I";
    for (dialect, expected) in [
        (Dialect::Standard, vec![]),
        (Dialect::EventsWebhook, vec![]),
        (
            Dialect::Guestiq,
            vec![(
                "x-guestiq-signature",
                "sha256=fc40649f80ed2d64aa1f71768b00c87e0db70663005ac910f741c296eff3be32".to_owned(),
            )],
        ),
        (Dialect::Loyali, vec![("x-loyali-signature", format!("t={AT},v1={over_time}"))]),
        (
            Dialect::Gustaio,
            vec![("x-webhook-timestamp", AT.to_string()), ("x-webhook-signature", over_time.to_owned())],
        ),
        (Dialect::Bubblehouse, vec![("authorization", format!("Bearer {token}"))]),
    ] {
        assert_eq!(sealed(dialect, body, &[secret()]), expected, "{dialect:?}");
    }
}

#[test]
fn the_published_vectors_of_standard_webhooks_are_reproduced() {
    for (secret, id, timestamp, body, signature) in [
        (
            SECRET,
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ] {
        let keys = keys(&[Secret::of_text(secret).unwrap()]);
        let [id_header, timestamp_header, signed] =
            sign::standard_headers(id, timestamp, body, &keys.signers(now()));
        assert_eq!(signed, ("webhook-signature", signature.to_owned()));
        assert_eq!((id_header.1, timestamp_header.1), (id.to_owned(), timestamp.to_string()));
    }
}

#[test]
fn the_published_vector_of_v1a_is_reproduced() {
    let pair = "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let pair = SigningPair::of_text(&format!("whsk_{pair}")).unwrap();
    let newest = SigningKey { pair: Some(pair), ..keys(&[secret()]).newest().clone() };
    let keys = Keys::kept(Signatures::V1a, newest, Vec::new()).unwrap();
    let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#);
    let [.., signed] = sign::standard_headers(id, 1_614_265_330, body, &keys.signers(now()));
    let expected =
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
    assert_eq!(signed, ("webhook-signature", expected.to_owned()));
}

#[test]
fn v1a_stands_behind_v1_and_every_live_key_signs_both() {
    let mut keys = keys(&[secret()]);
    keys.sign_with(Signatures::Both, [5; 32]);
    keys.rotate(Secret::of(&[2; 32]), [6; 32], now(), DAY).unwrap();
    let message = EventType::PointsEarned.example().to_json();
    let signed = |keys: &Keys, dialect| {
        let sent = encode(dialect, letter(message.clone()), &keys.signers(now()), now()).unwrap();
        let signed = header(&sent, "webhook-signature");
        signed.split(' ').map(|token| token.split_once(',').unwrap().0.to_owned()).collect::<Vec<_>>()
    };
    for dialect in Dialect::ALL {
        assert_eq!(signed(&keys, *dialect), ["v1", "v1", "v1a", "v1a"], "{dialect:?}");
    }
    keys.sign_with(Signatures::V1a, [7; 32]);
    assert_eq!(signed(&keys, Dialect::Standard), ["v1a", "v1a"]);
}

#[test]
fn during_a_rotation_each_verifier_finds_the_signature_of_its_secret() {
    let secrets = [Secret::of(&[1; 32]), Secret::of(&[2; 32])];
    let message = EventType::PointsEarned.example().to_json();
    let request = encode(Dialect::Standard, letter(message), &keys(&secrets).signers(now()), now()).unwrap();
    let ours = header(&request, "webhook-signature");
    assert_eq!(ours.split(' ').count(), 2);
    for secret in &secrets {
        let webhook = Webhook::new(secret.reveal()).unwrap();
        let theirs = webhook.sign(&header(&request, "webhook-id"), AT, request.body.as_bytes()).unwrap();
        assert!(ours.split(' ').any(|signature| signature == theirs), "{ours} lacks {theirs}");
    }
    let both = &sealed(Dialect::Loyali, "{}", &secrets)[0].1;
    let alone = |n: usize| sealed(Dialect::Loyali, "{}", &secrets[n..=n])[0].1.clone();
    assert_eq!(*both, format!("{},{}", alone(0), alone(1).split_once(',').unwrap().1));
    for dialect in [Dialect::Guestiq, Dialect::Gustaio, Dialect::Bubblehouse] {
        assert_eq!(sealed(dialect, "{}", &secrets), sealed(dialect, "{}", &secrets[..1]), "the newest signs");
    }
}

#[test]
fn standard_sends_what_was_told_as_it_is() {
    for kind in EventType::ALL {
        let message = kind.example().to_json();
        let request = encoded(Dialect::Standard, message.clone()).unwrap();
        assert_eq!(request.body, message);
        let names: Vec<_> = request.headers.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            [
                "content-type",
                "user-agent",
                "punchcard-sequence",
                "webhook-id",
                "webhook-timestamp",
                "webhook-signature"
            ]
        );
    }
}

#[test]
fn names_of_headers_are_sent_as_the_documents_show_them() {
    for dialect in Dialect::ALL {
        let request = encoded(*dialect, EventType::PointsEarned.example().to_json()).unwrap();
        let shown =
            matches!(dialect, Dialect::Guestiq | Dialect::Loyali | Dialect::Gustaio | Dialect::Bubblehouse);
        assert_eq!(request.capitals, shown, "{dialect:?}");
    }
}

/// Where a message of the dialect says what it is about. Nowhere in a sentence.
fn name_in(dialect: Dialect, body: &Value) -> Option<&Value> {
    Some(match dialect {
        Dialect::Slack | Dialect::GoogleChat | Dialect::Discord => return None,
        Dialect::Standard | Dialect::Guestiq | Dialect::Flat => &body["type"],
        Dialect::Loyali => &body["event_type"],
        Dialect::EventsWebhook => &body["event"]["eventType"],
        Dialect::Gustaio => &body["event"],
        Dialect::Bubblehouse => &body["name"],
    })
}

#[test]
fn every_event_is_said_in_each_dialect_that_carries_it_and_verified_by_the_official_library() {
    let ana = MemberId::new(Ulid(7));
    for kind in EventType::ALL {
        let told = kind.example().to_json();
        // Of a member who was erased meanwhile, little is left to say.
        let erased = kind.is_about_member().then(|| message_without_person(*kind, &told, ana).unwrap());
        for (dialect, message) in Dialect::ALL.iter().flat_map(|dialect| {
            [Some(told.clone()), erased.clone()].into_iter().flatten().map(|message| (*dialect, message))
        }) {
            let sent = encoded(dialect, message.clone());
            let Some(name) = dialect.name_of(*kind) else {
                assert_eq!(sent, Err(Unsendable::Unspeakable { dialect, kind: *kind }));
                continue;
            };
            let request = sent.unwrap_or_else(|error| panic!("{dialect:?} {message}: {error}"));
            let body: Value = serde_json::from_str(&request.body).unwrap();
            assert!(name_in(dialect, &body).is_none_or(|said| *said == *name.said), "{}", request.body);
            let theirs = Webhook::new(SECRET)
                .unwrap()
                .sign(&header(&request, "webhook-id"), AT, request.body.as_bytes())
                .unwrap();
            assert_eq!(header(&request, "webhook-signature"), theirs);
            assert_eq!(header(&request, "punchcard-sequence"), "7");
            assert!(request.headers.iter().all(|(name, value)| {
                *name == name.to_lowercase() && value.bytes().all(|b| (b' '..=b'~').contains(&b))
            }));
            assert_eq!(encoded(dialect, message).unwrap(), request);
        }
    }
}

#[test]
fn amounts_are_said_to_the_digit() {
    let order = EventType::OrderCompleted.example().to_json();
    assert!(order.contains(r#""total":24.50"#), "{order}");
    // More digits than a float holds, and zeros at the end.
    let order = order.replace(r#""total":24.50"#, r#""total":90071992547409.9300"#);
    for (dialect, expected) in [
        (Dialect::Guestiq, r#""orderTotal":90071992547409.9300"#),
        (Dialect::Gustaio, r#""total":90071992547409.9300"#),
        (Dialect::Loyali, r#""total":90071992547409.9300"#),
        (Dialect::EventsWebhook, r#""total":90071992547409.9300"#),
    ] {
        let body = encoded(dialect, order.clone()).unwrap().body;
        assert!(body.contains(expected), "{dialect:?} {body}");
    }
}

#[test]
fn what_somebody_else_wrote_is_handed_on_to_the_byte() {
    let item = r#"{ "id": "dish_001", "name": "Power Bowl", "category": "food", "price": 14.50, "available": true }"#;
    let message = EventType::MenuItemUpdated.example().to_json();
    let body = encoded(Dialect::Gustaio, message).unwrap().body;
    assert!(body.contains(&format!(r#""data":{item}"#)), "{body}");
    let booking = EventType::OrderUpdated.example().to_json();
    let body = encoded(Dialect::Gustaio, booking).unwrap().body;
    assert!(body.contains(r#""experienceDetails":{"experience_id":"exp_7","guests":2}"#), "{body}");
}

#[test]
fn an_adjustment_has_a_direction_and_so_have_moves_of_points() {
    let adjusted = EventType::PointsAdjusted.example().to_json();
    let taken = adjusted.replace(r#""amount":24"#, r#""amount":24,"taken":true"#);
    for (message, amount) in [(&adjusted, 24), (&taken, -24)] {
        assert_eq!(said(Dialect::Loyali, message.clone())["data"]["amount"], amount);
        assert_eq!(said(Dialect::Bubblehouse, message.clone())["extra_props"]["BH_Points"], amount);
    }
    for (kind, source, amount) in [
        (EventType::PointsEarned, "order", 24),
        (EventType::PointsClawedBack, "order", -24),
        (EventType::PointsDeducted, "rule", -24),
        (EventType::PointsExpired, "expiration", -24),
        (EventType::PointsRedeemed, "redemption", -24),
        (EventType::PointsReturned, "redemption", 24),
        (EventType::PointsAdjusted, "manual", 24),
    ] {
        let body = said(Dialect::Bubblehouse, kind.example().to_json());
        assert_eq!(
            (&body["name"], &body["segment_props"]["BH_Source"]),
            (&"Points Updated".into(), &source.into())
        );
        assert_eq!(body["extra_props"]["BH_Points"], amount, "{kind}");
    }
}

#[test]
fn who_asks_for_a_move_of_points_by_its_own_name_is_told_by_it() {
    let told = |name| {
        let letter = Letter { name, ..letter(EventType::PointsEarned.example().to_json()) };
        let body = encoded_letter(Dialect::Bubblehouse, letter).unwrap().body;
        serde_json::from_str::<Value>(&body).unwrap()
    };
    let (mut usual, named, again) = (told(None), told(Some("Points Earned")), told(Some("Points Earned")));
    assert_eq!((&named["name"], &named), (&"Points Earned".into(), &again));
    assert_ne!(named["bhid"], usual["bhid"], "to who drops what they have seen, these are two");
    assert_eq!(named["bhid"].as_str().map(str::len), Some(32));
    usual["bhid"] = named["bhid"].clone();
    usual["name"] = named["name"].clone();
    assert_eq!(usual, named);
}

#[test]
fn the_sides_of_a_referral_are_told_apart() {
    let receiver = EventType::ReferralApproved.example().to_json();
    let sender = receiver.replace(r#""role":"receiver""#, r#""role":"sender""#);
    assert_ne!(receiver, sender);
    for (message, side) in
        [(receiver, "Referral Approved (Receiver)"), (sender, "Referral Approved (Sender)")]
    {
        assert_eq!(said(Dialect::Bubblehouse, message)["name"], side);
    }
    let referred = said(Dialect::Bubblehouse, EventType::ReferralCreated.example().to_json());
    assert_eq!((&referred["new_user"], &referred["referred_user"]), (&true.into(), &true.into()));
    assert_eq!(referred["extra_props"]["BH_Sender_FirstName"], "Ben");
}

#[test]
fn a_hook_is_named_in_path_and_query_and_nowhere_else() {
    for (dialect, url, expected) in [
        (Dialect::Bubblehouse, "https://a.example/hooks/:name", "https://a.example/hooks/SendEvent1"),
        (
            Dialect::Bubblehouse,
            "https://a.example/:name/x?hook=:name&y=1",
            "https://a.example/SendEvent1/x?hook=SendEvent1&y=1",
        ),
        (Dialect::Bubblehouse, "https://u:name@a.example/in", "https://u:name@a.example/in"),
        (Dialect::Bubblehouse, "https://a.example/in", "https://a.example/in"),
        (Dialect::Guestiq, "https://a.example/hooks/:name", "https://a.example/hooks/:name"),
    ] {
        let endpoint = Endpoint { dialect, ..Endpoint::sample(url) };
        assert_eq!(address(&endpoint, Occasion::News).as_str(), expected);
    }
}

#[test]
fn why_it_is_sent_stands_in_a_header_and_never_in_the_body() {
    let recovery = "rcv_0CKPWHJ8YG0000000000000001";
    let replay = |word: &str| Some(("punchcard-replay", word.to_owned()));
    for (occasion, expected) in [
        (Occasion::News, None),
        (Occasion::Again(Mark::Retry), replay("retry")),
        (Occasion::Again(recovery.parse().unwrap()), replay(recovery)),
        (Occasion::Test, Some(("punchcard-test", "true".to_owned()))),
    ] {
        for dialect in Dialect::ALL {
            let news = letter(EventType::PointsEarned.example().to_json());
            let sent = |letter| encoded_letter(*dialect, letter).unwrap();
            let (usual, request) = (sent(news.clone()), sent(Letter { occasion, ..news }));
            assert_eq!(request.body, usual.body);
            let more: Vec<_> =
                request.headers.into_iter().filter(|header| !usual.headers.contains(header)).collect();
            assert_eq!(more, Vec::from_iter(expected.clone()), "{dialect:?}");
        }
    }
}

#[test]
fn a_greeting_says_nothing_to_a_hook_of_its_own() {
    let greeting = Letter { occasion: Occasion::Greeting, ..letter(String::new()) };
    let request = encoded_letter(Dialect::Bubblehouse, greeting).unwrap();
    assert_eq!((&*request.body, &*header(&request, "punchcard-test")), ("{}", "true"));
    let token = header(&request, "authorization");
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    assert!(String::from_utf8(claims).unwrap().contains(r#""sub":"Hello1""#));
    let endpoint =
        Endpoint { dialect: Dialect::Bubblehouse, ..Endpoint::sample("https://crm.example/h/:name") };
    assert_eq!(address(&endpoint, Occasion::Greeting).path(), "/h/Hello1");
    let accepted = judge_greeting(&Answer { status: 204, ..Answer::default() }, now());
    assert_eq!(accepted, Verdict::Accepted);
}

#[test]
fn the_outcome_says_what_became_of_it() {
    let refused = Verdict::Refused { retry_after: None };
    let rejected = |why| Verdict::Rejected { why };
    for (status, body, verdict) in [
        (200, r#"{"outcome":"sent"}"#, Verdict::Accepted),
        (201, r#"{"outcome":"skipped","why":"no"}"#, Verdict::Accepted),
        (200, "\u{feff}{\"outcome\":\"sent\"}", Verdict::Accepted),
        (200, r#"{"outcome":"invalid_data"}"#, rejected("invalid_data")),
        (200, r#"{"outcome":"unsubscribed"}"#, rejected("unsubscribed")),
        (200, r#"{"outcome":"failure"}"#, refused.clone()),
        (200, r#"{"outcome":"SENT"}"#, refused.clone()),
        (200, r#"{"outcome":7}"#, refused.clone()),
        (200, r#"["sent"]"#, refused.clone()),
        (200, r#"{"ok":true}"#, refused.clone()),
        (200, r#"{"outcome":"sent""#, refused.clone()),
        (204, "", refused.clone()),
        (500, r#"{"outcome":"sent"}"#, refused.clone()),
        (302, r#"{"outcome":"sent"}"#, refused),
        (410, "", Verdict::Gone { accepted: false }),
    ] {
        let answer = Answer { status, body: body.into(), ..Answer::default() };
        assert_eq!(judge(Dialect::Bubblehouse, &answer, now()), verdict, "{status} {body}");
    }
    let failure = Answer { status: 200, body: br#"{"outcome":"failure"}"#.into(), ..Answer::default() };
    let later = Answer { retry_after: Some("600".to_owned()), ..failure.clone() };
    let after = Verdict::Refused { retry_after: Some(std::time::Duration::from_secs(600)) };
    assert_eq!(judge(Dialect::Bubblehouse, &later, now()), after);
    let enough = Answer { webhook_delivery: Some("disable".to_owned()), ..failure };
    assert_eq!(judge(Dialect::Bubblehouse, &enough, now()), Verdict::Gone { accepted: false });
    let answer = Answer { status: 200, ..Answer::default() };
    assert_eq!(judge(Dialect::Loyali, &answer, now()), Verdict::Accepted, "elsewhere the status is enough");
}
