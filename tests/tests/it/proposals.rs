//! What a workbook says that its sender may not decide is not written: it waits for whoever decides.

use std::path::Path;

use anyhow::{Context, Result};
use server::{
    Server,
    doubts::{Choice, decide},
    import::{ImportReport, Source, import, preview},
    proposals::{self, Decider, ProposalError},
    returns::{self, ReturnRequest},
    store::{Proposal, ProposalQuery, ProposalState},
};
use sync_protocol::{
    Address, Book, Document, Identity, Row, UnitId,
    catalogue::{Actor, Content, Sensitivity},
    session::Scope,
};
use tests::{county, node, roster, sheet};

pub const TOWNSHIP: [Book; 4] = [Book::Unit, Book::UnitRestricted, Book::Township, Book::TownshipRestricted];
pub const ACTORS: [Actor; 3] = Actor::ALL;

/// The unit that somebody acts for.
pub fn unit_of(server: &Server, actor: Actor) -> UnitId {
    match actor {
        Actor::Branch => county::branch(server, 0),
        Actor::Township => UnitId::derive(&server.tenant, None, "340099100"),
        Actor::County => server.county,
    }
}

/// Imports a sheet in which `CODE` stands for the first branch.
pub async fn import_as(server: &Server, actor: Option<Actor>, name: &str, text: &str) -> Result<ImportReport> {
    let source = source(server, actor, name, text)?;
    let report = import(server, source, format!("{actor:?}").as_str(), &|_, _| {}).await?;
    assert!(!report.already_imported, "{name}");
    Ok(report)
}

fn source(server: &Server, actor: Option<Actor>, name: &str, text: &str) -> Result<Source> {
    let text = text.replace("CODE", &roster::branch_code(0));
    let scope = actor.map(|actor| Scope { unit: unit_of(server, actor), books: TOWNSHIP.to_vec(), version: 0 });
    Ok(Source { name: name.to_owned(), bytes: sheet::workbook(&[("台账", &text)])?.into(), scope })
}

/// The document of a book of the first branch.
pub async fn document(server: &Server, book: Book) -> Result<Document> {
    let identity = Identity { unit: county::branch(server, 0), book, period: server.period() };
    let stored = server.store.document(identity.document(&server.tenant)).await?.context("a document")?;
    Ok(Document::load(stored.snapshot.as_deref(), &stored.changes)?)
}

/// The only row of a ledger for which this holds.
pub async fn row(server: &Server, book: Book, ledger: &str, is_it: impl Fn(&Row) -> bool) -> Result<Row> {
    let rows = document(server, book).await?.rows(ledger);
    rows.into_values().find(is_it).with_context(|| format!("a row of {ledger}"))
}

pub async fn waiting(server: &Server) -> Result<Vec<Proposal>> {
    let state = Some(ProposalState::Waiting);
    let query =
        ProposalQuery { top: server.county, books: Book::ALL.to_vec(), state, period: None, after: 0, limit: 1000 };
    let found = server.store.proposals().list(&query).await?;
    assert_eq!(server.store.proposals().count(&query).await?, i64::try_from(found.len())?);
    Ok(found)
}

/// Waiting proposals as column and value.
pub async fn waiting_cells(server: &Server) -> Result<Vec<String>> {
    let cells = waiting(server).await?;
    let mut cells: Vec<String> = cells.iter().map(|p| format!("{}={}", p.proposed.column, p.proposed.value)).collect();
    cells.sort();
    Ok(cells)
}

/// What the figures of R03 of the township are for the first round: graded, advanced.
async fn figures(server: &Server) -> Result<(i64, i64)> {
    let form = server.catalogue.return_form("R03").context("R03")?;
    let variables = returns::variables(server, form, &[("round".into(), "initial".into())])?;
    let date = jiff::civil::date(2012, 12, 31);
    let scope = returns::Scope { server, form, variables: &variables, top: server.county, date };
    let lines = returns::lines(scope, &form.sheets[0]).await?;
    let line = lines.first().context("the township")?;
    let value = |number: &str| {
        let column = form.sheets[0].columns.iter().find(|column| column.number == number);
        match column.map(|column| &column.content) {
            Some(Content::Count(terms)) => line.value(terms, date),
            other => panic!("{other:?}"),
        }
    };
    Ok((value("2"), value("4")))
}

