//! Use cases of several writes: all of it is done and noted, or nothing is; what is done at once never undoes anything else; what
//! a wrong clock has made does not hold.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result, ensure};
use server::{
    Server, audit,
    audit::{By, Event},
    auth::{self, LOCK_MS, Role, SESSION_MS, SignInError},
    clock, devices, erasure,
    import::import_file,
    people::{self, PeopleError, Profile},
    store::{
        Act, CodeTaken, Deed, DeviceRecord, Hidden, INVITATION_MS, Invitation, Performed, Person, QuarantineState,
        Submission, token_hash,
    },
    submissions::{self, SubmissionError, Wanted},
};
use sqlx::{AssertSqlSafe, Row, SqlitePool};
use sync_protocol::{
    Book, ChangeHash, DeviceId, Identity, RowId,
    bundle::Keys,
    document::RowKey,
    unit::{Unit, UnitLevel},
};
use tests::{county, sheet, worked::synthetic};

const PASSWORD: &str = "correct horse battery";
const ANOTHER: &str = "another horse battery";

fn token() -> String {
    let half = || u128::from_be_bytes(clock::random());
    format!("{:032x}{:032x}", half(), half())
}

/// A county, and a second way to its database.
struct Desk {
    _folder: tempfile::TempDir,
    server: Server,
    database: SqlitePool,
}

impl Desk {
    async fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = synthetic(folder.path(), None).await?;
        let path = folder.path().join("data/taizhang.sqlite");
        let database = SqlitePool::connect(&format!("sqlite://{}", path.display())).await?;
        Ok(Self { _folder: folder, server, database })
    }

    async fn unit(&self, code: &str) -> Result<Unit> {
        let units = self.server.store.units().await?;
        units.into_iter().find(|unit| unit.code.as_deref() == Some(code)).context("a unit")
    }

    async fn profile(&self, role: Role) -> Result<Profile> {
        let unit = self.server.store.unit(self.server.county).await?.context("the county")?;
        let unit = if role.is_of_county() { unit } else { self.unit("T1").await? };
        Ok(Profile { full_name: "张三".into(), role, unit, is_handler: false })
    }

    async fn person(&self, name: &str, role: Role) -> Result<Person> {
        Ok(people::add(&self.server, name, &self.profile(role).await?, "test").await?.0)
    }

    async fn named(&self, name: &str) -> Result<Person> {
        Ok(self.server.store.people().person_by_name(name).await?.context("a person")?.0)
    }

    async fn device(&self, name: &str) -> Result<DeviceRecord> {
        let seen = self.server.store.devices().await?.into_iter().find(|seen| seen.device.name == name);
        Ok(seen.context("a device")?.device)
    }

    /// Everything that is stored, table by table.
    async fn content(&self) -> Result<BTreeMap<String, Vec<String>>> {
        let mut content = BTreeMap::new();
        let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\'";
        for table in sqlx::query_scalar::<_, String>(tables).fetch_all(&self.database).await? {
            let columns = format!(
                "SELECT group_concat('quote(\"' || name || '\")', '||'',''||') FROM pragma_table_info('{table}')"
            );
            let columns: String = sqlx::query_scalar(AssertSqlSafe(columns)).fetch_one(&self.database).await?;
            let rows = format!("SELECT {columns} AS row FROM \"{table}\" ORDER BY 1");
            let rows = sqlx::query(AssertSqlSafe(rows)).fetch_all(&self.database).await?;
            let mut rows: Vec<String> = rows.iter().map(|row| row.get("row")).collect();
            // That an erasure was ordered stays, whatever comes of it.
            rows.retain(|row| !row.contains("'erasure-ordered'"));
            content.insert(table, rows);
        }
        Ok(content)
    }

    /// From now on, or not any more, nothing can be written to a table.
    async fn shut(&self, table: &str, is_shut: bool) -> Result<()> {
        for when in ["INSERT", "UPDATE", "DELETE"] {
            let of = if table == "audit" && when == "INSERT" { "WHEN NEW.event != 'erasure-ordered'" } else { "" };
            let sql = if is_shut {
                format!(
                    "CREATE TRIGGER shut_{when} BEFORE {when} ON {table} {of} BEGIN SELECT RAISE(ABORT, 'shut'); END"
                )
            } else {
                format!("DROP TRIGGER shut_{when}")
            };
            sqlx::query(AssertSqlSafe(sql)).execute(&self.database).await?;
        }
        Ok(())
    }

    async fn events(&self) -> Result<Vec<String>> {
        let lines = self.server.store.people().audit(0, 10_000).await?;
        Ok(lines.into_iter().map(|line| line.entry.event).collect())
    }

    async fn wanted(&self) -> Result<Wanted> {
        Ok(Wanted {
            unit: self.unit("T1").await?,
            return_no: "R03".into(),
            period: Some("2012-11".into()),
            choices: vec![("round".into(), "final".into())],
            date: jiff::civil::date(2012, 11, 10),
            due_on: None,
            explanation: Some("正在补填".into()),
        })
    }

    /// What the register of returns says of that return.
    async fn registered(&self) -> Result<Vec<String>> {
        let (unit, period) = (self.unit("T1").await?.id, self.server.period());
        let rows = self.server.store.rows("return-submissions", &period, &[unit]).await?;
        let state = |cells: &str| -> Result<String> {
            let cells: serde_json::Value = serde_json::from_str(cells)?;
            Ok(cells["status"].as_str().context("a state")?.to_owned())
        };
        rows.iter().map(|row| state(&row.cells)).collect()
    }

    /// Changes that wait: so many forms that a phone of A1 has sent for B1.
    async fn held(&self, count: u8) -> Result<Vec<ChangeHash>> {
        let url = county::serve(&self.server).await?;
        let (own, other) = (self.unit("A1").await?.id, self.unit("B1").await?.id);
        let device = county::device(&self.server, self._folder.path(), &url, "held", own, &[Book::Unit]).await?;
        let of = Identity { unit: other, book: Book::Unit, period: self.server.period() };
        for row in 0..count {
            let post = [("work_post", "会计".into())];
            device.save(&of, "members", RowId::random([row; 10]), &post, 0).await?;
        }
        device.exchange(0).await?;
        device.close().await;
        Ok(self.server.store.quarantined().await?.into_iter().map(|held| held.hash).collect())
    }

    async fn record(&self) -> Result<RowKey> {
        let unit = self.unit("A1").await?.id;
        let record = erasure::records(&self.server, unit, "李四").await?.pop().context("a record")?;
        Ok(RowKey { ledger: record.ledger, row: record.row })
    }
}

