//! Three years of the demonstration county, with phones that are offline when the year changes.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use server::{
    Server,
    audit::By,
    demo::{self, Options},
    import::import_file,
    periods,
    returns::{self, ReturnRequest},
};
use sync_protocol::{Book, Value, client::Device};
use tests::{county, node, sheet};

use super::{row, rows, unit_book};

/// R03 of a round and the members' ledger of a year: name and bytes.
async fn returns_of(server: &Server, folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut drawn = Vec::new();
    for (name, round) in [("R03", Some("initial")), ("R03", Some("final")), ("R01", None), ("members", None)] {
        let top = returns::county(server).await?;
        let request = ReturnRequest {
            variables: round.map(|round| ("round".to_owned(), round.to_owned())).into_iter().collect(),
            ..ReturnRequest::new(name, top, server.statistics_date(), folder)
        };
        let path = Box::pin(returns::draw(server, &request)).await?.path;
        drawn.push((path.file_name().context("a name")?.to_string_lossy().into_owned(), std::fs::read(&path)?));
    }
    Ok(drawn)
}

/// What R03's comparison with the year before says of a town: 上年先进, 一般, 后进, 上升, 持平, 下降.
async fn compared(server: &Server, folder: &Path, town: &str) -> Result<Vec<serde_json::Value>> {
    let top = returns::county(server).await?;
    let request = ReturnRequest {
        variables: vec![("round".to_owned(), "initial".to_owned())],
        ..ReturnRequest::new("R03", top, server.statistics_date(), folder.join("compared"))
    };
    let drawn = returns::draw(server, &request).await?;
    assert_eq!(drawn.failed_checks, Vec::<String>::new());
    let sheet = node::json("read-sheet.mjs", &[&drawn.path, Path::new("按填报单位")])?;
    let rows = sheet["rows"].as_array().context("rows")?;
    let row = rows.iter().find(|row| row[1] == town).with_context(|| town.to_owned())?;
    Ok((20..26).map(|at| row[at].clone()).collect())
}

async fn grade(server: &Server, folder: &Path, year: i16, grades: &[(&str, &str)]) -> Result<()> {
    let lines: Vec<String> =
        grades.iter().map(|(code, grade)| format!("{code}|农村|首次|{grade}|{grade}|{year}-04-20")).collect();
    let text = format!("党组织编码|所属领域|定级轮次|初定等次|审定等次|审定日期\n{}", lines.join("\n"));
    let path = folder.join(format!("grades of {year}.xlsx"));
    std::fs::write(&path, sheet::workbook(&[("定级", &text)])?)?;
    let done = import_file(&server.at(year), &path, "县委组织部", &|_, _| {}).await?;
    anyhow::ensure!(done.counts.changed + done.counts.added == grades.len(), "{:?} {:?}", done.counts, done.findings);
    Ok(())
}

/// Who is a member of a unit in a year, with a telephone number.
async fn members(server: &Server, period: &str, unit: sync_protocol::UnitId) -> Result<BTreeMap<String, String>> {
    let all = rows(server, "members", period, unit).await?;
    Ok(all.values().map(|row| (row.text("name").to_owned(), row.text("phone").to_owned())).collect())
}

