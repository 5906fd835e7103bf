//! Two replicas of a county that never met import the same ledgers.

use anyhow::Result;
use server::{Server, demo, import::import_file};
use sync_protocol::Document;
use tests::county;

const COUNTY_KEY: [u8; 32] = [7; 32];

async fn imported(folder: &std::path::Path, name: &str, files: &[std::path::PathBuf]) -> Result<Server> {
    let server = county::open(&folder.join(name), Some(&COUNTY_KEY)).await?;
    for file in files {
        import_file(&server, file, name, &|_, _| {}).await?;
    }
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_ledger_on_two_replicas_is_one_row_per_person() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut files = demo::generate(2012, folder.path())?;
    files.retain(|file| {
        let name = file.to_string_lossy().into_owned();
        ["00_", "01_青山镇", "02_白水镇"].iter().any(|part| name.contains(part))
    });
    files
        .sort_by_key(|file| !file.to_string_lossy().contains("名录") && !file.to_string_lossy().contains("党组织台账"));
    let a = imported(folder.path(), "office-a", &files).await?;
    let b = imported(folder.path(), "office-b", &files).await?;
    let documents = a.store.all_identities().await?;
    assert_eq!(documents.len(), b.store.all_identities().await?.len());
    let mut rows = 0;
    for (identity, heads) in &documents {
        let load = async |server: &Server| -> Result<Document> {
            let stored = server.store.document(identity.document(&server.tenant)).await?.expect("both have it");
            Ok(Document::load(stored.snapshot.as_deref(), &stored.changes)?)
        };
        let (mut ours, theirs) = (load(&a).await?, load(&b).await?);
        assert_ne!(theirs.heads(), *heads, "they were written by different actors");
        let before = ours.row_states();
        ours.merge(&theirs)?;
        assert_eq!(ours.row_states(), before, "{identity:?}: no row more, no cell else, no conflict");
        rows += before.len();
    }
    assert!(rows > 1_200, "{rows} rows were compared");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn importing_a_ledger_again_changes_nothing_and_edits_of_people_stay() -> Result<()> {
    use importer::workbook::write::{Book as Workbook, Created, Out, Style};
    let (folder, server) = county::with_branches(1).await?;
    let sheet = |name: &str, employer: &str| -> Result<std::path::PathBuf> {
        let mut book = Workbook::new("x", Created { unix_s: 0 })?;
        let mut page = book.sheet("党员花名册")?;
        let rows = [
            ["党组织编码", "姓名", "出生日期", "工作单位", "手机号码"],
            ["0001-001", "张三", "1980.5.1", employer, "13900000001"],
            ["0001-001", "李四", "1981.5.1", employer, "13900000002"],
        ];
        for (row, cells) in (0u32..).zip(rows) {
            for (column, text) in (0u16..).zip(cells) {
                page.put(row, column, &Out::Text(text.into()), Style::Plain)?;
            }
        }
        let path = folder.path().join(name);
        book.save(&path)?;
        Ok(path)
    };
    let first = import_file(&server, &sheet("one.xlsx", "一中")?, "县", &|_, _| {}).await?;
    assert_eq!((first.counts.added, first.documents), (2, 1));
    let same = import_file(&server, &sheet("one-again.xlsx", "一中")?, "县", &|_, _| {}).await?;
    assert!(same.already_imported);
    // A file with refused rows is worth another try once what it names is known.
    let early = county::open(&folder.path().join("early"), None).await?;
    let path = sheet("one-early.xlsx", "一中")?;
    let refused = import_file(&early, &path, "县", &|_, _| {}).await?;
    assert_eq!((refused.counts.added, refused.counts.refused), (0, 2));
    early.store.put_units(&tests::roster::units(&early.tenant, early.county, 1)).await?;
    let again = import_file(&early, &path, "县", &|_, _| {}).await?;
    assert_eq!((again.counts.added, again.counts.refused), (2, 0));

    // Somebody in the field corrects one row; then the office sends a ledger with another value for both.
    let url = county::serve(&server).await?;
    let unit = sync_protocol::UnitId::derive(&server.tenant, None, "0001-001");
    let device = county::device(&server, folder.path(), &url, "cadre", unit, &[sync_protocol::Book::Unit]).await?;
    device.exchange(0).await?;
    let book = sync_protocol::Identity { unit, book: sync_protocol::Book::Unit, period: server.period() };
    let rows = device.rows(&book, "members").await?;
    let zhang = rows.iter().find(|row| row.text("name") == "张三").expect("imported");
    device.save(&book, "members", zhang.id, &[("employer", "三中".into())], 0).await?;
    device.exchange(0).await?;
    let second = import_file(&server, &sheet("two.xlsx", "二中")?, "县", &|_, _| {}).await?;
    assert_eq!((second.counts.added, second.counts.changed, second.counts.unchanged), (0, 1, 1));
    let kept: Vec<_> = second.findings.iter().filter(|f| f.code == "kept-edit").collect();
    assert_eq!(kept.len(), 1);
    assert!(kept[0].message.contains("三中") && kept[0].cell == "D2", "{:?}", kept[0]);
    device.exchange(0).await?;
    let employers: Vec<String> =
        device.rows(&book, "members").await?.iter().map(|row| row.text("employer").to_owned()).collect();
    assert!(employers.contains(&"三中".to_owned()) && employers.contains(&"二中".to_owned()), "{employers:?}");
    Ok(())
}