/// What each use case writes to, and its event. Each begins from what those before it have left.
const DEEDS: [(&str, &[&str], &str); 17] = [
    ("add", &["people", "audit"], "person-added"),
    ("change password", &["people", "audit"], "password-changed"),
    ("sign in", &["people", "sessions", "audit"], "signed-in"),
    ("invite", &["invitations", "audit"], "device-invited"),
    ("enrol", &["invitations", "devices", "audit"], "device-enrolled"),
    ("change", &["people", "devices", "audit"], "person-changed"),
    ("rotate", &["devices", "audit"], "token-rotated"),
    ("confirm code", &["people", "audit"], "totp-confirmed"),
    ("lock out", &["people", "audit"], "locked-out"),
    ("reset", &["people", "sessions", "audit"], "password-reset"),
    ("revoke", &["devices", "audit"], "device-revoked"),
    ("disable", &["people", "devices", "audit"], "person-changed"),
    ("admit", &["quarantine", "changes", "documents", "rows", "audit"], "quarantine-admitted"),
    ("reject", &["quarantine", "audit"], "quarantine-rejected"),
    ("submit", &["submissions", "changes", "documents", "rows", "audit"], "return-submitted"),
    ("step", &["submissions", "changes", "documents", "rows", "audit"], "return-stepped"),
    ("erase", &["snapshots", "changes", "documents", "rows", "erased_rows", "meta", "audit"], "erased"),
];

/// What the use cases go on with.
struct Given {
    code: String,
    token: String,
    next: String,
    totp: String,
    held: Vec<ChangeHash>,
    record: RowKey,
}

