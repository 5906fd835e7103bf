//! Whoever holds the database and the signing key can write the audit log anew so that it verifies: one checkpoint that somebody else
//! has kept tells that it was.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use ct_merkle::{ConsistencyProof, RootHash};
use data_encoding::BASE64;
use server::{
    Server,
    audit::{
        self, By, Checkpoints, Event,
        tree::Hash,
        witness::{self, Standing, WitnessError},
    },
    auth::Role,
    bundle, clock, doctor, office,
    returns::{self, ReturnRequest},
    store::{AuditEntry, AuditLine, DeviceRecord, PersonId},
};
use sha2::Sha256;
use sync_protocol::{
    Book, DeviceId, Identity, RowId, UnitId,
    checkpoint::{Note, parse},
    client::Trust,
};
use tests::{county, people, roster};

use crate::deeds::hand::Hand;

/// A fixed sequence of numbers.
struct Draw(u64);

impl Draw {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % below
    }

    fn line(&mut self) -> AuditEntry {
        let events = [Event::SignedIn, Event::Imported, Event::ReturnDrawn, Event::DeviceRevoked];
        let detail = serde_json::json!({ "row": self.below(1000) });
        let entry = By::from("某人").notes(events[self.below(events.len())], None, &detail);
        let some = |is: usize, id: [u8; 16]| (is == 0).then_some(id);
        AuditEntry {
            at_ms: 1_335_744_000_000 + i64::try_from(self.below(1 << 30)).unwrap_or_default(),
            person: some(self.below(3), [1; 16]).map(PersonId::from_bytes),
            device: some(self.below(3), [2; 16]).map(DeviceId::from_bytes),
            unit: some(self.below(3), [3; 16]).map(UnitId::from_bytes),
            address: (self.below(2) == 0).then(|| "192.0.2.7".into()),
            ..entry
        }
    }

    /// One change of the first lines, in a random place.
    fn attack(&mut self, lines: &mut Vec<AuditEntry>, first: usize) -> &'static str {
        let at = self.below(first);
        let (kind, field) = (self.below(6), self.below(8));
        match (kind, field) {
            (0, 0) => lines[at].who = "另一人".into(),
            (0, 1) => lines[at].at_ms += 1,
            (0, 2) => lines[at].event = "older".into(),
            (0, 3) => lines[at].detail = r#"{"row":-1}"#.into(),
            (0, 4) => lines[at].person = Some(PersonId::from_bytes([9; 16])),
            (0, 5) => lines[at].device = Some(DeviceId::from_bytes([9; 16])),
            (0, 6) => lines[at].unit = Some(UnitId::from_bytes([9; 16])),
            (0, _) => lines[at].address = Some("198.51.100.1".into()),
            (1, _) => {
                let until = lines.len().min(at + 1 + self.below(3));
                lines.drain(at..until);
            }
            (2, _) => {
                let line = self.line();
                lines.insert(at, line);
            }
            (3, _) => {
                // Two lines that say different things.
                let others: Vec<usize> = (0..first).filter(|other| lines[*other] != lines[at]).collect();
                let other = others[self.below(others.len())];
                lines.swap(at, other);
            }
            (4, _) => lines.truncate(at),
            _ => {
                // Cut, and filled with as many made-up lines.
                let length = lines.len();
                lines.truncate(at);
                let made_up: Vec<_> = (at..length).map(|_| self.line()).collect();
                lines.extend(made_up);
            }
        }
        ["altered", "deleted", "inserted", "reordered", "cut", "replaced"][kind]
    }
}

struct Desk {
    folder: tempfile::TempDir,
    server: Server,
    hand: Hand,
}

