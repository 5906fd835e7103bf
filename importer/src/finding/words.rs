//! What findings say to people.

use super::FindingKind;

impl FindingKind {
    /// The sentence for people.
    #[expect(clippy::too_many_lines, reason = "one line for each kind")]
    pub fn chinese(&self) -> String {
        use FindingKind as K;
        match self {
            K::NoTable => "本表未识别出台账，未导入。如应导入，请核对表头".into(),
            K::NoLedger => "文件中没有识别出任何台账，未导入。请核对是否选对了文件，表头是否与台账一致".into(),
            K::UnknownHeader => "表头未对应到台账的任何列，本列内容作为附加信息随行保留".into(),
            K::DecidedByValues { column } => format!("按内容判断，本列作为“{column}”导入"),
            K::UnknownUnit { suggestions } if suggestions.is_empty() => {
                "名录中没有这个党组织或填报单位，本行未导入。请先导入党组织台账或改正名称".into()
            }
            K::UnknownUnit { suggestions } => {
                format!("名录中没有这个名称，本行未导入。是否为：{}?", suggestions.join("、"))
            }
            K::NoUnit => "本行没有写明党组织或填报单位，未导入。请补填".into(),
            K::OutOfScope => "不在本单位权限内（其他单位的记录，或无权填写的台账），本行未导入".into(),
            K::PrecisionLost => "号码存成了数字，末几位已丢失，未导入。请改为文本格式重新填写".into(),
            K::BadIdCard { reason } => format!("身份证号有误（{reason}），已按原样保留。请核对"),
            K::BadUscc { reason } => format!("统一社会信用代码有误（{reason}），已按原样保留。请核对"),
            K::BadDivision { reason } => format!("区划代码有误（{reason}），已按原样保留。请核对"),
            K::BadDate => "不是有效日期，未导入。请按 2012.3.1 或 2012.3 填写".into(),
            K::DoubtfulDate { taken } => format!("日期不完整或有歧义，按 {taken} 导入。请核对"),
            K::BadNumber => "不是数字，未导入".into(),
            K::DoubtfulPercent => "不能确定是比例还是百分数，未导入。请写成 85% 的形式".into(),
            K::BadBool => "应填“是”或“否”，未导入".into(),
            K::UnknownCode { allowed } => format!("不在可选项内，已按原文保留。可选：{allowed}"),
            K::BadPhone => "电话号码格式不符，已按原样保留。请核对".into(),
            K::SeveralPhones => "一格内有多个号码，取第一个，其余作为附加信息随行保留".into(),
            K::ErrorValue => "公式错误值，未导入。请修正公式".into(),
            K::Masked => "内容已脱敏，不是原值，未导入，系统中的值未动。请填写完整内容，或留空".into(),
            K::UnknownValue => "填为“不详”，作为空值处理".into(),
            K::NoKey => "缺少用于识别记录的列，每次导入都会新增一行。请补填".into(),
            K::DuplicateRow { first } => format!("与 {first} 是同一记录，本行未导入。请合并后再导入"),
            K::DoubtfulMatch { others } => format!(
                "可能是已有的记录（{}），未写入，等待确认：在“疑似重复”表中选择后再导入，或用 doubts、decide 命令处理",
                others.join("；")
            ),
            K::Remembered => "按以前确认的列对应导入".into(),
            K::BadDecision { expected } => format!("无法按此处理，未采用。请改为：{expected}"),
            K::UnitNotMoved => "在合并台账中不能改变记录所属的单位，此格修改未采用".into(),
            K::NotInClear => "本列打印时已脱敏，此格修改未采用。请在未脱敏的台账中修改".into(),
            K::RowsAbsent { count } => {
                format!("{count} 行不在表中，未删除；删除请在“删除”列填“是”")
            }
            K::Disputed { count, cells } => {
                format!("{count} 格他人也改过，两个值都保留着：{}。请在冲突清单中选定", few(cells, *count))
            }
            K::StampOutdated => "本表所依据的内容已不在系统中，按普通台账导入".into(),
            K::SettledAlready => "该冲突已经处理，未再改动".into(),
            K::KeptEdit { who, value } => format!("{who} 已在系统中改为“{value}”，保留系统中的值"),
            K::TotalDiffers { sum } => format!("合计数与各行之和（{sum}）不一致。请核对"),
            K::NoResult => "公式没有结果，此格未导入。请用 Excel 或 WPS 打开文件，保存后再导入".into(),
            K::BlankUnit { above: None } => "本行党组织一格为空，未导入。请补填".into(),
            K::BlankUnit { above: Some(above) } => {
                format!("本行党组织一格为空，未导入。如与上一行同为“{above}”，请补填、填“同上”或合并单元格")
            }
            K::UnitKept { why, .. } => format!("单位名录未按本行更改：{why}"),
            K::UnitTaken { unit } => format!("名录中没有这个名称，按“{unit}”导入。请核对"),
            K::UnitFromTitle { unit } => format!("表中没有党组织一列，按标题、填报单位或工作表名归入“{unit}”"),
            K::RowsLeftOut { rows, what } => format!("第 {rows} 行作为{what}，没有作为记录导入。如是记录，请核对"),
            K::SheetLeftOut { why } => format!("{why}，未导入。如应导入，请取消隐藏或改工作表名后再导入"),
            K::NotATable { form: true } => {
                "这是一人（一事）一张的登记表，不是一行一条的台账，未导入。请填入台账后再导入".into()
            }
            K::NotATable { form: false } => {
                "表格是横排的（表头在左侧，一列一条），未导入。请用“选择性粘贴—转置”改为一行一条后再导入".into()
            }
            K::StruckThrough => "内容有删除线，仍按原样导入。如应删除，请在系统中办理".into(),
            K::KeyUnread { column, rows } => format!(
                "表头可能是“{column}”，但不能确定，而本表缺少这一列，全表 {rows} 行未导入。请把表头改为“{column}”，或在“列对应”表中确认"
            ),
            K::KeyMissing { column, rows } => {
                format!(
                    "表中没有“{column}”一列，无法识别记录，全表 {rows} 行未导入。请补上这一列，或在“列对应”表中确认"
                )
            }
            K::KeyTwice { column, rows } => format!(
                "“{column}”一列出现两次，可能是左右并排的两张表，全表 {rows} 行未导入。请改为上下排列，或改写其中一个表头"
            ),
            K::Proposed { by } => format!("应由上级（{by}）办理，未写入，已作为建议保留，待其采纳或退回"),
            K::NameNote { name, note } => format!("姓名按“{name}”导入，“{note}”作为附加信息随行保留"),
            K::Upgraded => "15位旧身份证号没有校验码，已升为18位导入。请核对".into(),
            K::RoundNumber => "号码末三位都是 0，可能是存成数字后丢失的，已按原样导入。请核对".into(),
            K::HiddenKey => {
                "用于识别记录的列已脱敏或末几位已丢失，不能确定是哪条记录，本行未导入。请填写完整内容".into()
            }
            K::KeptValid => "号码有误，未导入，保留系统中原有的有效值。请核对后重新填写".into(),
            K::OtherPerson { others, differing } => format!(
                "识别列与已有记录（{}）相同，但{}不同，可能填错了号码，未写入，等待确认：在“疑似重复”表中选择后再导入，或用 doubts、decide 命令处理",
                others.join("；"),
                differing.join("、")
            ),
            K::Contradiction { text, .. } => format!("{text}，已按原样导入。请核对"),
            K::FutureDate { year } => format!("日期晚于 {year} 年，已按原样导入。请核对"),
            K::HeadRenamed { drawn, found } if found.is_empty() => {
                format!("本列原表头为“{drawn}”，现表头为空，整列未导入。请恢复表头后再导入")
            }
            K::HeadRenamed { drawn, found } => {
                format!("本列原表头为“{drawn}”，现为“{found}”，整列未导入。请恢复表头；如是新列，请另插入一列填写")
            }
            K::SideBySide { rows } => {
                format!("本列起为并排的另一张表（{rows} 行有内容），未导入。请把它移到下方或另一工作表")
            }
            K::NoHead { cells } => format!("本列没有表头，{cells} 格内容未导入。请补写表头"),
            K::StampUnknown => "台账通回执无法核验（不是本系统生成、已改动或属于其他年度），按普通台账导入".into(),
        }
    }

