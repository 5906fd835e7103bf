//! Sealed returns in the hands of others: what a forger does is found, what programs do when they save is not taken for it.

use anyhow::{Context, Result};
use importer::{ReadLimits, seal};
use serde_json::Value;
use server::{
    Server,
    auth::Role,
    import::import_file,
    returns::{self, verify::Verified},
};
use sync_protocol::{catalogue::Sensitivity, client::Trust};
use tests::{
    county, forge, office, people, sheet,
    worked::{Printed, synthetic},
};

use super::forged::{SHEET, STYLES, forgeries, replaced};

async fn verify(server: &Server, bytes: Vec<u8>) -> Result<Verified> {
    Ok(returns::verify::verify(server, bytes).await?)
}

/// Whatever stands in a part, as text.
fn part(bytes: &[u8], name: &str) -> Result<String> {
    let found = forge::unpacked(bytes)?.into_iter().find(|(known, _)| known == name).context("a part")?;
    Ok(String::from_utf8(found.1)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_shows_a_reader_something_else_is_found() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let sealed = std::fs::read(Printed::draw(&server, folder.path(), "R03", &[("round", "final")]).await?.path)?;
    let whole = verify(&server, sealed.clone()).await?;
    assert_eq!((whole.verdict, whole.redrawn, whole.is_stale), ("valid", "same", false));
    let again = verify(&server, forge::packed(&forge::unpacked(&sealed)?)?).await?;
    assert_eq!(again.verdict, "valid", "another archive of the same parts");

    let (sheet, styles) = (part(&sealed, SHEET)?, part(&sealed, STYLES)?);
    let sum = sheet.find("<f>SUM(D").context("a sum")?;
    let start = sheet[..sum].rfind("<c r=\"").context("its cell")?;
    let total: &'static str = sheet[start + 6..].split('"').next().context("its place")?.to_owned().leak();
    let mut missed = Vec::new();
    let all = forgeries(&sheet, &styles, total);
    let count = all.len();
    for (what, edits, told) in all {
        let edits: Vec<(&str, forge::Edit<'_>)> =
            edits.iter().map(|(part, edit)| (*part, edit.as_ref() as forge::Edit<'_>)).collect();
        let found = verify(&server, forge::edited(&sealed, &edits)?).await.context(what)?;
        if found.verdict != "altered" || !found.changes.iter().any(|change| change.contains(told)) {
            missed.push(format!("{what}: {} {:?}", found.verdict, found.changes));
        }
    }
    assert!(missed.is_empty(), "of {count}:\n{}", missed.join("\n"));
    assert!(count >= 30, "{count}");

    // Two parts of one name, or something behind the archive: each reader may take another.
    let mut twice = forge::unpacked(&sealed)?;
    twice.push(("xl/Worksheets/sheet1.xml".to_owned(), sheet.clone().into_bytes()));
    for bytes in [forge::packed(&twice)?, [sealed.clone(), b"PK\x05\x06".to_vec()].concat()] {
        let refused = returns::verify::verify(&server, bytes).await.err().context("refused")?;
        assert!(refused.to_string().contains("文件已损坏"), "{refused}");
    }
    // A seal of which a letter is another one is none of ours.
    let hidden = forge::unpacked(&sealed)?.into_iter().map(|(name, _)| name).filter(|name| name.contains("/sheet"));
    let hidden = hidden.filter(|name| !name.contains("_rels")).max().context("the seal's sheet")?;
    let forged = forge::edited(&sealed, &[(&hidden, &|text| replaced(text, "R03", "R04"))])?;
    assert_eq!(verify(&server, forged).await?.verdict, "unsigned");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_programs_save_again_is_told_as_saved_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let mut files = Vec::new();
    for number in ["R01", "R03", "R05", "R15", "R16"] {
        files.push(Printed::draw(&server, &folder.path().join(number), number, &[]).await?.path);
    }
    // A program that cannot compute leaves out what formulas come to: they say the same as long as they are the same.
    let sealed = std::fs::read(&files[1])?;
    let without = |text: &str| {
        let parts: Vec<&str> = text.split("</f><v>").collect();
        let rest = parts[1..].iter().map(|part| part.split_once("</v>").map_or("", |(_, rest)| rest));
        std::iter::once(parts[0]).chain(rest).collect::<Vec<_>>().join("</f><v></v>")
    };
    let found = verify(&server, forge::edited(&sealed, &[(SHEET, &without)])?).await?;
    assert_eq!((found.verdict, found.changes), ("resaved", Vec::new()));
    let Some(soffice) = office::soffice()? else { return Ok(()) };
    for file in &files {
        for format in ["xlsx", "ods", "xls"] {
            let out = folder.path().join(format);
            std::fs::create_dir_all(&out)?;
            let saved = std::fs::read(office::convert(&soffice, file, format, &out)?)?;
            let found = verify(&server, saved).await?;
            let expected = ("resaved", Vec::new());
            assert_eq!((found.verdict, found.changes), expected, "{} as {format}", file.display());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_random_edit_changes_nothing_or_is_found() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let sealed = std::fs::read(Printed::draw(&server, folder.path(), "R03", &[]).await?.path)?;
    let outcome = forge::mutate(&sealed, &server.keyring.current().seal_key, (400, 2012), 0)?;
    assert!(outcome.missed.is_empty(), "{}", outcome.missed.join("\n"));
    let strangers = seal::Key([7; 32]);
    assert!(seal::examine(&sealed, &[strangers], &ReadLimits::default())?.is_none(), "what a seal holds is shut");
    assert!(outcome.found > 150 && outcome.same > 20, "{outcome:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_printed_code_says_what_was_sealed_to_those_who_may_see_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let url = county::serve(&server).await?;
    let drawn = Printed::draw(&server, folder.path(), "R03", &[("round", "final")]).await?;
    let code = verify(&server, std::fs::read(&drawn.path)?).await?.code.context("a code")?;
    let client = Trust::new(None)?.client()?;
    let ask = async |typed: &str, cookie: Option<&str>| -> Result<(u16, Value)> {
        let mut request = client.get(format!("{url}/api/returns/codes/{typed}"));
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let response = request.send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    };
    let typed = code.to_lowercase().replace('-', "");
    let (status, stranger) = ask(&typed, None).await?;
    assert_eq!((status, stranger["exists"].as_bool()), (200, Some(true)));
    assert!(stranger["drawn"].is_null() && stranger["sheets"].as_array().context("sheets")?.is_empty(), "{stranger}");
    let (_, none) = ask("AAAABBBBCCCCDDDD", None).await?;
    assert_eq!(none["exists"].as_bool(), Some(false));
    assert_eq!(ask("AAAA", None).await?.0, 400);

    let units = server.store.units().await?;
    let town = units.iter().find(|unit| unit.code.as_deref() == Some("T1")).context("a town")?.id;
    let password = "correct horse battery";
    let supervisor = people::add(&server, "head", Role::CountySupervisor, server.county, false, password).await?;
    let clerk = people::add(&server, "clerk", Role::OfficeClerk, town, false, password).await?;
    let (_, of_town) = ask(&typed, Some(&people::cookie(&server, &clerk).await?)).await?;
    assert!(of_town["drawn"].is_null(), "a return of the county is none of a town's: {of_town}");
    let cookie = people::cookie(&server, &supervisor).await?;
    let (_, above) = ask(&typed, Some(&cookie)).await?;
    assert!(above["drawn"].is_null(), "its class is above what a supervisor sees in clear: {above}");
    let copies = folder.path().join("copies");
    let own = Printed::draw_for(&server, &copies, ("R03", &[("round", "final")]), Sensitivity::S1).await?;
    let code = verify(&server, std::fs::read(&own.path)?).await?.code.context("a code")?;
    // A fact changes: what the paper says stays what was sealed.
    let change = folder.path().join("change.xlsx");
    std::fs::write(&change, sheet::workbook(&[("定级", "党组织编码|定级轮次|审定等次\nA3|年终|后进")])?)?;
    import_file(&server, &change, "县", &|_, _| {}).await?;
    let (_, seen) = ask(&code, Some(&cookie)).await?;
    let rows = seen["sheets"][0]["rows"].as_array().context("rows")?;
    let total = rows.iter().find(|row| row.to_string().contains("合计")).context("a total")?;
    assert!(total.to_string().contains("\"15\",\"15\",\"100.0%\",\"6\",\"40.0%\",\"8\",\"53.3%\",\"1\""), "{total}");
    Ok(())
}

/// What costs a reader much and its sender nothing is refused in words.
#[test]
fn hostile_files_are_refused_at_the_door() -> Result<()> {
    let limits = ReadLimits::of_strangers();
    let refused = |what: &str, bytes: &[u8], word: &str| {
        let sentence = importer::workbook::look::look(bytes, &limits).expect_err(what).to_string();
        assert!(sentence.contains(word), "{what}: {sentence}");
    };
    let filled = |rows: &str| -> Result<Vec<u8>> {
        let empty = sheet::workbook(&[("甲", "一")])?;
        let content = format!(
            "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>{rows}</sheetData></worksheet>"
        );
        forge::edited(&empty, &[(SHEET, &|_: &str| content.clone())])
    };
    let row = format!("<row>{}</row>", "<c><v>1</v></c>".repeat(1000));
    refused("a dense sheet", &filled(&row.repeat(2000))?, "单元格");
    let long = format!("<row><c t=\"inlineStr\"><is><t>{}</t></is></c></row>", "长".repeat(30_000));
    refused("long texts", &filled(&long.repeat(1000))?, "字节");
    refused("elements in elements", &filled(&format!("<row><c>{}", "<v>".repeat(100)))?, "文件已损坏");
    // A page bears no seal: it is not even read.
    let page = format!("<html>{}", "<table><tr><td>".repeat(200_000));
    assert!(seal::examine(page.as_bytes(), &[seal::Key([0; 32])], &limits)?.is_none());
    Ok(())
}

/// The same reader serves imports: what takes more steps than any office's page is refused.
#[test]
fn pages_of_tables_in_tables_are_refused() {
    let limits = ReadLimits::default();
    let nested = format!("<html>{}", "<table><tr><td>".repeat(20_000));
    let deep = format!("<html><table><tr><td>{}", "<div>".repeat(20_000));
    let spanning = "<tr><td rowspan=1000 colspan=1000>1</td></tr>".repeat(3000);
    let spanning = format!("<html><table>{spanning}</table>");
    for (what, page, word) in [
        ("tables in tables", nested, "嵌套"),
        ("elements in elements", deep, "嵌套"),
        ("spanning cells", spanning, "跨行跨列"),
    ] {
        let error = importer::read(page.as_bytes(), &limits).expect_err(what).to_string();
        assert!(error.contains(word), "{what}: {error}");
    }
    let plain = "<html><table><tr><td rowspan=2>甲</td><td>1</td></tr><tr><td>2</td></tr></table>";
    let book = importer::read(plain.as_bytes(), &limits).expect("read");
    assert_eq!(book.sheets[0].cell_count(), 3);
}
