//! `taizhang erase`: erasing what is kept of a record.

use clap::Args;
use sync_protocol::document::RowKey;

use super::{import::WHO, look::unit_with_code};
use crate::{
    Server,
    audit::By,
    erasure::{self, ErasureError, Extent, Order},
    store::sqlite::DOCUMENT_KEYS,
};

/// What to erase.
#[derive(Debug, Args)]
pub struct Erase {
    /// 单位编码 · Code of the unit
    #[arg(long)]
    unit: String,
    /// 姓名或其中几个字：只列出，不清除 · Name, or a part of it: the records are only listed
    #[arg(long, default_value = "", conflicts_with = "record")]
    name: String,
    /// 要清除的记录：台账名/编号，见列表 · What to erase: ledger/row, from the list
    #[arg(long, requires = "reason")]
    record: Option<RowKey>,
    /// 清除整条记录，含公开栏目（从统计中消失）· The whole record, with its open columns: it is counted no longer
    #[arg(long)]
    whole: bool,
    /// 理由，记入审计日志 · Why: it stands in the audit log
    #[arg(long)]
    reason: Option<String>,
    /// 决定人 · Who decides
    #[arg(long, default_value = WHO)]
    who: String,
}

/// Lists or erases.
pub async fn erase(server: &Server, arguments: Erase) -> anyhow::Result<bool> {
    let unit = unit_with_code(server, &arguments.unit).await?.id;
    let extent = Extent::of(arguments.whole);
    let Some(key) = arguments.record else {
        let records = erasure::records(server, unit, &arguments.name, extent).await?;
        for record in &records {
            let of = format!("{}/{}", record.ledger, record.row);
            println!("{of}  {} {} {}：{}", record.period, record.title, record.name, record.columns.join("、"));
        }
        println!("{} 条 records", records.len());
        return Ok(true);
    };
    let reason = arguments.reason.as_deref().unwrap_or_default();
    let order = Order { by: By::from(&*arguments.who), reason, extent };
    let erased = match Box::pin(erasure::erase(server, unit, &key, order)).await {
        Err(done @ ErasureError::Before) => {
            println!("{done}");
            return Ok(true);
        }
        erased => erased?,
    };
    if erased.documents.is_empty() {
        println!(
            "上次清除中断在清扫数据库文件之前，现已补做完毕；复查 {} 处，均无痕迹 | an earlier erasure was interrupted before it had swept the database's file: it is complete now, {} place(s) read through",
            erased.places_read, erased.places_read
        );
        return Ok(true);
    }
    let changes: usize = erased.documents.iter().map(|document| document.changes).sum();
    println!(
        "已清除：{} 份文档、{changes} 项修改的内容不再保存；复查 {} 处，均无痕迹 | erased: {} document(s), {} place(s) read through afterwards",
        erased.documents.len(),
        erased.places_read,
        erased.documents.len(),
        erased.places_read,
    );
    for device in &erased.devices {
        println!("  该设备下次同步时清除 to be erased at its next exchange: {device}");
    }
    // What was sealed cannot be opened in any backup, as long as nobody has the key.
    println!(
        "此前的数据库备份也读不出已清除的敏感信息；请运行 taizhang keys copy 文件夹，替换另存的密钥（{DOCUMENT_KEYS}），旧的须删除 | no earlier backup of the database gives erased restricted data back: run `taizhang keys copy FOLDER` to replace the copy of the keys ({DOCUMENT_KEYS}) that is kept, and delete older ones"
    );
    Ok(true)
}