async fn add(phone: &Device, unit: sync_protocol::UnitId, period: &str, name: &str) -> Result<()> {
    let cells: [(&str, Value); 3] =
        [("name", name.into()), ("birth_date", "1990-01-01".into()), ("member_category", "formal".into())];
    let row = phone.new_row("members", &cells, [9; 10]);
    phone.save(&unit_book(unit, period), "members", row, &cells, 0).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_years_with_phones_offline_when_they_change() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options =
        Options { folder: folder.path().to_owned(), listen: "127.0.0.1:0".parse()?, seed: 2012, serve: false };
    demo::run(&options).await?;
    let server = county::open(&folder.path().join("data"), None).await?;
    let (url, by) = (county::serve(&server).await?, By::from("王主任"));
    let village = county::unit(&server, "001-001").await?;
    let (first, second) = (county::unit(&server, "001-002").await?, county::unit(&server, "001-003").await?);

    // The winter of 2012: two phones are in the field, without a signal, when 2013 begins.
    let early = county::device(&server, folder.path(), &url, "early", village, &[Book::Unit]).await?;
    let late = county::device(&server, folder.path(), &url, "late", village, &[Book::Unit]).await?;
    for phone in [&early, &late] {
        phone.exchange(0).await?;
    }
    let before = members(&server, "2012", village).await?;
    let (name, _) = before.iter().next().context("a member")?;
    let known = row(&server, ("members", "2012", village), "name", name).await?.id;
    early.save(&unit_book(village, "2012"), "members", known, &[("phone", "13911112222".into())], 0).await?;
    add(&late, village, "2012", "晚来一").await?;

    let opened = periods::open(&server, "2013", "2012", &by, &|_, _| {}).await?;
    let all_of_2012 = opened.ledgers["members"];
    assert!(all_of_2012.carried > 1_000, "{all_of_2012:?}");
    early.exchange(0).await?;
    assert_eq!(early.documents().await?.iter().filter(|of| of.period == "2013").count(), 1, "both years are on it");
    add(&early, village, "2013", "新来二").await?;
    early.exchange(0).await?;
    grade(&server, folder.path(), 2013, &[("001-001", "先进"), ("001-002", "后进"), ("001-003", "一般")]).await?;

    // 2012 is sealed: what the first phone had brought by then is carried, what the second brings now waits.
    periods::seal(&server, "2012", &by).await?;
    let sealed = returns_of(&server, &folder.path().join("drawn")).await?;
    let done = late.exchange(0).await?;
    assert_eq!((done.receipts.len(), done.refusals.len()), (0, 1));
    let new = members(&server, "2013", village).await?;
    assert_eq!(new.get(name).map(String::as_str), Some("13911112222"), "the number that came before the seal");
    for name in before.keys() {
        assert!(new.contains_key(name), "{name} is a member in 2013, too");
    }
    assert!(new.contains_key("新来二") && !new.contains_key("晚来一"));

    // 2014, from 2013, with the same phones offline again.
    add(&early, village, "2013", "新来三").await?;
    periods::open(&server, "2014", "2013", &by, &|_, _| {}).await?;
    early.exchange(0).await?;
    periods::seal(&server, "2013", &by).await?;
    let newest = members(&server, "2014", village).await?;
    assert!(newest.contains_key("新来二") && newest.contains_key("新来三"), "{newest:?}");
    assert_eq!(newest.len(), new.len() + 1);
    grade(&server, folder.path(), 2014, &[("001-001", "一般"), ("001-002", "先进"), ("001-003", "一般")]).await?;

    // Last year's grades are filled in, and the return compares.
    let of_2013 = server.at(2013);
    for (unit, of_2013, of_2014) in
        [(village, "advanced", "average"), (first, "backward", "advanced"), (second, "average", "average")]
    {
        let round = row(&server, ("grading", "2014", unit), "round", "initial").await?;
        assert_eq!([round.text("previous_grade"), round.text("final_grade")], [of_2013, of_2014]);
    }
    let town = server.store.unit(village).await?.context("a village")?.parent.context("a town")?;
    let town = server.store.unit(town).await?.context("a town")?.label().to_owned();
    let figures = compared(&server.at(2014), folder.path(), &town).await?;
    assert_eq!(figures[3..], [1, 1, 1].map(serde_json::Value::from), "one up, one as it was, one down: {figures:?}");
    assert_eq!(
        figures[..3],
        [1, 1, 1].map(serde_json::Value::from),
        "of the year before only what was graded then: {figures:?}"
    );
    let figures = compared(&of_2013, folder.path(), &town).await?;
    assert!(
        figures[..3].iter().filter_map(serde_json::Value::as_i64).sum::<i64>() > 10,
        "all were graded in 2012: {figures:?}"
    );

    // 2012 is byte for byte what it was.
    let again = returns_of(&server, &folder.path().join("drawn")).await?;
    for ((name, before), (again, after)) in sealed.iter().zip(&again) {
        assert!(name == again && before == after, "{name} is not what it was");
    }
    Ok(())
}
