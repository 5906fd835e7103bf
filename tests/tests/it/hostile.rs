//! What an attacker, or a broken program, sends to the exchange: each is refused in words, and the others go on.

use std::io::Write;

use anyhow::Result;
use reqwest::StatusCode;
use sync_protocol::{
    Book, ChangeHash, Identity,
    client::Trust,
    document::RefusalCode,
    message::{self, ExchangeReply, ExchangeRequest, PROTOCOL},
};
use tests::{bombs, county};

/// What it is, whose token it comes with, its encoding, its bytes, and the answer.
type Case = (&'static str, &'static str, Option<&'static str>, Vec<u8>, StatusCode);

/// gzip of so many zeros.
fn bomb(bytes: usize) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let chunk = vec![0; 1 << 20];
    for _ in 0..bytes >> 20 {
        encoder.write_all(&chunk)?;
    }
    Ok(encoder.finish()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_are_refused_and_the_others_go_on() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    let unit = county::branch(&server, 0);
    let url = county::serve(&server).await?;
    let honest = county::device(&server, folder.path(), &url, "honest", unit, &[Book::Unit]).await?;
    let identity = Identity { unit, book: Book::Unit, period: server.period() };
    let client = Trust::new(None)?.client()?;
    let post = |token: &'static str, encoding: Option<&'static str>, body: Vec<u8>| {
        let mut request = client.post(format!("{url}/sync/exchange")).bearer_auth(token).body(body);
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        request.send()
    };
    // Arrays in arrays, and a map that says it has four billion entries.
    let nested = vec![0x81; 1 << 20];
    let endless = [vec![0xba, 0xff, 0xff, 0xff, 0xff], vec![0; 64]].concat();
    let too_many = message::encode(&request(vec![], (0..5001).map(|n: u32| hash(n)).collect()));
    let wrong_version = message::encode(&ExchangeRequest { protocol: 99, ..request(vec![], vec![]) });
    let cases: Vec<Case> = vec![
        ("a stranger", "nobody", None, vec![], StatusCode::UNAUTHORIZED),
        ("nothing", "honest", None, vec![], StatusCode::BAD_REQUEST),
        ("noise", "honest", None, vec![0xff; 4096], StatusCode::BAD_REQUEST),
        ("a deep nest", "honest", None, nested, StatusCode::BAD_REQUEST),
        ("a map without end", "honest", None, endless, StatusCode::BAD_REQUEST),
        ("too much", "honest", None, vec![0; 9 << 20], StatusCode::PAYLOAD_TOO_LARGE),
        ("a bomb", "honest", Some("gzip"), bomb(64 << 20)?, StatusCode::PAYLOAD_TOO_LARGE),
        ("no bomb at all", "honest", Some("zstd"), vec![1, 2, 3], StatusCode::BAD_REQUEST),
        ("too many questions", "honest", None, too_many, StatusCode::BAD_REQUEST),
        ("another version", "honest", None, wrong_version, StatusCode::BAD_REQUEST),
    ];
    for (number, (what, token, encoding, body, expected)) in (0u8..).zip(cases) {
        let response = post(token, encoding, body).await?;
        let (status, text) = (response.status(), response.text().await?);
        assert_eq!(status, expected, "{what}: {text}");
        // In between an honest device goes on.
        let row = sync_protocol::RowId::random([number; 10]);
        honest.save(&identity, "members", row, &[("work_post", "会计".into())], 0).await?;
        assert_eq!(honest.exchange(0).await?.receipts.len(), 1, "after {what}");
    }

    // Changes that are none: refused one by one, and none is kept.
    let rubbish = vec![vec![], vec![0x85; 40], vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 0, 1, 0]];
    let changes =
        (0u32..).zip(rubbish).map(|(number, bytes)| message::PushedChange { hash: hash(number), bytes: bytes.into() });
    let push = vec![message::DocumentPush { identity: identity.clone(), changes: changes.collect() }];
    let reply = post("honest", None, message::encode(&request(push, vec![]))).await?.bytes().await?;
    let reply: ExchangeReply = message::decode(&reply)?;
    let codes: Vec<(RefusalCode, bool)> = reply.refusals.iter().map(|r| (r.code, r.quarantined)).collect();
    assert_eq!(codes, [(RefusalCode::Malformed, false); 3]);
    assert!(server.store.quarantined().await?.is_empty(), "there is nobody's work in it");

    // Sound changes of a hundred bytes each. What little they say is not what makes them bombs: few operations pass.
    let billions = bombs::runs(1 << 33, 0);
    assert!(billions.bytes.len() < 130, "{} bytes", billions.bytes.len());
    let crowd = (0u64..50).map(|number| bombs::runs(60, 1000 + number));
    let cases: Vec<(&str, Vec<message::PushedChange>, usize, RefusalCode)> = vec![
        ("billions of operations", vec![billions], 1, RefusalCode::TooLarge),
        ("billions of operations replaced", vec![bombs::runs(1, 1 << 33)], 1, RefusalCode::TooLarge),
        ("a cell written to over and over", vec![bombs::runs(65, 0)], 1, RefusalCode::ForeignOperation),
        ("each within its limits, together too much", crowd.collect(), 47, RefusalCode::TooLarge),
        ("a cell written to twice", vec![bombs::runs(2, 0)], 0, RefusalCode::TooLarge),
    ];
    for (what, changes, refused, code) in cases {
        let push = vec![message::DocumentPush { identity: identity.clone(), changes }];
        let reply = post("honest", None, message::encode(&request(push, vec![]))).await?.bytes().await?;
        let reply: ExchangeReply = message::decode(&reply)?;
        let so_refused = reply.refusals.iter().filter(|refusal| refusal.code == code).count();
        assert_eq!(so_refused, refused, "{what}: {:?}", reply.refusals);
    }
    let kept: Vec<RefusalCode> = server.store.quarantined().await?.iter().map(|held| held.code).collect();
    assert_eq!(kept, [RefusalCode::ForeignOperation], "in nothing else is there anybody's work");
    Ok(())
}

fn hash(number: u32) -> ChangeHash {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    ChangeHash(hash)
}

fn request(push: Vec<message::DocumentPush>, held: Vec<ChangeHash>) -> ExchangeRequest {
    ExchangeRequest { protocol: PROTOCOL, cursor: None, push, device_time_ms: 0, asks: Vec::new(), held }
}