impl Desk {
    async fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = county::open(&folder.path().join("data"), None).await?;
        server.store.put_units(&roster::units(&server.tenant, server.county, 2)).await?;
        let hand = Hand::on(&folder.path().join("data/taizhang.sqlite")).await?;
        Ok(Self { folder, server, hand })
    }

    async fn append(&self, lines: &[AuditEntry]) -> Result<()> {
        for line in lines {
            self.server.store.people().append_audit(line).await?;
        }
        Ok(())
    }

    /// A checkpoint as whoever has the database and the key makes it now.
    async fn checkpoint(&self) -> Result<Note> {
        let Server { store, keys, .. } = &self.server;
        let checkpoints = Checkpoints::new(store.clone(), Arc::clone(keys), "340099".into());
        let text = checkpoints.now().await?.context("a log with lines")?;
        parse(&text).pop().context("a checkpoint")
    }

    /// Whether the log verifies by itself, and what one witness says of it.
    async fn hear(&self, note: &Note) -> Result<(bool, Standing)> {
        let (verified, mut witnesses) = witness::hear(&self.server, None, vec![vec![note.clone()]]).await?;
        let (_, standing) = witnesses.pop().context("a witness")?.checkpoints.pop().context("a checkpoint")?;
        Ok((verified.broken.is_none(), standing))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn kept(&self, path: &Path) -> Result<Vec<Note>, WitnessError> {
        witness::read(&self.server, path).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_its_owner_has_written_anew_is_found_by_one_witness() -> Result<()> {
    let desk = Desk::open().await?;
    let mut draw = Draw(23);
    let mut found = std::collections::BTreeMap::<&str, usize>::new();
    for attack in 0..100 {
        let first = 2 + draw.below(70);
        let lines: Vec<AuditEntry> = (0..first).map(|_| draw.line()).collect();
        desk.hand.rewrite(&[]).await?;
        desk.append(&lines).await?;
        let kept = desk.checkpoint().await?;
        let later: Vec<AuditEntry> = (0..draw.below(20)).map(|_| draw.line()).collect();
        desk.append(&later).await?;
        assert_eq!(
            desk.hear(&kept).await?,
            (true, Standing::Consistent),
            "{attack}: untouched, and {} more",
            later.len()
        );

        let mut lines = [lines, later].concat();
        let kind = draw.attack(&mut lines, first);
        desk.hand.rewrite(&lines).await?;
        // What follows makes nothing good again.
        desk.append(&[draw.line()]).await?;
        let (is_sound, standing) = desk.hear(&kept).await?;
        assert!(is_sound, "{attack}: {kind} so that it verifies");
        let fresh = desk.checkpoint().await?;
        assert!(fresh.is_signed_by(&desk.server.keys.public().signing));
        assert_eq!(
            desk.hear(&fresh).await?,
            (true, Standing::Consistent),
            "{attack}: what was signed since tells nothing"
        );
        if matches!(standing, Standing::Rewritten | Standing::Cut) {
            *found.entry(kind).or_default() += 1;
        }
    }
    assert_eq!(found.values().sum::<usize>(), 100, "{found:?}");
    assert_eq!(found.len(), 6, "every kind of attack: {found:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_only_grows_is_consistent_with_every_witness() -> Result<()> {
    let desk = Desk::open().await?;
    let mut draw = Draw(5);
    let (mut kept, mut all) = (Vec::new(), Vec::new());
    for _ in 0..80 {
        let line = draw.line();
        desk.append(std::slice::from_ref(&line)).await?;
        all.push(line);
        kept.push(desk.checkpoint().await?);
    }
    let (verified, witnesses) = witness::hear(&desk.server, None, vec![kept.clone()]).await?;
    assert_eq!((verified.lines, verified.broken), (80, None));
    assert!(witnesses[0].is_consistent() && witnesses[0].checkpoints.len() == 80);
    // Whoever has two checkpoints needs no log to see that one goes on from the other.
    let root = |note: &Note| RootHash::<Sha256>::new(note.checkpoint.root.into(), note.checkpoint.size);
    for (from, to) in [(1, 80), (8, 80), (17, 80), (63, 80), (79, 80)] {
        let proof: Vec<Hash> = desk.server.checkpoints.proof(from, to).await?;
        let proof: Vec<_> = proof.into_iter().map(Into::into).collect();
        let (old, new) = (root(&kept[usize::try_from(from)? - 1]), root(&kept[usize::try_from(to)? - 1]));
        assert!(new.verify_consistency(&old, &ConsistencyProof::from_digests(&proof)).is_ok(), "{from} of {to}");
    }
    // A log of a time without a tree has the same one, once it is opened again.
    desk.hand.scribble("nodes = NULL", 0).await?;
    assert!(desk.checkpoint().await.is_err());
    let Desk { folder, server, .. } = desk;
    server.store.close().await;
    let server = county::open(&folder.path().join("data"), None).await?;
    let (verified, witnesses) = witness::hear(&server, None, vec![kept]).await?;
    assert_eq!((verified.lines, verified.broken, witnesses[0].is_consistent()), (80, None, true));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_somebody_without_the_program_alters_needs_no_witness() -> Result<()> {
    let changes = [
        "who = '另一人'",
        "at_ms = at_ms + 1",
        "detail = '{}'",
        "address = '::1'",
        "hash = zeroblob(32)",
        "nodes = zeroblob(32)",
        "",
    ];
    for change in changes {
        let desk = Desk::open().await?;
        let lines: Vec<AuditEntry> = (0..9).map(|_| Draw(1).line()).collect();
        desk.append(&lines).await?;
        desk.hand.scribble(change, 4).await?;
        let verified = audit::verify(desk.server.store.as_ref(), None).await?;
        assert_eq!(verified.broken, Some(4), "{change}");
        let diagnosis = doctor::diagnose(&desk.server, &|_, _| {}).await?;
        assert!(diagnosis.wrong.iter().any(|wrong| wrong.contains("审计日志")), "{change}: {:?}", diagnosis.wrong);
        // It is gone on with all the same.
        desk.append(&lines).await?;
        assert_eq!(audit::verify(desk.server.store.as_ref(), None).await?.broken, Some(4), "{change}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_another_key_or_database_is_no_witness() -> Result<()> {
    let (desk, other) = (Desk::open().await?, Desk::open().await?);
    for desk in [&desk, &other] {
        desk.append(&[Draw(1).line(), Draw(2).line()]).await?;
    }
    let theirs = other.checkpoint().await?;
    assert_eq!(desk.hear(&theirs).await?, (true, Standing::Unsigned));
    let Server { store, keys, .. } = &desk.server;
    let elsewhere =
        Checkpoints::new(store.clone(), Arc::clone(keys), "340098".into()).now().await?.context("a text")?;
    assert_eq!(desk.hear(&parse(&elsewhere)[0]).await?, (true, Standing::Elsewhere));
    std::fs::write(desk.path("letter.txt"), "你好\n\n— 某人 你好\n")?;
    let nothing = desk.kept(&desk.path("letter.txt")).await;
    assert!(matches!(nothing, Err(WitnessError::Nothing)), "{nothing:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn phones_offices_and_returns_are_witnesses() -> Result<()> {
    let desk = Desk::open().await?;
    let server = &desk.server;
    desk.append(&[Draw(1).line(), Draw(2).line(), Draw(3).line()]).await?;
    let url = county::serve(server).await?;
    let unit = county::branch(server, 0);
    let identity = Identity { unit, book: Book::Unit, period: server.period() };
    let phone = county::device(server, desk.folder.path(), &url, "phone", unit, &[Book::Unit]).await?;
    phone.exchange(0).await?;
    assert_eq!(phone.checkpoints().await?, [] as [&str; 0], "a quiet exchange brings none");
    for row in 0..3 {
        phone.save(&identity, "members", RowId::random([row; 10]), &[("name", "张三".into())], 0).await?;
        phone.exchange(0).await?;
        phone.exchange(0).await?;
        desk.append(&[Draw(row.into()).line()]).await?;
    }
    let seen: Vec<u64> = sizes(&phone.checkpoints().await?.iter().flat_map(|text| parse(text)).collect::<Vec<_>>());
    // The first line behind those three says that the phone took what it may hold.
    assert_eq!(seen, [4, 5, 6]);

    // What it writes says so, as the file that it keeps does.
    std::fs::write(desk.path("phone.tzb"), phone.write_bundle(&server.keys.public(), None, clock::now_ms()).await?)?;
    assert_eq!(sizes(&desk.kept(&desk.path("phone.tzb")).await?), [6, 5, 4], "the newest first");
    let narrow = phone.write_bundle(&server.keys.public(), Some(3000), clock::now_ms()).await?;
    std::fs::write(desk.path("narrow.tzb"), narrow)?;
    assert_eq!(sizes(&desk.kept(&desk.path("narrow.tzb")).await?), [6], "through a camera every byte counts");
    assert_eq!(sizes(&desk.kept(&desk.path("phone.sqlite")).await?), [4, 5, 6]);
    // An answer brings one, though nothing was sent.
    let empty = phone.write_bundle(&server.keys.public(), None, clock::now_ms()).await?;
    phone.read_bundle(&bundle::answer(server, &empty).await?.bytes, &server.keys.public()).await?;
    phone.close().await;
    assert_eq!(sizes(&desk.kept(&desk.path("phone.sqlite")).await?), [4, 5, 6, 7]);

    let town = UnitId::derive(&server.tenant, None, "340099100");
    let record = DeviceRecord::new(DeviceId::from_bytes([5; 16]), ("青山镇", "李干事"), "office", town, &[Book::Unit]);
    server.store.put_device(&record, clock::now_ms()).await?;
    let own = county::open(&desk.path("office"), None).await?;
    office::join(&own, "office", &server.keys.public()).await?;
    let (asks, _) = office::write(&own).await?;
    office::take(&own, &bundle::answer(server, &asks).await?.bytes).await?;
    let (asks, _) = office::write(&own).await?;
    std::fs::write(desk.path("office.tzb"), &asks)?;
    own.store.close().await;
    for kept in [desk.path("office.tzb"), desk.path("office")] {
        assert_eq!(sizes(&desk.kept(&kept).await?), [7], "{}", kept.display());
    }

    let top = returns::county(server).await?;
    let drawn =
        returns::draw(server, &ReturnRequest::new("R03", top, jiff::civil::date(2012, 4, 30), desk.folder.path()))
            .await?;
    assert_eq!(sizes(&desk.kept(&drawn.path).await?), [7]);
    let files = ["phone.tzb", "narrow.tzb", "phone.sqlite", "office.tzb", "office"].map(|name| desk.path(name));
    let mut witnesses = Vec::new();
    for file in files.iter().chain([&drawn.path]) {
        witnesses.push(desk.kept(file).await?);
    }
    let (verified, heard) = witness::hear(server, None, witnesses.clone()).await?;
    assert!(verified.broken.is_none() && heard.iter().all(witness::Witness::is_consistent));
    let lines: Vec<AuditEntry> =
        server.store.people().audit(0, 100).await?.into_iter().map(|AuditLine { entry, .. }| entry).collect();
    desk.hand.rewrite(&lines[1..]).await?;
    let (verified, heard) = witness::hear(server, None, witnesses).await?;
    assert!(verified.broken.is_none() && heard.iter().all(|witness| !witness.is_consistent()), "each of them tells");
    Ok(())
}

fn sizes(notes: &[Note]) -> Vec<u64> {
    notes.iter().map(|note| note.checkpoint.size).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_read_the_log_gets_a_checkpoint_and_a_proof() -> Result<()> {
    let desk = Desk::open().await?;
    let server = &desk.server;
    let url = county::serve(server).await?;
    let auditor = people::add(server, "auditor", Role::Auditor, server.county, false, "correct horse battery").await?;
    let cookie = people::cookie(server, &auditor).await?;
    desk.append(&(0..20).map(|n| Draw(n).line()).collect::<Vec<_>>()).await?;
    let client = Trust::new(None)?.client()?;
    let ask = async |query: &str| {
        let request = client.get(format!("{url}/api/audit/checkpoint{query}")).header("cookie", cookie.clone());
        let response = request.send().await?;
        anyhow::Ok((response.status().as_u16(), response.json::<serde_json::Value>().await?))
    };
    let (status, first) = ask("").await?;
    assert_eq!((status, &first["proof"]), (200, &serde_json::Value::Null));
    let of = |answer: &serde_json::Value| parse(answer["checkpoint"].as_str().unwrap_or_default()).pop().context("one");
    let old = of(&first)?.checkpoint;
    // The answer as it was saved is a witness, too.
    std::fs::write(desk.path("saved.json"), first.to_string())?;
    assert_eq!(sizes(&desk.kept(&desk.path("saved.json")).await?), [old.size]);
    desk.append(&(0..7).map(|n| Draw(n).line()).collect::<Vec<_>>()).await?;
    let (_, second) = ask(&format!("?from={}", old.size)).await?;
    let new = of(&second)?.checkpoint;
    ensure!(new.size >= old.size + 7, "{second}");
    let proof = second["proof"].as_array().context("a proof")?.iter();
    let proof = proof.map(|hash| BASE64.decode(hash.as_str().unwrap_or_default().as_bytes()));
    let proof = ConsistencyProof::<Sha256>::try_from_bytes(proof.collect::<Result<Vec<_>, _>>()?.concat());
    let (old, new) = (RootHash::new(old.root.into(), old.size), RootHash::new(new.root.into(), new.size));
    assert!(new.verify_consistency(&old, &proof.ok().context("hashes")?).is_ok());
    assert_eq!(ask("?from=999").await?.0, 400);
    Ok(())
}

/// Runs `taizhang` in a folder: its exit code, and a part of what it says.
fn run(folder: &Path, arguments: &[&str], code: i32, says: &str) -> String {
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_taizhang")).args(arguments).current_dir(folder).output();
    let output = output.expect("runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(says), "{arguments:?} does not say `{says}`: {said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_keeps_a_checkpoint_and_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let run = |arguments: &[&str], code, says| run(folder.path(), arguments, code, says);
    run(&["init"], 0, "已新建");
    run(&["audit", "checkpoint"], 2, "没有检查点可存");
    for name in ["one", "two", "three"] {
        run(&["person", "add", name, "--full-name", "某人", "--role", "field-cadre"], 0, "初始密码");
    }
    let printed = run(&["audit", "checkpoint"], 0, "taizhang/340099/");
    assert_eq!(sizes(&parse(&printed)), [3], "{printed}");
    run(&["audit", "checkpoint", "--out", "kept.txt"], 0, "3 行的检查点");
    run(&["audit", "verify"], 0, "only a witness can tell");
    run(&["return", "R03", "--out", "."], 0, "");
    let sealed = std::fs::read_dir(folder.path())?.flatten().map(|entry| entry.path());
    let sealed = sealed.filter(|path| path.extension().is_some_and(|ending| ending == "xlsx")).collect::<Vec<_>>();
    let sealed = sealed.first().context("a return")?.to_str().context("a path")?;
    run(&["person", "disable", "one"], 0, "已停用");
    let verify = ["audit", "verify", "--witness", "kept.txt", "--witness", sealed];
    let said = run(&verify, 0, "一致");
    assert_eq!(said.matches("（3 行）一致").count(), 2, "{said}");
    run(&["audit", "verify", "--witness", "gone.txt"], 2, "gone.txt");

    let hand = Hand::on(&folder.path().join("data/taizhang.sqlite")).await?;
    let lines = |from: usize| {
        let config = server::config::Config::check(server::config::File {
            data_dir: folder.path().join("data"),
            ..server::config::File::default()
        });
        async move {
            let server = Server::open_embedded(&config?).await?;
            let lines = server.store.people().audit(0, 100).await?;
            server.store.close().await;
            anyhow::Ok(lines.into_iter().skip(from).map(|line| line.entry).collect::<Vec<_>>())
        }
    };
    // Without the first line, and as long as it was: nothing else notices.
    let mut rewritten = lines(1).await?;
    rewritten.extend(rewritten.last().cloned());
    hand.rewrite(&rewritten).await?;
    run(&["audit", "verify"], 0, "行完好");
    run(&verify, 1, "日志被改写");
    // A shorter one is told by the note beside the database, too.
    hand.rewrite(&rewritten[..2]).await?;
    run(&verify, 2, "2");
    hand.rewrite(&rewritten).await?;
    hand.scribble("who = '另一人'", 2).await?;
    run(&["audit", "verify"], 1, "第 2 行被改动");
    Ok(())
}
