//! A schedule of retention acts: what was kept for long enough is erased, the record stays, and everything else does.

use anyhow::Result;
use jiff::civil::date;
use server::{
    audit::By,
    config::{Config, File},
    import::import_file,
    retention::{self, Retention},
};
use sync_protocol::{Book, Document, Identity, Value};
use tests::{county, sheet, worked::synthetic};

const REQUESTS: &str = "党组织编码|受理编号|收集日期|反映人|联系电话|民情内容|办结日期|评价日期
     A1|1|2010-02-01|张三|13900000001|修路|2010-03-01|2010-03-14
     A1|2|2010-12-01|李四|13900000002|路灯|2010-12-20|2010-12
     A1|3|2011-06-01|王五|13900000003|用水|2011-07-01|2012-02-01
     A1|4|2010-02-01|赵六|13900000004|用电||";

fn schedule() -> Vec<Retention> {
    vec![Retention { ledger: "citizen-requests".into(), after: "evaluated_on".into(), days: 365 }]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_for_long_enough_goes_and_nothing_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let path = folder.path().join("requests.xlsx");
    std::fs::write(&path, sheet::workbook(&[("民情台账", REQUESTS)])?)?;
    let done = import_file(&server, &path, "县", &|_, _| {}).await?;
    assert_eq!(done.counts.added, 4, "{:?}", done.findings);
    let of = |book| {
        let server = &server;
        async move {
            let unit = county::unit(server, "A1").await?;
            let identity = Identity { unit, book, period: server.period() };
            let stored = server.store.document(identity.document(&server.tenant)).await?;
            let stored = stored.ok_or_else(|| anyhow::anyhow!("no document"))?;
            anyhow::Ok(Document::load(stored.snapshot.as_deref(), &stored.changes)?)
        }
    };
    let requesters = async |book| -> Result<Vec<String>> {
        let rows = of(book).await?.rows("citizen-requests");
        let text = |value: &Value| value.to_string();
        let column = if book == Book::Unit { "request_no" } else { "requester" };
        let mut all: Vec<String> = rows.values().filter_map(|row| row.cells.get(column).map(text)).collect();
        all.sort();
        Ok(all)
    };
    assert_eq!(requesters(Book::UnitRestricted).await?.len(), 4);

    // 2010-12 may be its last day: that ends with 2011-12-31, and is overdue from the next day on.
    for (today, count) in
        [(date(2011, 3, 14), 0), (date(2011, 3, 15), 1), (date(2011, 12, 31), 1), (date(2012, 1, 1), 2)]
    {
        assert_eq!(retention::overdue(&server, &schedule(), today).await?.len(), count, "{today}");
    }
    let today = date(2012, 11, 29);
    let overdue = retention::overdue(&server, &schedule(), today).await?;
    let erased = retention::erase(&server, &overdue, &By::from("taizhang")).await;
    assert_eq!((erased.erased, erased.left), (2, Vec::new()));
    assert_eq!(requesters(Book::UnitRestricted).await?, ["王五", "赵六"]);
    assert_eq!(requesters(Book::Unit).await?, ["1", "2", "3", "4"], "the cases stay");
    assert!(retention::overdue(&server, &schedule(), today).await?.is_empty());
    assert!(retention::overdue(&server, &[], today).await?.is_empty());
    let lines = server.store.people().audit(0, 10_000).await?;
    assert_eq!(lines.iter().filter(|line| line.entry.event == "erased").count(), 2);
    Ok(())
}

#[test]
fn a_schedule_that_cannot_be_followed_is_refused() {
    for (ledger, after, days, said) in [
        ("requests", "evaluated_on", 365, "没有台账 `requests`"),
        ("citizen-requests", "evaluated", 365, "没有可用的日期列 `evaluated`"),
        ("citizen-requests", "content", 365, "没有可用的日期列 `content`"),
        ("citizen-requests", "evaluated_on", 0, "保存天数应大于0"),
        ("grading", "decided_on", 365, "没有"),
    ] {
        let rule = Retention { ledger: ledger.into(), after: after.into(), days };
        let refused = Config::check(File { retention: vec![rule], ..File::default() });
        let error = format!("{:#}", refused.expect_err(after));
        assert!(error.contains("[[retention]]") && error.contains(said), "{error}");
    }
}
