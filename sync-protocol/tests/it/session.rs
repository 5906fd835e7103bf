use sync_protocol::{
    Book, ChangeHash, Tenant, UnitId,
    document::{Refusal, RefusalCode},
    message::{self, Ask, ExchangeReply, ExchangeRequest, RefusedChange},
    session::{
        DeviceSession, Effect, FeedPage, FeedQuery, Judged, NotTaken, Outgoing, Position, Scope, ServerSession,
        SessionError,
    },
};

use crate::document::identity;

fn scope(version: u64) -> Scope {
    Scope { unit: UnitId::derive(&Tenant::new("340099"), None, "001"), books: vec![Book::Unit], version }
}

fn outgoing(number: u8, size: usize) -> Outgoing {
    Outgoing { identity: identity(), hash: ChangeHash([number; 32]), bytes: vec![number; size] }
}

/// Runs one request through the server's end; the store is a closure.
fn serve(request: ExchangeRequest, scope: &Scope, page: impl Fn(&FeedQuery) -> FeedPage) -> ExchangeReply {
    let (mut session, mut effect) = ServerSession::start(request, Some(scope)).expect("a sound request");
    loop {
        effect = match effect {
            Effect::Store(pushes) => {
                let changes = pushes.into_iter().flat_map(|push| push.changes);
                let outcome = |hash: ChangeHash| match hash.0[0] {
                    0xff => {
                        let refusal = Refusal::new(RefusalCode::Forbidden, "no");
                        Err(NotTaken { refusal, quarantined: true })
                    }
                    _ => Ok(()),
                };
                session.stored(changes.map(|change| (change.hash, outcome(change.hash))).collect())
            }
            Effect::Judge(asks, _) => {
                let dropped = asks.into_iter().map(|ask| ask.identity).collect();
                session.judged(Judged { dropped, ..Judged::default() })
            }
            Effect::ReadFeed(query) => session.page(page(&query), 5_000),
            Effect::Dismiss => session.page(FeedPage::empty(), 5_000),
            Effect::Reply(reply) => return reply,
        };
    }
}

fn quiet(_: &FeedQuery) -> FeedPage {
    FeedPage { documents: vec![], position: Position::Feed { seq: 9, mark: 3 }, more: false, restart: false }
}

#[test]
fn many_changes_take_several_requests_and_each_gets_its_receipt_once() {
    // Two changes of 100,000 bytes fit into the first request, and into more of them the better the line is.
    let cases: [(&str, i64, &[usize]); 3] = [
        ("a good line", 100, &[2, 5, 10, 20, 3]),
        ("a bad line", 20_000, &[2; 20]),
        ("a clock that was set back", -86_400_000, &[2; 20]),
    ];
    for (what, ms, sizes) in cases {
        let outbox: Vec<_> = (0..40).map(|n| outgoing(n, 100_000)).collect();
        let mut device = DeviceSession::new(None, outbox, vec![]);
        let (mut receipts, mut sent, mut now_ms) = (Vec::new(), Vec::new(), 0);
        while let Some(request) = device.next_request(now_ms) {
            sent.push(request.push.iter().map(|push| push.changes.len()).sum::<usize>());
            let bytes = message::encode(&request);
            let request = message::decode(&bytes).expect("frames come back");
            let reply = serve(request, &scope(1), quiet);
            receipts.extend(device.receive(reply).expect("a sound reply").receipts);
            now_ms += ms;
        }
        assert_eq!(sent, sizes, "{what}");
        assert_eq!(receipts, (0..40).map(|n| ChangeHash([n; 32])).collect::<Vec<_>>(), "{what}");
    }
}

#[test]
fn a_refused_change_does_not_hold_up_the_others() {
    let mut device = DeviceSession::new(None, vec![outgoing(0xff, 10), outgoing(1, 10)], vec![]);
    let request = device.next_request(1_000).expect("a request");
    let step = device.receive(serve(request, &scope(1), quiet)).expect("a sound reply");
    assert_eq!(step.receipts, [ChangeHash([1; 32])]);
    assert_eq!(step.refusals[0].code, RefusalCode::Forbidden);
    assert_eq!(step.clock_ahead_ms, -4_000);
    assert_eq!(device.next_request(1_000), None, "both are answered");
}