    /// The sentence in English.
    #[expect(clippy::too_many_lines, reason = "one line for each kind")]
    pub fn english(&self) -> String {
        use FindingKind as K;
        match self {
            K::NoTable => "no ledger was recognised on this sheet; nothing imported: check its header".into(),
            K::NoLedger => {
                "no ledger was recognised in the file; nothing imported: is it the right file, with a ledger's header?"
                    .into()
            }
            K::UnknownHeader => "no column has this header; its values are kept beside each row".into(),
            K::DecidedByValues { column } => format!("imported as `{column}`, judging by its values"),
            K::UnknownUnit { suggestions } => format!(
                "no such organisation or reporting unit; row not imported: import the organisations first or correct the name{}",
                if suggestions.is_empty() { String::new() } else { format!(" (perhaps {})", suggestions.join(", ")) }
            ),
            K::NoUnit => "the row names no organisation or reporting unit; not imported: fill it in".into(),
            K::OutOfScope => "the row is of a unit or book that this sender may not write to; not imported".into(),
            K::PrecisionLost => {
                "the number was stored as a number and lost its last digits; not imported: type it as text".into()
            }
            K::BadIdCard { reason } => format!("not a valid identity number ({reason}); kept as it is: check it"),
            K::BadUscc { reason } => format!("not a valid social credit code ({reason}); kept as it is: check it"),
            K::BadDivision { reason } => format!("not a valid division code ({reason}); kept as it is: check it"),
            K::BadDate => "not a date; not imported: write 2012.3.1 or 2012.3".into(),
            K::DoubtfulDate { taken } => format!("incomplete or ambiguous date, taken for {taken}: check it"),
            K::BadNumber => "not a number; not imported".into(),
            K::DoubtfulPercent => "may be a share or a percentage; not imported: write 85%".into(),
            K::BadBool => "neither yes nor no; not imported".into(),
            K::UnknownCode { allowed } => format!("not in the list; kept as text. Allowed: {allowed}"),
            K::BadPhone => "not a telephone number; kept as it is: check it".into(),
            K::SeveralPhones => {
                "several numbers in one cell; the first is used, the others are kept beside the row".into()
            }
            K::ErrorValue => "a formula error; not imported: correct the formula".into(),
            K::Masked => {
                "masked, so not the value itself; not imported, what is stored stays: type it in full or leave it empty"
                    .into()
            }
            K::UnknownValue => "marked as unknown; taken as empty".into(),
            K::NoKey => "no column that identifies the record is filled; every import adds a row: fill one in".into(),
            K::DuplicateRow { first } => format!("the same record as {first}; row not imported: join the two"),
            K::DoubtfulMatch { others } => format!(
                "may be a record that exists ({}); it waits: choose on the sheet 疑似重复 and import that, or use `doubts` and `decide`",
                others.join("; ")
            ),
            K::Remembered => "columns read as confirmed before".into(),
            K::BadDecision { expected } => format!("cannot be followed, nothing decided: write {expected}"),
            K::UnitNotMoved => "a merged ledger does not move records between units; this edit was not taken".into(),
            K::NotInClear => "the column was masked when it was printed; this edit was not taken".into(),
            K::RowsAbsent { count } => {
                format!(
                    "{count} row(s) did not come back; nothing was removed: write 是 in the column 删除 to remove a row"
                )
            }
            K::Disputed { count, cells } => format!(
                "{count} cell(s) were changed by somebody else, too, and both values are kept: {}; choose on the list of conflicts",
                few(cells, *count)
            ),
            K::StampOutdated => {
                "the state it was drawn from is not known any more; imported as an ordinary ledger".into()
            }
            K::SettledAlready => "the conflict was settled already; nothing was changed".into(),
            K::KeptEdit { who, value } => format!("{who} has changed this to `{value}` since; that value stays"),
            K::TotalDiffers { sum } => format!("the total differs from the sum of the rows ({sum}): check it"),
            K::NoResult => {
                "a formula without its result; the cell was not imported: open the file in Excel or WPS and save it first"
                    .into()
            }
            K::BlankUnit { above: None } => "the row's organisation is blank; not imported: fill it in".into(),
            K::BlankUnit { above: Some(above) } => format!(
                "the row's organisation is blank; not imported: if it is `{above}` as above, fill it in, write 同上 or merge the cells"
            ),
            K::UnitKept { why_en, .. } => format!("the register of units was not changed by this row: {why_en}"),
            K::UnitTaken { unit } => format!("no such organisation; imported as `{unit}`: check it"),
            K::UnitFromTitle { unit } => {
                format!("no column names the organisation; by the title, the line above or the sheet's name it is `{unit}`")
            }
            K::RowsLeftOut { rows, .. } => {
                format!("row(s) {rows} were taken for totals, signatures, notes or examples and not imported: check them")
            }
            K::SheetLeftOut { .. } => {
                "a hidden sheet, or one of examples or instructions; not imported: unhide or rename it if it should be".into()
            }
            K::NotATable { form: true } => {
                "a form about one record, not a ledger of rows; not imported: fill in the ledger".into()
            }
            K::NotATable { form: false } => {
                "the table stands on its side (one record a column); not imported: transpose it".into()
            }
            K::StruckThrough => "struck through, and imported all the same: remove the record here if it should go".into(),
            K::KeyUnread { column, rows } => format!(
                "may be the column `{column}`, which the table lacks; none of its {rows} row(s) was imported: correct the header or confirm it on the sheet 列对应"
            ),
            K::KeyMissing { column, rows } => format!(
                "no column `{column}`; none of the {rows} row(s) was imported: add it or confirm the columns on the sheet 列对应"
            ),
            K::KeyTwice { column, rows } => format!(
                "the column `{column}` stands there twice, perhaps two tables side by side; none of the {rows} row(s) was imported: put them below each other or change one header"
            ),
            K::Proposed { by } => {
                format!("not yours to decide ({by}); not written, kept as a proposal to be accepted or rejected")
            }
            K::NameNote { name, note } => {
                format!("taken for the name `{name}`; the note `{note}` is kept beside the row")
            }
            K::Upgraded => {
                "an old identity number of 15 digits has no check character; taken as 18 digits: check it".into()
            }
            K::RoundNumber => {
                "ends in three zeros, as a spreadsheet leaves a long number; taken as it is: check it".into()
            }
            K::HiddenKey => {
                "the columns that identify the record are masked or cut; row not imported: type them in full".into()
            }
            K::KeptValid => "not a valid number; not imported, the valid one that is stored stays: check it".into(),
            K::OtherPerson { others, differing } => format!(
                "has the key of a record that exists ({}) but another {}, perhaps a mistyped number; it waits: choose on the sheet 疑似重复 and import that, or use `doubts` and `decide`",
                others.join("; "),
                differing.join(", ")
            ),
            K::Contradiction { text_en, .. } => format!("{text_en}; taken as it is: check it"),
            K::FutureDate { year } => format!("later than {year}; taken as it is: check it"),
            K::HeadRenamed { drawn, found } => format!(
                "this column was drawn under the head `{drawn}` and came back under `{found}`; it was not imported: restore the head, or put a new column beside it"
            ),
            K::SideBySide { rows } => format!(
                "another table begins here, beside the first ({rows} row(s) of it); not imported: move it below, or onto a sheet of its own"
            ),
            K::NoHead { cells } => format!("a column without a head; {cells} cell(s) not imported: write its head"),
            K::StampUnknown => {
                "the stamp cannot be verified, or is of another period; imported as an ordinary ledger".into()
            }
        }
    }
}

/// Some of what there is more of.
fn few(some: &[String], count: usize) -> String {
    format!("{}{}", some.join("、"), if some.len() < count { "……" } else { "" })
}
