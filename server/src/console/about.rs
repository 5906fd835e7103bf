//! `taizhang about`: what is kept about one person.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{import::WHO, look::unit_with_code};
use crate::{
    Server,
    about::{self, RecordAbout, Whom},
    audit::{self, Event},
};

/// Whom it is about, and where it goes.
#[derive(Debug, Args)]
pub struct About {
    /// 姓名，全名 · Their name, in full
    #[arg(long)]
    name: String,
    /// 身份证号，排除同名的其他人 · Their identity number: leaves out others of that name
    #[arg(long)]
    id_card: Option<String>,
    /// 单位编码，默认全县 · Code of the unit; the county if absent
    #[arg(long)]
    unit: Option<String>,
    /// 写成工作簿交给本人；不写则只列出记录 · A workbook for the person; if absent the records are only listed
    #[arg(long)]
    to: Option<PathBuf>,
    /// 经办人 · Who does it
    #[arg(long, default_value = WHO)]
    who: String,
}

/// Lists the records, or writes all that they say.
pub async fn about(server: &Server, arguments: About) -> anyhow::Result<bool> {
    let About { name, id_card, unit, to, who } = arguments;
    let top = match unit {
        Some(code) => unit_with_code(server, &code).await?.id,
        None => server.county,
    };
    let whom = Whom { name: name.trim().to_owned(), id_card: id_card.map(|number| number.trim().to_owned()) };
    anyhow::ensure!(!whom.name.is_empty(), "请写姓名 | a name is needed");
    if let Some(to) = to.as_deref().filter(|to| to.exists()) {
        anyhow::bail!(
            "已有 {}，没有覆盖；请换一个名字 | is there already and was left alone: choose another name",
            to.display()
        );
    }
    let records = about::records(server, top, &whom).await?;
    for record in &records {
        println!("{}", line(server, record));
    }
    println!("{} 条 records", records.len());
    if whom.id_card.is_none() && records.iter().any(|record| !record.is_certain) {
        println!("同名的人可能在内：请加 --id-card 身份证号 | others of that name may be among them: add --id-card");
    }
    let Some(to) = to else { return Ok(true) };
    anyhow::ensure!(
        !records.is_empty(),
        "没有此人的记录，没有写文件 | no record names this person, nothing was written"
    );
    let (bytes, values) = Box::pin(about::workbook(server, &whom, &records)).await?;
    // Who it was about is nobody's business who reads the log.
    let documents: Vec<String> =
        records.iter().map(|record| format!("{}/{}/{}", record.period, record.ledger, record.row.id)).collect();
    let detail = json!({ "records": documents, "values": values });
    audit::note_console(server, &who, Event::AboutRead, Some(top), detail).await?;
    super::write_whole(&to, &bytes)?;
    println!("已写入 {}：{values} 处内容 | {values} value(s) written", to.display());
    Ok(true)
}

fn line(server: &Server, record: &RecordAbout) -> String {
    let title = server.catalogue.ledger(&record.ledger).map_or(record.ledger.as_str(), |ledger| &ledger.title);
    let removed = if record.row.removed { "（已删除 removed）" } else { "" };
    let certain = if record.is_certain { "" } else { "（按姓名 by name）" };
    format!(
        "{}/{}  {} {} {title} {}{certain}{removed}",
        record.ledger, record.row.id, record.period, record.unit_name, record.name
    )
}