/// A branch that is there: only of such ones a grade counts.
const BRANCH: &str =
    "党组织编码|党组织名称|所属领域|组织类别|成立时间|组织状态\nCODE|第0党支部|农村|党支部|2000-01-01|正常";

pub const GRADING: &str = "党组织编码|定级轮次|初定等次|审定等次|审定单位|审定日期|定级理由";

/// Ledger, what there is, what somebody wants, the column, what it says and what it shall say.
pub const CASES: [(&str, &str, &str, &str, &str, &str); 4] = [
    (
        "grading",
        "党组织编码|定级轮次|初定等次|审定等次\nCODE|首次|一般|一般",
        "党组织编码|定级轮次|初定等次|审定等次\nCODE|首次|先进|先进",
        "final_grade",
        "average",
        "advanced",
    ),
    (
        "commendation-candidates",
        "党组织编码|年度|表彰类别|推荐排名|审定结果\nCODE|2012|先进村党组织|2|推荐",
        "党组织编码|年度|表彰类别|推荐排名|审定结果\nCODE|2012|先进村党组织|1|表彰",
        "decision",
        "recommended",
        "decided",
    ),
    (
        "rectification",
        "党组织编码|定级轮次|对策编号|整改状态\nCODE|首次|1|申请验收",
        "党组织编码|定级轮次|对策编号|整改状态\nCODE|首次|2|已转化",
        "status",
        "applied",
        "accepted",
    ),
    // A row that is new.
    ("grading", "", "党组织编码|定级轮次|初定等次|审定等次\nCODE|年终|先进|先进", "final_grade", "", "advanced"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_workbook_decides_nothing_that_its_sender_does_not() -> Result<()> {
    for actor in ACTORS {
        for (ledger, before, after, column, old, new) in CASES {
            let case = format!("{ledger} by {actor:?}, from `{old}`");
            let (_folder, server) = county::with_branches(1).await?;
            if !before.is_empty() {
                import_as(&server, None, "before.xlsx", before).await?;
            }
            let plan = preview(&server, source(&server, Some(actor), "a.xlsx", after)?, std::sync::Arc::new(|_, _| {}));
            let plan = plan.await?;
            let report = import_as(&server, Some(actor), "after.xlsx", after).await?;
            assert_eq!(report.counts, plan.counts, "{case}: the import does what the plan said");
            let is_county = actor == Actor::County;
            let found = row(&server, Book::Township, ledger, |_| true).await?;
            assert_eq!(found.text(column), if is_county { new } else { old }, "{case}");
            let expected: Vec<String> = (!is_county).then(|| format!("{column}={new}")).into_iter().collect();
            assert_eq!(waiting_cells(&server).await?, expected, "{case}");
            assert_eq!(report.counts.proposed, expected.len(), "{case}");
            let said: Vec<_> = report.findings.iter().filter(|finding| finding.code == "proposed").collect();
            assert_eq!(said.len(), expected.len(), "{case}: {:?}", report.findings);
            if let [finding] = said[..] {
                assert_eq!((finding.sheet.as_str(), finding.cell.as_str().len()), ("台账", 2), "{finding:?}");
                assert!(finding.message.contains("应由上级（县）办理"), "{finding:?}");
                assert!(plan.changes.iter().all(|change| change.cell != finding.cell), "{case}: {:?}", plan.changes);
            }
            // The rest of the row is the sender's own business.
            assert_eq!(report.counts.added + report.counts.changed, 1, "{case}: {:?}", report.counts);
            assert!(server::doctor::diagnose(&server, &|_, _| {}).await?.wrong.is_empty(), "{case}");
        }
    }
    Ok(())
}

fn county_decides(who: &str) -> Decider {
    Decider { by: who.into(), actor: Actor::County, clearance: Sensitivity::S2 }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_change_when_the_county_accepts_and_not_before() -> Result<()> {
    let (_folder, server) = county::with_branches(1).await?;
    let township = Some(Actor::Township);
    import_as(&server, None, "o.xlsx", BRANCH).await?;
    import_as(&server, None, "g.xlsx", &format!("{GRADING}\nCODE|首次|一般|一般|县委|2012-04-20|达标")).await?;
    assert_eq!(figures(&server).await?, (1, 0));
    let attempt = format!("{GRADING}\nCODE|首次|先进|先进|青山镇|2012-04-29|都好");
    let report = import_as(&server, township, "clerk.xlsx", &attempt).await?;
    assert_eq!(figures(&server).await?, (1, 0), "{report:?}");
    // What the decision says of itself is judged with it; what the township proposes is its own.
    let cells = ["decided_by=青山镇", "decided_on=2012-04-29", "final_grade=advanced", "reason=都好"];
    assert_eq!(waiting_cells(&server).await?, cells);
    let kept = row(&server, Book::Township, "grading", |_| true).await?;
    let said = ["proposed_grade", "decided_by", "decided_on", "reason"].map(|column| kept.text(column));
    assert_eq!(said, ["advanced", "县委", "2012-04-20", "达标"]);

    // The same once more, in another file, waits once.
    import_as(&server, township, "again.xlsx", &format!("{attempt}\n")).await?;
    assert_eq!(waiting_cells(&server).await?, cells);

    let number = async |column: &str| -> Result<i64> {
        let all = waiting(&server).await?;
        all.iter().find(|p| p.proposed.column == column).map(|p| p.number).context("it waits")
    };
    let grade = number("final_grade").await?;
    let clerk = Decider { actor: Actor::Township, ..county_decides("镇") };
    let refused = proposals::accept(&server, grade, &clerk, false).await;
    assert!(matches!(refused, Err(ProposalError::NotYours(by)) if by == [Actor::County]));
    assert!(matches!(proposals::reject(&server, grade, &clerk, "不").await, Err(ProposalError::NotYours(_))));
    let accepted = proposals::accept(&server, grade, &county_decides("王科长"), false).await?;
    assert_eq!((accepted.state, accepted.decided_by.as_deref()), (ProposalState::Accepted, Some("王科长")));
    assert_eq!(figures(&server).await?, (1, 1));
    let address = Address::new("grading", kept.id, "final_grade");
    let by = document(&server, Book::Township).await?.provenance(&address).context("written")?;
    assert_eq!(by.who, "王科长", "it is the decider's word now");
    let again = proposals::accept(&server, grade, &county_decides("王科长"), false).await;
    assert!(matches!(again, Err(ProposalError::Decided(ProposalState::Accepted))));

    let reason = number("reason").await?;
    assert!(matches!(
        proposals::reject(&server, reason, &county_decides("县"), " ").await,
        Err(ProposalError::NoReason)
    ));
    let rejected = proposals::reject(&server, reason, &county_decides("县"), "与考核不符").await?;
    assert_eq!((rejected.state, rejected.reason.as_deref()), (ProposalState::Rejected, Some("与考核不符")));
    let now = row(&server, Book::Township, "grading", |_| true).await?;
    assert_eq!((now.text("final_grade"), now.text("reason")), ("advanced", "达标"));

    // The county has decided otherwise since: whoever accepts is told.
    let date = number("decided_on").await?;
    let later = format!("{GRADING}\nCODE|首次|先进||县委|2012-05-02|");
    let report = import_as(&server, None, "later.xlsx", &later).await?;
    let changed = proposals::accept(&server, date, &county_decides("县"), false).await;
    let Err(ProposalError::Changed(now)) = changed else { panic!("{changed:?} {report:?}") };
    assert_eq!(now, "2012.5.2");
    proposals::accept(&server, date, &county_decides("县"), true).await?;
    let now = row(&server, Book::Township, "grading", |_| true).await?;
    assert_eq!(now.text("decided_on"), "2012-04-29");
    assert!(server::doctor::diagnose(&server, &|_, _| {}).await?.wrong.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_county_approves_by_importing_the_very_file_that_the_township_sent() -> Result<()> {
    let (_folder, server) = county::with_branches(1).await?;
    let text = format!("{GRADING}\nCODE|首次|先进|先进|县委|2012-04-20|达标");
    import_as(&server, None, "o.xlsx", BRANCH).await?;
    import_as(&server, Some(Actor::Township), "a.xlsx", &text).await?;
    assert_eq!(figures(&server).await?, (0, 0));
    import_as(&server, None, "a.xlsx", &text).await?;
    assert_eq!(figures(&server).await?, (1, 1));
    // What is so already is accepted without a word.
    for proposal in waiting(&server).await? {
        let changes = server.store.totals().await?.changes;
        proposals::accept(&server, proposal.number, &county_decides("县"), false).await?;
        assert_eq!(server.store.totals().await?.changes, changes);
    }
    assert!(waiting(&server).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_that_an_import_makes_out_of_order_are_listed() -> Result<()> {
    let (_folder, server) = county::with_branches(1).await?;
    let plan = |state: &str| format!("党组织编码|定级轮次|整改状态\nCODE|首次|{state}");
    let item = |state: &str| format!("党组织编码|事项序号|整改状态\nCODE|1|{state}");
    import_as(&server, None, "1.xlsx", &plan("已制定对策")).await?;
    import_as(&server, None, "2.xlsx", &item("未整改")).await?;
    assert!(server.store.wrong_steps().await?.is_empty(), "a ledger is taken over as it stands");
    import_as(&server, None, "3.xlsx", &plan("已转化")).await?;
    import_as(&server, None, "4.xlsx", &item("已销号")).await?;
    let steps = server.store.wrong_steps().await?;
    let mut said: Vec<String> = steps
        .iter()
        .map(|s| {
            format!(
                "{} {}→{} {} {}",
                s.step.row.ledger,
                s.step.before.as_deref().unwrap_or(""),
                s.step.after,
                s.step.fault,
                s.who
            )
        })
        .collect();
    said.sort();
    assert_eq!(
        said,
        ["rectification planned→accepted no_such_step None", "rectification-items open→verified no_such_step None"]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_decides_on_a_doubtful_row_does_not_decide_what_its_sender_could_not() -> Result<()> {
    for (actor, expected) in [(Actor::Branch, "pending"), (Actor::County, "recognised")] {
        let (_folder, server) = county::with_branches(1).await?;
        let headers = "党组织编码|姓名|公民身份号码|认定年度|组织认定";
        let (id, another) = (roster::id_card(1), roster::id_card(2));
        import_as(&server, None, "1.xlsx", &format!("{headers}\nCODE|张三|{id}|2012|待认定")).await?;
        let report =
            import_as(&server, Some(actor), "2.xlsx", &format!("{headers}\nCODE|张三|{another}|2012|已认定")).await?;
        let [doubt] = &report.doubts[..] else { panic!("{actor:?}: it may be another 张三: {report:?}") };
        decide(&server, doubt.id, Choice::Same(None), "县").await?;
        let found = row(&server, Book::Unit, "hardship-members", |_| true).await?;
        assert_eq!(found.text("recognised"), expected, "{actor:?}");
        let expected: &[&str] = if actor == Actor::County { &[] } else { &["recognised=recognised"] };
        assert_eq!(waiting_cells(&server).await?, expected, "{actor:?}");
    }
    Ok(())
}

async fn draw(server: &Server, ledger: &str, folder: &Path) -> Result<std::path::PathBuf> {
    let (top, date) = (returns::county(server).await?, jiff::civil::date(2012, 4, 30));
    let clearance = Sensitivity::S3;
    let request =
        ReturnRequest { clearance, ..ReturnRequest::new(ledger.to_owned(), top, date, folder.join("returns")) };
    Ok(returns::draw(server, &request).await?.path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_returned_ledger_and_its_conflict_sheet_decide_no_more_than_their_sender() -> Result<()> {
    for actor in ACTORS {
        let is_county = actor == Actor::County;
        let (folder, server) = county::with_branches(1).await?;
        let scope = Scope { unit: unit_of(&server, actor), books: TOWNSHIP.to_vec(), version: 0 };
        import_as(&server, None, "g.xlsx", &format!("{GRADING}\nCODE|首次|一般|一般|县委|2012-04-20|达标")).await?;
        let title = "分类定级与晋级台账";
        let treated = |from: &Path, name: &str, mut spec: serde_json::Value| -> Result<Source> {
            let out = folder.path().join(name);
            spec["sheet"] = title.into();
            spec["by"] = "定级轮次".into();
            node::json("edit-sheet.mjs", &[from, &out, Path::new(&spec.to_string())])?;
            Ok(Source { name: name.to_owned(), bytes: std::fs::read(&out)?.into(), scope: Some(scope.clone()) })
        };
        let drawn = draw(&server, "grading", folder.path()).await?;
        let first = "首次定级(4月)";
        let spec = serde_json::json!({ "set": [[first, "审定等次", "先进"], [first, "初定等次", "先进"]] });
        let report = import(&server, treated(&drawn, "back.xlsx", spec)?, "干事", &|_, _| {}).await?;
        let found = row(&server, Book::Township, "grading", |_| true).await?;
        let grade = if is_county { "advanced" } else { "average" };
        assert_eq!(
            (found.text("final_grade"), found.text("proposed_grade")),
            (grade, "advanced"),
            "{actor:?} {report:?}"
        );
        let expected: &[&str] = if is_county { &[] } else { &["final_grade=advanced"] };
        assert_eq!(waiting_cells(&server).await?, expected, "{actor:?}");
        // A row that is marked to be removed takes its decision with it.
        let spec = serde_json::json!({ "set": [[first, "删除", "删除"]] });
        import(&server, treated(&drawn, "removed.xlsx", spec)?, "干事", &|_, _| {}).await?;
        let found = row(&server, Book::Township, "grading", |_| true).await?;
        assert_eq!(found.removed, is_county, "{actor:?}");
        assert_eq!(waiting(&server).await?.len(), if is_county { 0 } else { 2 }, "{actor:?}");

        // Two of the county's phones disagree; the sheet is to settle it.
        let url = county::serve(&server).await?;
        let identity = Identity { unit: county::branch(&server, 0), book: Book::Township, period: server.period() };
        let (one, two) = ("one", "two");
        let one = county::device(&server, folder.path(), &url, one, server.county, &TOWNSHIP).await?;
        let two = county::device(&server, folder.path(), &url, two, server.county, &TOWNSHIP).await?;
        for device in [&one, &two] {
            device.exchange(0).await?;
        }
        let year_end = [("round", "final".into()), ("org_name", "第0党支部".into())];
        let id = one.new_row("grading", &year_end, [7; 10]);
        for (device, grade) in [(&one, "average"), (&two, "backward")] {
            let cells = [("round", "final".into()), ("final_grade", grade.into())];
            device.save(&identity, "grading", id, &cells, 0).await?;
            device.exchange(0).await?;
        }
        let open = document(&server, Book::Township).await?.conflicts();
        let [conflict] = &open[..] else { panic!("{actor:?}: the two differ: {open:?}") };
        let other = conflict.values[1].value.to_string();
        let drawn = draw(&server, "grading", folder.path()).await?;
        let spec = serde_json::json!({ "decide": [["审定等次", "另一值"]] });
        let report = import(&server, treated(&drawn, "settled.xlsx", spec)?, "干事", &|_, _| {}).await?;
        let now = document(&server, Book::Township).await?;
        assert_eq!(now.conflicts().is_empty(), is_county, "{actor:?} {report:?}");
        let address = Address::new("grading", id, "final_grade");
        assert_eq!(now.get(&address).map(|value| value.to_string()) == Some(other.clone()), is_county, "{actor:?}");
        let is_proposed = waiting_cells(&server).await?.contains(&format!("final_grade={other}"));
        assert_eq!(is_proposed, !is_county, "{actor:?} {report:?}");
    }
    Ok(())
}