async fn carry_out(desk: &Desk, deed: &str, given: &Given) -> Result<()> {
    let server = &desk.server;
    match deed {
        "add" => drop(people::add(server, "lina", &desk.profile(Role::FieldCadre).await?, "test").await?),
        "change password" => {
            let (person, _) = server.store.people().person_by_name("wang").await?.context("wang")?;
            auth::change_password(server, &person, PASSWORD, ANOTHER).await?;
        }
        "sign in" => drop(auth::sign_in(server, "wang", ANOTHER, None).await?),
        "invite" => drop(devices::invite(server, &desk.named("lina").await?, "手机", "test").await?),
        "enrol" => {
            let keys = Keys::of(b"phone").public();
            drop(devices::enrol(server, &given.code, keys, &given.token).await?);
        }
        "change" => {
            let profile = Profile { full_name: "李娜".into(), ..desk.profile(Role::OfficeClerk).await? };
            drop(people::change(server, desk.named("lina").await?, &profile, false, "test").await?);
        }
        "rotate" => devices::rotate(server, &desk.device("手机甲").await?, &given.next).await?,
        "confirm code" => {
            let codes = totp_rs::Totp::from_url(&given.totp)?;
            let code = codes.generate(u64::try_from(clock::now_ms() / 1000)?).to_string();
            auth::confirm_totp(server, &desk.named("zhao").await?, &code).await?;
        }
        // The four before it were counted already.
        "lock out" => match auth::sign_in(server, "qian", "a wrong guess", None).await {
            Err(SignInError::Wrong) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => anyhow::bail!("let in"),
        },
        "reset" => drop(people::reset(server, &desk.named("wang").await?, "test").await?),
        "revoke" => ensure!(devices::revoke(server, &desk.device("手机甲").await?, "test").await?, "revoked before"),
        "disable" => ensure!(people::disable(server, &desk.named("lina").await?, "test").await?, "disabled before"),
        "admit" => drop(server.sync.admit_quarantined(given.held[0], "test", 0).await?),
        "reject" => drop(server.sync.reject_quarantined(given.held[1], "test", 0).await?),
        "submit" => drop(Box::pin(submissions::submit(server, &desk.wanted().await?, "test")).await?),
        "step" => {
            let submission = submissions::submission(server, 1).await?;
            submissions::step(server, &submission, ("approved", None), ("test", UnitLevel::County)).await?;
        }
        "erase" => {
            let order = erasure::Order { by: "test".into(), reason: "保存期满" };
            Box::pin(erasure::erase(server, desk.unit("A1").await?.id, &given.record, order)).await?;
        }
        other => anyhow::bail!("{other}"),
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_or_noted_whole_is_not_done() -> Result<()> {
    let desk = Desk::open().await?;
    let server = &desk.server;
    desk.person("admin", Role::Administrator).await?;
    for name in ["wang", "zhao", "qian"] {
        let person = desk.person(name, Role::OfficeClerk).await?;
        tests::people::set_password(server, person.id, auth::hash(name, PASSWORD).await?, false).await?;
    }
    let totp = auth::new_totp(server, &desk.named("zhao").await?).await?.context("none is in use")?;
    for _ in 0..4 {
        assert!(matches!(auth::sign_in(server, "qian", "a wrong guess", None).await, Err(SignInError::Wrong)));
    }
    let held = desk.held(2).await?;
    let members =
        "党组织编码|姓名|身份证号|出生日期|家庭住址|入党时间\nA1|李四|340099198102020013|1981-02-02|白水村9号|2001-06";
    let file = desk._folder.path().join("members.xlsx");
    std::fs::write(&file, sheet::workbook(&[("党员", members)])?)?;
    import_file(server, &file, "县", &|_, _| {}).await?;
    let mut given =
        Given { code: String::new(), token: token(), next: token(), totp, held, record: desk.record().await? };
    for (deed, tables, event) in DEEDS {
        if deed == "enrol" {
            given.code = devices::invite(server, &desk.named("lina").await?, "手机甲", "test").await?.code;
        }
        for table in tables {
            let before = desk.content().await?;
            desk.shut(table, true).await?;
            let failed = carry_out(&desk, deed, &given).await;
            desk.shut(table, false).await?;
            let error = failed.err().with_context(|| format!("{deed} was done although {table} was shut"))?;
            assert!(format!("{error:#}").contains("shut"), "{deed}, {table}: {error:#}");
            for (table_after, rows) in desk.content().await? {
                assert_eq!(before[&table_after], rows, "{deed}, {table} was shut: {table_after} is not what it was");
            }
        }
        let events = desk.events().await?;
        carry_out(&desk, deed, &given).await.with_context(|| deed.to_owned())?;
        let new = desk.events().await?.split_off(events.len());
        assert_eq!(new.iter().filter(|new| *new == event).count(), 1, "{deed}: {new:?}");
    }
    assert_eq!(desk.registered().await?, ["approved"]);
    assert!(audit::verify(server.store.as_ref(), None).await?.broken.is_none());
    assert!(server::doctor::diagnose(server, &|_, _| {}).await?.wrong.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_phone_stays_revoked_while_it_asks_for_new_tokens() -> Result<()> {
    let desk = Desk::open().await?;
    let server = Arc::new(desk.server.clone());
    let unit = desk.unit("A1").await?.id;
    for round in 0..30u8 {
        let (id, first) = (DeviceId::from_bytes([round; 16]), token());
        let name = format!("phone {round}");
        let device = DeviceRecord::new(id, (&name, "张三"), &first, unit, &[Book::Unit]);
        server.store.put_device(&device, 0).await?;
        let phone = |server: Arc<Server>| async move {
            // Until it is told that it may not any more.
            while let Some(device) = server.store.device(id).await? {
                match devices::rotate(&server, &device, &token()).await {
                    Err(devices::EnrolError::Revoked) => break,
                    Ok(()) | Err(devices::EnrolError::Rotated) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            anyhow::Ok(())
        };
        let phones: Vec<_> = (0..6).map(|_| tokio::spawn(phone(server.clone()))).collect();
        let rotated = || async { Ok::<_, anyhow::Error>(server.store.device(id).await?.context("it")?.token_hash) };
        while rotated().await? == token_hash(&first) {
            tokio::task::yield_now().await;
        }
        assert!(devices::revoke(&server, &device, "test").await?);
        for phone in phones {
            phone.await??;
        }
        assert!(server.store.device(id).await?.context("it")?.is_revoked, "round {round}");
        assert!(!devices::revoke(&server, &device, "test").await?, "once");
    }
    // Nor does whoever puts what they have read before.
    let device = DeviceRecord { is_revoked: false, ..desk.device("phone 0").await? };
    server.store.put_device(&device, 0).await?;
    assert!(desk.device("phone 0").await?.is_revoked);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_is_disabled_stays_so_whatever_else_is_under_way() -> Result<()> {
    let desk = Desk::open().await?;
    let server = Arc::new(desk.server.clone());
    for round in 0..20 {
        let person = desk.person(&format!("cadre{round}"), Role::FieldCadre).await?;
        let code = devices::invite(&server, &person, "手机", "test").await?.code;
        let profile = desk.profile(Role::OfficeClerk).await?;
        let changes: Vec<_> = (0..4)
            .map(|change| {
                // Each has looked before, and knows of no other.
                let profile = Profile { full_name: format!("改{change}"), ..profile.clone() };
                let (server, person) = (server.clone(), person.clone());
                tokio::spawn(async move { people::change(&server, person, &profile, false, "test").await })
            })
            .collect();
        let (phone, key) = (server.clone(), token());
        let keys = Keys::of(key.as_bytes()).public();
        let enrolled = tokio::spawn(async move { devices::enrol(&phone, &code, keys, &key).await });
        assert!(people::disable(&server, &person, "test").await?);
        let mut changed = 0;
        for change in changes {
            match change.await? {
                Ok(_) => changed += 1,
                Err(PeopleError::Changed) => {}
                Err(error) => return Err(error.into()),
            }
        }
        assert!(changed <= 1, "what one has changed, another has not seen");
        drop(enrolled.await?);
        assert!(desk.named(&person.name).await?.is_disabled, "round {round}");
        let seen = server.store.devices().await?.into_iter().map(|seen| seen.device);
        let in_use: Vec<_> = seen.filter(|device| device.person == Some(person.id) && !device.is_revoked).collect();
        assert!(in_use.is_empty(), "round {round}: {in_use:?}");
    }
    // Two administrators who disable each other: one is left.
    for round in 0..10 {
        let (one, other) = (format!("one{round}"), format!("other{round}"));
        let (one, other) =
            (desk.person(&one, Role::Administrator).await?, desk.person(&other, Role::Administrator).await?);
        let (a, b) = tokio::join!(people::disable(&server, &one, "test"), people::disable(&server, &other, "test"));
        let refused = [&a, &b].into_iter().filter(|done| matches!(done, Err(PeopleError::LastAdministrator))).count();
        assert_eq!(refused, 1, "{a:?} {b:?}");
        // The one who is left makes room for the next two.
        let left = if a.is_err() { one } else { other };
        sqlx::query("UPDATE people SET role = 'auditor' WHERE name = $1")
            .bind(&left.name)
            .execute(&desk.database)
            .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_do_the_same_one_is_told_that_it_was_done() -> Result<()> {
    let desk = Desk::open().await?;
    let server = &desk.server;
    let wanted = desk.wanted().await?;
    let submit = || Box::pin(submissions::submit(server, &wanted, "test"));
    let (a, b, c) = tokio::join!(submit(), submit(), submit());
    let (done, told): (Vec<_>, Vec<_>) = [a, b, c].into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1);
    assert!(told.iter().all(|told| matches!(told, Err(SubmissionError::Stands { number: 1, .. }))), "{told:?}");
    assert_eq!((server.store.submissions().await?.len(), desk.registered().await?), (1, vec!["submitted".to_owned()]));
    let submission = submissions::submission(server, 1).await?;
    let step = |to| submissions::step(server, &submission, to, ("test", UnitLevel::County));
    let (approved, returned) = tokio::join!(step(("approved", None)), step(("returned", Some("有误"))));
    let taken = [&approved, &returned].into_iter().find_map(|step| step.as_ref().ok()).context("one")?;
    let refused = [&approved, &returned].into_iter().find_map(|step| step.as_ref().err()).context("the other")?;
    assert!(refused.to_string().contains("刚被他人办理"), "{refused}");
    assert_eq!(desk.registered().await?, [taken.state.clone()]);

    for hash in desk.held(10).await? {
        let admit = server.sync.admit_quarantined(hash, "王科长", 0);
        let reject = server.sync.reject_quarantined(hash, "李科长", 0);
        let again = server.sync.reject_quarantined(hash, "赵科长", 0);
        let (admitted, rejected, again) = tokio::join!(admit, reject, again);
        // What was rejected may still be admitted: by somebody who has seen that.
        let done = [admitted.is_ok(), rejected.is_ok(), again.is_ok()].into_iter().filter(|done| *done).count();
        let state = server.store.quarantined_change(hash).await?.context("it")?.state;
        assert!(done == 1 || (done == 2 && state == QuarantineState::Admitted), "{done}");
        for told in [rejected.as_ref().err(), again.as_ref().err()].into_iter().flatten() {
            let told = told.to_string();
            assert!(told.contains("科长") && (told.contains("已由") || told.contains("接收")), "{told}");
        }
        assert_eq!(state == QuarantineState::Admitted, admitted.is_ok());
    }
    Ok(())
}

/// What an earlier version has left half done is completed by whoever tries again.
#[tokio::test(flavor = "multi_thread")]
async fn a_submission_without_its_row_in_the_register_is_completed() -> Result<()> {
    let desk = Desk::open().await?;
    let (server, wanted) = (&desk.server, desk.wanted().await?);
    let half = Submission {
        number: 0,
        unit: wanted.unit.id,
        return_no: wanted.return_no.clone(),
        period: "2012-11".into(),
        choices: wanted.choices.clone(),
        date: wanted.date,
        seq: 1,
        code: "1234".into(),
        file: "R03.xlsx".into(),
        submitted_by: "镇经办人".into(),
        submitted_at_ms: clock::now_ms(),
        state: "submitted".into(),
        reason: None,
        decided_by: None,
        decided_at_ms: None,
    };
    let act = Act::Submit { submission: Box::new(half), workbook: b"workbook".to_vec() };
    let deed = Deed { act, documents: Vec::new(), notes: Vec::new() };
    assert_eq!(server.store.perform(&deed).await?, Performed::Done(Some(1)));
    assert!(desk.registered().await?.is_empty() && !desk.events().await?.contains(&"return-submitted".to_owned()));
    let completed = Box::pin(submissions::submit(server, &wanted, "test")).await?;
    assert_eq!((completed.number, completed.submitted_by.as_str()), (1, "镇经办人"), "the copy that was frozen stands");
    assert_eq!(desk.registered().await?, ["submitted"]);
    assert!(server.store.people().is_noted("return-submitted", 1).await?);
    let again = Box::pin(submissions::submit(server, &wanted, "test")).await;
    assert!(matches!(again, Err(SubmissionError::Stands { number: 1, .. })), "{again:?}");

    // A step that only the copy knows of.
    sqlx::query("UPDATE submissions SET state = 'approved'").execute(&desk.database).await?;
    let half = submissions::submission(server, 1).await?;
    let approve = || submissions::step(server, &half, ("approved", None), ("test", UnitLevel::County));
    assert_eq!(approve().await?.state, "approved");
    assert_eq!(desk.registered().await?, ["approved"]);
    assert!(approve().await.is_err(), "it is complete");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_clock_that_was_wrong_has_made_does_not_hold() -> Result<()> {
    let desk = Desk::open().await?;
    let (server, person) = (&desk.server, desk.person("wang", Role::OfficeClerk).await?);
    tests::people::set_password(server, person.id, auth::hash("wang", PASSWORD).await?, false).await?;
    let now_ms = clock::now_ms();
    let ten_years = 10 * 365 * 86_400_000;
    // When it began, whether it holds now: sessions, then invitations.
    let mut number = 0;
    for (length_ms, is_session) in [(SESSION_MS, true), (INVITATION_MS, false)] {
        for (begun_ms, holds) in [
            (now_ms, true),
            (now_ms - length_ms + 1, true),
            (now_ms - length_ms, false),
            (now_ms + 1, false),
            (now_ms + ten_years, false),
            (now_ms - ten_years, false),
        ] {
            number += 1;
            let hash = [number; 32];
            // As it is stored: when it ends is what an even more wrong clock has said.
            let sql = if is_session {
                "INSERT INTO sessions (token_hash, person, created_at_ms, expires_at_ms) VALUES ($1, $2, $3, $4)"
            } else {
                "INSERT INTO invitations (code_hash, person, device_name, created_at_ms, expires_at_ms)
                 VALUES ($1, $2, '手机', $3, $4)"
            };
            let query = sqlx::query(sql).bind(hash.as_slice()).bind(person.id.as_bytes().as_slice()).bind(begun_ms);
            query.bind(now_ms + 2 * ten_years).execute(&desk.database).await?;
            let people = server.store.people();
            let found = match is_session {
                true => people.session(&hash, now_ms).await?.is_some(),
                false => people.invitation(&hash, now_ms).await?.is_some(),
            };
            assert_eq!(found, holds, "session: {is_session}, begun {} ms from now", begun_ms - now_ms);
        }
    }
    // Nobody is locked out until then.
    let lock =
        |until_ms: i64| sqlx::query("UPDATE people SET locked_until_ms = $1").bind(until_ms).execute(&desk.database);
    lock(now_ms + ten_years).await?;
    assert!(auth::sign_in(server, "wang", PASSWORD, None).await.is_ok());
    lock(clock::now_ms() + LOCK_MS / 2).await?;
    match auth::sign_in(server, "wang", PASSWORD, None).await {
        Err(SignInError::Locked(wait_s)) => assert!((440..=450).contains(&wait_s), "{wait_s}"),
        other => anyhow::bail!("{other:?}"),
    }
    lock(0).await?;
    // Nor are their one-time codes refused until then.
    assert!(server.store.people().begin_totp(person.id, b"a secret of 20 bytes").await?);
    for (last, step, is_taken) in [
        (0, 100, true),
        (99, 100, true),
        (100, 100, false),
        (102, 100, false),
        (103, 100, true),
        (1_000_000, 100, true),
    ] {
        sqlx::query("UPDATE people SET totp_step = $1").bind(last).execute(&desk.database).await?;
        let code = CodeTaken { secret: b"a secret of 20 bytes".to_vec(), step };
        let deed = Deed { act: Act::ConfirmTotp(person.id, code), documents: Vec::new(), notes: Vec::new() };
        assert_eq!(server.store.perform(&deed).await? != Performed::NotNow, is_taken, "{step} after {last}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_does_not_begin_with_what_was_changed_while_it_was_checked() -> Result<()> {
    let desk = Desk::open().await?;
    let (server, person) = (&desk.server, desk.person("wang", Role::OfficeClerk).await?);
    let (_, checked) = server.store.people().person_by_name("wang").await?.context("wang")?;
    people::reset(server, &person, "test").await?;
    let sign_in = |password: String| {
        let at_ms = clock::now_ms();
        let act = Act::SignIn {
            person: person.id,
            password: Hidden(password),
            code: None,
            token_hash: [1; 32],
            at_ms,
            expires_at_ms: at_ms + SESSION_MS,
        };
        Deed::new(act, By::from(&person).notes(Event::SignedIn, None, &serde_json::json!({})))
    };
    assert_eq!(server.store.perform(&sign_in(checked.password)).await?, Performed::NotNow, "another password by now");
    let (_, now) = server.store.people().person_by_name("wang").await?.context("wang")?;
    desk.person("admin", Role::Administrator).await?;
    people::disable(server, &person, "test").await?;
    assert_eq!(server.store.perform(&sign_in(now.password)).await?, Performed::NotNow, "disabled by now");
    // A code for a device of theirs is worth nothing, and none is given.
    let invitation =
        Invitation { code_hash: [1; 32], person: person.id, device_name: "手机".into(), expires_at_ms: i64::MAX };
    let note = By::from("test").notes(Event::DeviceInvited, None, &serde_json::json!({}));
    let deed = Deed::new(Act::Invite { invitation, at_ms: clock::now_ms() }, note);
    assert_eq!(server.store.perform(&deed).await?, Performed::NotNow);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_was_interrupted_before_the_sweep_is_completed() -> Result<()> {
    let desk = Desk::open().await?;
    let server = &desk.server;
    let members =
        "党组织编码|姓名|身份证号|出生日期|家庭住址|入党时间\nA1|李四|340099198102020013|1981-02-02|白水村9号|2001-06";
    let file = desk._folder.path().join("members.xlsx");
    std::fs::write(&file, sheet::workbook(&[("党员", members)])?)?;
    import_file(server, &file, "县", &|_, _| {}).await?;
    let (unit, record) = (desk.unit("A1").await?.id, desk.record().await?);
    let erase = || {
        let order = erasure::Order { by: "test".into(), reason: "保存期满" };
        Box::pin(erasure::erase(server, unit, &record, order))
    };
    let unswept =
        || sqlx::query_scalar::<_, i64>("SELECT count(*) FROM meta WHERE key = 'unswept'").fetch_one(&desk.database);
    assert_eq!(erase().await?.documents.len(), 1);
    assert_eq!(unswept().await?, 0);
    assert!(matches!(erase().await, Err(erasure::ErasureError::Before)), "there is nothing left to do");
    let interrupted = "INSERT INTO meta (key, value) VALUES ('unswept', x'01')";
    sqlx::query(interrupted).execute(&desk.database).await?;
    assert!(erase().await?.places_read > 0, "completed");
    sqlx::query(interrupted).execute(&desk.database).await?;
    erasure::finish(server).await;
    assert_eq!(unswept().await?, 0);
    assert_eq!(desk.events().await?.iter().filter(|event| *event == "erased").count(), 1, "it was erased once");
    Ok(())
}
