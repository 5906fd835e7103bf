//! The figures of all returns against an oracle that has its own reading of the definitions; and measures that are changed on
//! purpose, each of which the comparison finds.

use std::path::Path;

use anyhow::{Context, Result};
use jiff::civil::date;
use tests::oracle::{Report, compare, drill, filled};

async fn compared(seed: u64, days: &[(i8, i8)], catalogue: Option<&Path>, only: &[String]) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let (server, truth) = filled(folder.path(), seed, catalogue).await?;
    let mut report = Report::default();
    for (month, day) in days {
        report.add(compare(&server, &truth, folder.path(), date(2012, *month, *day), only).await?);
    }
    Ok(report)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_is_what_the_definitions_say() -> Result<()> {
    let mut words = 0;
    for (seed, days) in [(1, [(6, 30), (12, 31)]), (2, [(3, 31), (11, 25)])] {
        let report = compared(seed, &days, None, &[]).await?;
        let lines: Vec<String> = report.differences.iter().take(20).map(ToString::to_string).collect();
        assert!(lines.is_empty(), "{} cells differ:\n{}", report.differences.len(), lines.join("\n"));
        assert_eq!(report.cells.len(), 24, "every return with figures: {:?}", report.cells);
        assert!(report.cells.values().all(|cells| *cells > 10), "{:?}", report.cells);
        words += report.words;
    }
    assert!(words > 0, "ledgers that nobody has kept");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_behind_every_number_add_up_to_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, _) = filled(folder.path(), 1, None).await?;
    let final_round: &[(&str, &str)] = &[("round", "final")];
    let drilled = drill(&server, folder.path(), date(2012, 11, 25), &[("R03", final_round)], 11).await?;
    assert!(
        drilled.wrong.is_empty(),
        "{} of {:?}: {:#?}",
        drilled.wrong.len(),
        drilled.cells,
        &drilled.wrong[..drilled.wrong.len().min(20)]
    );
    assert_eq!(drilled.cells.len(), 25, "every return with figures: {:?}", drilled.cells);
    assert!(drilled.rows > 1_000, "{} rows", drilled.rows);
    Ok(())
}

/// File, measure, what is changed into what, and the return that must say so.
const CHANGES: [(&str, &str, &str, &str, &str); 12] = [
    ("organisations", "organisations_active", "status_on > $statistics_date", "status_on < $statistics_date", "R01"),
    ("members", "members_normal", "not joined_on > $statistics_date and ", "", "R02"),
    ("grading", "graded_average", "'average'", "'backward'", "R03"),
    ("rectification", "backward_on_time", "converted_on <= $conversion", "converted_on > $conversion", "R04"),
    (
        "units",
        "standalone_due",
        " or $standalone_due_rule == 'union' and unit_kind == 'nonpublic' and above_scale",
        "",
        "R05",
    ),
    ("returns", "stars_of_organisations", "period > $row.period", "period < $row.period", "R08"),
    ("institutions", "life_group_expected", "party_groups * ", "", "R11"),
    ("institutions", "requests_closed", " and closed_on <= $statistics_date", " and closed_on is filled", "R13"),
    ("guarantees", "hardship_assisted", " or member_ref is empty and name == $row.name", "", "R17"),
    ("organisations", "secretaries_trained", "where = \"attended and ", "where = \"", "R18"),
    ("members", "graduates_in_post", "contract_to >= $statistics_date", "contract_to < $statistics_date", "R19"),
    ("acceptance", "returns_on_time", "submitted_on <= due_on", "submitted_on >= due_on", "R25"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_changed_measure_is_found() -> Result<()> {
    let catalogue =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?.join("sync-protocol/catalogue");
    for (file, id, from, to, of) in CHANGES {
        let text = std::fs::read_to_string(catalogue.join(format!("measures/{file}.toml")))?;
        let named = format!("\nid = \"{id}\"\n");
        let block = text.split("[[measure]]").find(|block| block.starts_with(&named)).with_context(|| id.to_owned())?;
        let changed = block.replace(from, to);
        assert_ne!(changed, block, "{id} does not say {from}");
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("own.toml"), format!("[[measure]]{changed}"))?;
        let mut found = 0;
        for seed in 1..=3 {
            let report = compared(seed, &[(6, 30), (12, 31)], Some(folder.path()), &[of.to_owned()]).await?;
            found += report.differences.len();
            if found > 0 {
                break;
            }
        }
        assert!(found > 0, "{id} with {to:?} for {from:?} goes unnoticed in {of}");
    }
    Ok(())
}