#[test]
fn replies_that_would_loop_forever_are_errors() {
    let stuck = |_: &FeedQuery| FeedPage {
        documents: vec![],
        position: Position::Feed { seq: 9, mark: 3 },
        more: true,
        restart: false,
    };
    let mut device = DeviceSession::new(None, vec![], vec![]);
    let request = device.next_request(0).expect("a request");
    device.receive(serve(request, &scope(1), stuck)).expect("the first page moves the cursor");
    let request = device.next_request(0).expect("more was announced");
    assert_eq!(device.receive(serve(request, &scope(1), stuck)), Err(SessionError::Stuck));

    let mut device = DeviceSession::new(None, vec![outgoing(1, 10)], vec![]);
    let request = device.next_request(0).expect("a request");
    let mut reply = serve(request, &scope(1), quiet);
    reply.receipts.clear();
    assert_eq!(device.receive(reply), Err(SessionError::Unanswered(1)));
}

#[test]
fn a_cursor_of_another_scope_or_of_nothing_starts_anew() {
    let positions = |cursor: Option<Vec<u8>>, version: u64| {
        let seen = std::cell::RefCell::new(None);
        let mut device = DeviceSession::new(cursor, vec![], vec![]);
        let request = device.next_request(0).expect("a request");
        let reply = serve(request, &scope(version), |query| {
            *seen.borrow_mut() = Some(query.position.clone());
            quiet(query)
        });
        (seen.into_inner().expect("the feed was read"), Vec::from(reply.cursor))
    };
    let (first, cursor) = positions(None, 1);
    assert_eq!(first, None);
    assert_eq!(positions(Some(cursor.clone()), 1).0, Some(Position::Feed { seq: 9, mark: 3 }));
    assert_eq!(positions(Some(cursor), 2).0, None, "its rights have changed");
    assert_eq!(positions(Some(vec![1, 2, 3]), 1).0, None, "garbage costs a fresh start, no error");
}

#[test]
fn another_version_is_refused_with_a_sentence() {
    let mut device = DeviceSession::new(None, vec![], vec![]);
    let mut request = device.next_request(0).expect("a request");
    request.protocol = 7;
    let refusal = ServerSession::start(request, Some(&scope(1))).expect_err("another version");
    assert!(refusal.sentence.contains('7'), "{refusal}");
}

#[test]
fn a_session_goes_on_with_questions_and_with_what_came_too_early() {
    let mut device = DeviceSession::new(None, vec![outgoing(1, 10)], vec![]);
    let mut request = device.next_request(0).expect("a request");
    assert_eq!(request.push.len(), 1);
    request.push.clear();
    let mut reply = serve(request, &scope(1), quiet);
    let sentence = String::new();
    reply.refusals = vec![RefusedChange {
        hash: ChangeHash([1; 32]),
        code: RefusalCode::MissingDependencies,
        sentence: sentence.clone(),
        quarantined: false,
    }];
    let again = reply.refusals.clone();
    let step = device.receive(reply).expect("a sound reply");
    assert!(step.complete && step.refusals[0].is_unmet());
    let ask = Ask { identity: identity(), heads: vec![], held: vec![] };
    device.go_on(vec![ask.clone()], vec![outgoing(1, 10)]);
    let request = device.next_request(0).expect("there is a question");
    assert_eq!((request.asks.as_slice(), request.push.len()), ([ask].as_slice(), 1));
    let mut reply = serve(ExchangeRequest { push: vec![], ..request }, &scope(1), quiet);
    reply.refusals = again;
    let step = device.receive(reply).expect("a sound reply");
    assert_eq!((step.asked, step.dropped), (vec![identity()], vec![identity()]));
    // Twice too early is enough for one exchange.
    device.go_on(vec![], vec![outgoing(1, 10)]);
    assert_eq!(device.next_request(0), None);
}
