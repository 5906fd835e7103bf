//! Opening a year: what is carried, what is not, what comes late, and a crash in the middle.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result};
use server::{
    Server,
    audit::By,
    erasure::{self, Extent, Order},
    import::import_file,
    periods,
    undo::undo,
};
use sync_protocol::{Address, Book, Value, conflict::Means};
use tests::{county, roster, sheet};

use super::{code, import, open_2013, provenance, row, rows, unit_book};

/// One branch in 2012, with something of each kind.
fn ledgers() -> Vec<(&'static str, String)> {
    let code = code();
    let of = |header: &str, lines: &[&str]| {
        let lines = lines.iter().map(|line| format!("{code}|{line}"));
        std::iter::once(format!("党组织编码|{header}")).chain(lines).collect::<Vec<_>>().join("\n")
    };
    vec![
        (
            "党员",
            of(
                "姓名|性别|身份证号|出生日期|党员类别|入党时间|党籍状态|联系电话",
                &[
                    "张三|男|340099198001010014|1980-01-01|正式|2001-05|正常|13800000001",
                    "李四|女|340099198102020013|1981-02-02|正式|2002-06|正常|13800000002",
                    "王五|男|340099198203030012|1982-03-03|正式|2003-07|已转出|",
                ],
            ),
        ),
        (
            "书记",
            of(
                "年度|姓名|性别|学历|任书记时间|胜任情况|调整情况|年度参训次数",
                &[
                    "2012|张三|男|大学本科毕业|2010-03|胜任|无需调整|3",
                    "2012|李四|女|大学本科毕业|2008-03|不胜任|已调整|1",
                ],
            ),
        ),
        (
            "定级",
            of(
                "所属领域|定级轮次|初定等次|审定等次|上轮等次|晋级情况|审定日期",
                &["农村|首次|后进|后进|||2012-04-20", "农村|年终|一般|一般|后进|晋级|2012-11-05"],
            ),
        ),
        (
            "整改",
            of(
                "定级轮次|问题类型|主要问题|整改对策|联系领导|方案审定日期|整改时限|整改状态",
                &[
                    "首次|其他|甲|甲|周平|2012-05-10|2012-10-20|整改中",
                    "中期|其他|乙|乙|周平|2012-08-10|2012-10-20|已转化",
                ],
            ),
        ),
        (
            "会议",
            of("会议类型|会议名称|实际会议时间|应到人数|实到人数", &["党员大会|一季度大会|2012-03-05 09:00|30|28"]),
        ),
    ]
}

