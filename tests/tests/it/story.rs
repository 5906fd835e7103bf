//! The whole story: messy ledgers → documents → two devices offline → merged returns.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use server::demo::{self, Options};
use tests::{county, node, office};

async fn run(folder: &Path) -> Result<()> {
    let listen = "127.0.0.1:0".parse()?;
    demo::run(&Options { folder: folder.to_owned(), listen, seed: 2012, serve: false }).await
}

fn returns(folder: &Path, word: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder.join("returns"))?;
    let mut paths = entries.filter_map(|entry| entry.ok().map(|e| e.path()));
    paths.find(|path| path.to_string_lossy().contains(word)).with_context(|| format!("a return named {word}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn from_ledgers_to_merged_returns() -> Result<()> {
    let folder = tempfile::tempdir()?;
    run(folder.path()).await?;
    r03_equals_what_another_reader_counts(folder.path())?;
    libreoffice_opens_the_returns(folder.path())?;

    let data = folder.path().join("data");
    let server = county::open(&data, None).await?;
    let totals = server.store.totals().await?;
    let diagnosis = server::doctor::diagnose(&server, &|_, _| {}).await?;
    assert_eq!(diagnosis.wrong, Vec::<String>::new());
    assert_eq!(totals.conflicts, 1, "both phones wrote one telephone number");
    server.store.close().await;

    // Again, as a curious person would: nothing is lost or doubled.
    run(folder.path()).await?;
    let server = county::open(&data, None).await?;
    let again = server.store.totals().await?;
    assert_eq!((again.units, again.documents, again.rows), (totals.units, totals.documents, totals.rows));
    assert_eq!(again.conflicts, 2, "the second run's conflict stands beside the first, which nobody settled");
    server.store.close().await;
    Ok(())
}

/// R03, both rounds and both sheets, against counts that SheetJS takes from the source workbooks.
fn r03_equals_what_another_reader_counts(folder: &Path) -> Result<()> {
    let counted = node::json("count-grades.mjs", &[&folder.join("ledgers")])?;
    let towns = counted.as_object().context("towns")?;
    assert_eq!(towns.len(), 20);
    for (round, word) in [("initial", "首次定级"), ("final", "年终定级")] {
        let path = returns(folder, word)?;
        let sheet = node::json("read-sheet.mjs", &[&path, Path::new("按填报单位")])?;
        let rows = sheet["rows"].as_array().context("rows")?;
        assert!(sheet["formulas"].as_u64() > Some(80), "ratios and totals are live formulas");
        let mut sums = [0; 19];
        for (town, counts) in towns {
            let row = rows.iter().find(|row| row[1] == **town).with_context(|| format!("{town} in {word}"))?;
            let of = |key: &str| counts[round][key].as_i64().unwrap_or(0);
            let graded = of("advanced") + of("average") + of("backward");
            let initial = round == "initial";
            // 五好评价 is of the first round only.
            let checked = |key: &str| if initial { counts[key].as_i64().unwrap_or(0) } else { 0 };
            let expected = [
                (1, counts["due"][round].as_i64().context("due")?),
                (2, graded),
                (4, of("advanced")),
                (6, of("average")),
                (8, of("backward")),
                (15, checked("self")),
                (17, checked("supervisory")),
            ];
            let moved = [(10, of("up")), (11, of("keep")), (12, of("down")), (13, of("base"))];
            for (number, value) in expected.into_iter().chain(moved.into_iter().filter(|_| !initial)) {
                assert_eq!(row[number + 1], value, "{word} {town} 栏次 {number}");
                sums[number] += value;
            }
            let share =
                counts["satisfied"].as_f64().context("ballots")? / counts["valid"].as_f64().context("ballots")?;
            if initial {
                assert!((row[19].as_f64().context("satisfaction")? - share).abs() < 1e-12, "{town} 群众满意率");
                assert_eq!(row[11], "—", "columns 10–14 do not apply in the first round");
            } else {
                assert_eq!(row[19], "—", "no ballots in this round");
            }
            let ratio = of("advanced") as f64 / graded as f64;
            assert!((row[6].as_f64().context("ratio")? - ratio).abs() < 1e-12, "{word} {town} 先进占比");
        }
        let total = rows.iter().find(|row| row[1] == "合计").context("total row")?;
        for number in [1, 2, 4, 6, 8, 15, 17] {
            assert_eq!(total[number + 1], sums[number], "{word} 合计 栏次 {number}");
        }
        let by_field = node::json("read-sheet.mjs", &[&path, Path::new("按领域")])?;
        let field_total =
            by_field["rows"].as_array().context("rows")?.iter().find(|row| row[1] == "合计").context("total")?;
        assert_eq!(field_total[3], total[3], "{word}: both sheets count the same organisations");
    }
    Ok(())
}

fn libreoffice_opens_the_returns(folder: &Path) -> Result<()> {
    let Some(soffice) = office::soffice()? else { return Ok(()) };
    let out = tempfile::tempdir()?;
    for word in ["首次定级", "年终定级", "党员花名册"] {
        office::convert(&soffice, &returns(folder, word)?, "pdf", out.path())?;
    }
    let csv = office::convert(
        &soffice,
        &returns(folder, "首次定级")?,
        "csv:Text - txt - csv (StarCalc):44,34,76",
        out.path(),
    )?;
    let text = std::fs::read_to_string(csv)?;
    let total = text.lines().find(|line| line.contains("合计")).context("total row")?;
    assert!(total.contains("100.0%") && !total.contains("Err"), "{total}");
    assert!(!text.contains("#DIV/0!") && !text.contains("#REF!"), "{text}");
    Ok(())
}