async fn branch(folder: &std::path::Path, server: &Server) -> Result<()> {
    let ledgers = ledgers();
    let sheets: Vec<sheet::Sheet<'_>> = ledgers.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let done = import(server, folder, "2012", &sheets).await?;
    anyhow::ensure!(done.tables.len() == 5 && done.counts.refused == 0, "{:?} {:?}", done.tables, done.findings);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_begins_with_what_stands_and_what_is_open() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    branch(folder.path(), &server).await?;
    let unit = county::branch(&server, 0);
    let before = server.store.totals().await?;
    let opened = open_2013(&server).await?;
    assert_eq!((opened.units, opened.documents), (1, 3), "unit, its twin, township");

    // Members stand under the same ids, with what is restricted; who has left stays in 2012.
    let (old, new) = (rows(&server, "members", "2012", unit).await?, rows(&server, "members", "2013", unit).await?);
    assert_eq!((old.len(), new.len()), (3, 2));
    for (id, row) in &new {
        assert_eq!(old.get(id), Some(row), "the same row, cell by cell");
        assert!(row.text("id_card").starts_with("340099"), "with its identity number");
    }
    // A secretary who is still one begins the year without its results, and says the new year.
    let secretary = row(&server, ("secretaries", "2013", unit), "name", "张三").await?;
    let says = |column| secretary.text(column).to_owned();
    assert_eq!([says("year"), says("took_office_on")], ["2013", "2010-03"]);
    assert_eq!((says("competence"), secretary.get("training_times")), (String::new(), None));
    assert_eq!(rows(&server, "secretaries", "2013", unit).await?.len(), 1, "who was replaced is none any more");
    // What was not converted goes on; meetings do not.
    assert_eq!(
        row(&server, ("rectification", "2013", unit), "status", "in_progress").await?.text("problem_summary"),
        "甲"
    );
    assert_eq!(rows(&server, "rectification", "2013", unit).await?.len(), 1);
    assert!(rows(&server, "org-life-meetings", "2013", unit).await?.is_empty());
    // The new first round says what the last one of 2012 came to, and nothing else.
    let graded = rows(&server, "grading", "2013", unit).await?;
    let first = graded.values().next().context("the first round")?;
    let initial = row(&server, ("grading", "2012", unit), "round", "initial").await?;
    assert_eq!((graded.len(), first.id), (1, initial.id));
    assert_eq!(
        [first.text("round"), first.text("previous_grade"), first.text("final_grade")],
        ["initial", "average", ""]
    );

    // Each cell says where it comes from, and 2012 is as it was.
    let book = unit_book(unit, "2013");
    let member = new.keys().next().context("a member")?;
    let by = provenance(&server, &book, &Address::new("members", *member, "name")).await?;
    assert_eq!((by.who.as_str(), by.how, by.carried_from()), ("王主任", Means::Carry, Some("2012")));
    assert_eq!(rows(&server, "members", "2012", unit).await?, old);
    let after = server.store.totals().await?;
    assert_eq!(after.documents, before.documents + 3);
    // Once more: nothing is left to write.
    assert_eq!(open_2013(&server).await?.documents, 0);
    assert_eq!(server.store.totals().await?.changes, after.changes);
    let lines = periods::list(&server).await?;
    let said: Vec<_> =
        lines.iter().map(|l| (l.period.as_str(), l.is_default, l.from.as_deref(), l.is_carried)).collect();
    assert_eq!(said, [("2012", true, None, true), ("2013", false, Some("2012"), true)]);
    let diagnosis = server::doctor::diagnose(&server, &|_, _| {}).await?;
    assert_eq!(diagnosis.wrong, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_follows_where_nobody_has_written() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    branch(folder.path(), &server).await?;
    let (unit, url) = (county::branch(&server, 0), county::serve(&server).await?);
    let phone = county::device(&server, folder.path(), &url, "phone", unit, &[Book::Unit]).await?;
    phone.exchange(0).await?;
    // Offline, somebody corrects two members of 2012, and adds one.
    let (old, new) = (unit_book(unit, "2012"), unit_book(unit, "2013"));
    let ids = [("张三", "13911111111"), ("李四", "13922222222")];
    for (name, number) in ids {
        let id = row(&server, ("members", "2012", unit), "name", name).await?.id;
        phone.save(&old, "members", id, &[("phone", number.into())], 0).await?;
    }
    let cells: [(&str, Value); 2] = [("name", "赵六".into()), ("joined_on", "2012-12-01".into())];
    let late = phone.new_row("members", &cells, [1; 10]);
    phone.save(&old, "members", late, &cells, 0).await?;
    open_2013(&server).await?;
    // In the new year somebody has corrected one of the two already.
    let other = county::device(&server, folder.path(), &url, "other", unit, &[Book::Unit]).await?;
    other.exchange(0).await?;
    assert_eq!(other.documents().await?.iter().filter(|of| of.period == "2013").count(), 1, "devices take both years");
    let lisi = row(&server, ("members", "2013", unit), "name", "李四").await?.id;
    other.save(&new, "members", lisi, &[("phone", "13777777777".into())], 0).await?;
    other.exchange(0).await?;

    assert_eq!(phone.exchange(0).await?.receipts.len(), 3, "the year that it wrote to is open");
    let phones = async |period| -> Result<Vec<String>> {
        let found = rows(&server, "members", period, unit).await?;
        let mut found: Vec<_> = found.values().map(|r| format!("{} {}", r.text("name"), r.text("phone"))).collect();
        found.sort();
        Ok(found)
    };
    assert!(
        phones("2012").await?.contains(&"李四 13922222222".to_owned()),
        "late, it is in the year it was written to"
    );
    assert!(phones("2013").await?.contains(&"张三 13800000001".to_owned()), "and in no other by itself");
    let again = open_2013(&server).await?;
    assert_eq!(phones("2013").await?, ["张三 13911111111", "李四 13777777777", "赵六 "]);
    assert_eq!(again.ledgers["members"].kept, 1, "what somebody has written in the new year stays");
    // What a person had typed in 2012 counts as typed: an old file does not go before it in 2013.
    let zhang = row(&server, ("members", "2013", unit), "name", "张三").await?.id;
    let by = provenance(&server, &new, &Address::new("members", zhang, "phone")).await?;
    assert!(by.how == Means::Carry && by.is_by_hand(), "{by:?}");
    let text = format!("党组织编码|姓名|出生日期|联系电话\n{}|张三|1980-01-01|13800009999", code());
    import(&server.at(2013), folder.path(), "old", &[("党员", &text)]).await?;
    assert!(phones("2013").await?.contains(&"张三 13911111111".to_owned()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_year_loses_the_next_one_loses_where_nobody_has_written() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    branch(folder.path(), &server).await?;
    let unit = county::branch(&server, 0);
    let text = format!(
        "党组织编码|姓名|出生日期|入党时间\n{0}|误录|1990-01-01|2010-01\n{0}|也误录|1990-02-01|2010-02",
        code()
    );
    import(&server, folder.path(), "wrong", &[("党员", &text)]).await?;
    open_2013(&server).await?;
    let wrong = row(&server, ("members", "2013", unit), "name", "也误录").await?;
    // Somebody has begun to work with one of the two.
    let url = county::serve(&server).await?;
    let phone = county::device(&server, folder.path(), &url, "phone", unit, &[Book::Unit]).await?;
    phone.exchange(0).await?;
    phone.save(&unit_book(unit, "2013"), "members", wrong.id, &[("phone", "13600000000".into())], 0).await?;
    phone.exchange(0).await?;
    let batches = server.store.batches().await?;
    let batch = &batches.iter().find(|known| known.batch.file == "wrong.xlsx").context("the import")?.batch;
    undo(&server, &batch.id, "县").await?.context("taken back")?;
    let again = open_2013(&server).await?;
    assert_eq!(again.ledgers["members"].withdrawn, 1);
    let names: Vec<_> =
        rows(&server, "members", "2013", unit).await?.values().map(|row| row.text("name").to_owned()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.contains(&"也误录".to_owned()) && !names.contains(&"误录".to_owned()), "{names:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_erased_is_erased_in_every_year() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    branch(folder.path(), &server).await?;
    let unit = county::branch(&server, 0);
    open_2013(&server).await?;
    periods::open(&server, "2014", "2013", &By::from("王主任"), &|_, _| {}).await?;
    let member = row(&server, ("members", "2014", unit), "name", "张三").await?;
    let key = "members/".to_owned() + &member.id.to_string();
    let order = Order { by: By::from("县"), reason: "本人要求", extent: Extent::Whole };
    let erased = erasure::erase(&server, unit, &key.parse().map_err(anyhow::Error::msg)?, order).await?;
    let years: BTreeSet<_> = erased.documents.iter().map(|from| from.period.as_str()).collect();
    assert_eq!(years, ["2012", "2013", "2014"].into(), "{:?}", erased.documents);
    // Opening the years once more does not bring them back.
    open_2013(&server).await?;
    for period in ["2012", "2013", "2014"] {
        assert!(!rows(&server, "members", period, unit).await?.contains_key(&member.id), "{period}");
    }
    Ok(())
}

/// A county whose opening takes several commits.
async fn large() -> Result<(tempfile::TempDir, Server)> {
    let (folder, server) = county::with_branches(120).await?;
    let file = folder.path().join("roster.xlsx");
    std::fs::write(&file, roster::workbook(120, 3)?)?;
    import_file(&server, &file, "县", &|_, _| {}).await?;
    Ok((folder, server))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_a_year_is_opened_is_taken_up_by_opening_it_again() -> Result<()> {
    let (_folder, server) = large().await?;
    let is_begun = std::sync::Arc::new(AtomicBool::new(false));
    let told = is_begun.clone();
    // Dropped where it stands, once something is written: what a crash leaves.
    let opening = tokio::spawn({
        let server = server.clone();
        async move {
            let progress = move |done: usize, _| told.store(done > 0, Ordering::SeqCst);
            periods::open(&server, "2013", "2012", &By::from("王主任"), &progress).await.map(|_| ())
        }
    });
    while !is_begun.load(Ordering::SeqCst) && !opening.is_finished() {
        tokio::task::yield_now().await;
    }
    opening.abort();
    anyhow::ensure!(opening.await.is_err_and(|error| error.is_cancelled()), "it was interrupted");
    let count = async |period: &str| -> Result<usize> {
        let all = server.store.all_identities().await?;
        Ok(all.iter().filter(|(identity, _)| identity.period == period).count())
    };
    let half = count("2013").await?;
    assert!((1..240).contains(&half), "{half} documents were written");
    let line = |lines: Vec<periods::PeriodLine>| lines.into_iter().find(|line| line.period == "2013");
    assert!(!line(periods::list(&server).await?).context("2013")?.is_carried, "it is known as unfinished");

    let opened = open_2013(&server).await?;
    assert_eq!((opened.documents, count("2013").await?), (240 - half, 240), "only what was missing is written");
    assert!(line(periods::list(&server).await?).context("2013")?.is_carried);
    for index in [0, 60, 119] {
        let unit = county::branch(&server, index);
        let (old, new) = (rows(&server, "members", "2012", unit).await?, rows(&server, "members", "2013", unit).await?);
        assert_eq!((old.len(), &old), (3, &new), "branch {index}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_is_opened_once_from_one_year_before_it() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    branch(folder.path(), &server).await?;
    let by = By::from("王主任");
    let open = async |to: &str, from: &str| match periods::open(&server, to, from, &by, &|_, _| {}).await {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    for (to, from, says) in [
        ("2012", "2013", "应晚于"),
        ("2012", "2012", "应晚于"),
        ("2013", "2011", "没有数据"),
        ("明年", "2012", "2013 的形式"),
        ("+201", "2012", "2013 的形式"),
    ] {
        assert!(open(to, from).await.contains(says), "{to} from {from}");
    }
    assert_eq!(open("2013", "2012").await, "");
    assert_eq!(open("2014", "2013").await, "");
    assert!(open("2014", "2012").await.contains("已从2013年度开启"));
    assert!(periods::at(&server, "2015").await.is_err_and(|error| error.to_string().contains("period open 2015")));
    Ok(())
}
