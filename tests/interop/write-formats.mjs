// Writes one ledger in every format that SheetJS writes, and as text in the encodings of Chinese offices.
// node write-formats.mjs FOLDER
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import cptable from "codepage";
import * as XLSX from "xlsx";

const folder = process.argv[2];
const rows = [
  ["青山镇基层党组织基本情况台账"],
  ["填报单位", "党组织编码", "党组织名称", "党组织类别", "所属领域", "成立时间", "正式党员数", "预备党员数", "党员总数"],
  ["青山镇", "0001", "中共青山镇石桥村支部委员会", "党支部", "农村", new Date(Date.UTC(2002, 8, 7)), 31, 5, 36],
  ["青山镇", "0002", "中共青山镇云台村支部委员会", "党支部", "农村", new Date(Date.UTC(1995, 5, 16)), 17, 3, 20],
  ["青山镇", "0003", "中共青山镇“清泉”社区支部委员会", "联合支部", "社区", new Date(Date.UTC(2010, 0, 31)), 8, 0, 8],
];
const sheet = XLSX.utils.aoa_to_sheet(rows, { UTC: true, dateNF: "yyyy-mm-dd" });
sheet["!merges"] = [{ s: { r: 0, c: 0 }, e: { r: 0, c: 8 } }];
const book = XLSX.utils.book_new();
XLSX.utils.book_append_sheet(book, sheet, "台账");
const write = (name, bookType, from = book) =>
  XLSX.writeFile(from, join(folder, name), { bookType, compression: true });
// XML formats say that a cell is a date only when it is one for SheetJS, too.
const dated = XLSX.utils.book_new();
const withDates = XLSX.utils.aoa_to_sheet(rows, { UTC: true, cellDates: true, dateNF: "yyyy-mm-dd" });
withDates["!merges"] = sheet["!merges"];
XLSX.utils.book_append_sheet(dated, withDates, "台账");
// The name says nothing: many of these are called .xls in offices.
write("a.xlsx", "xlsx");
write("b.xlsm", "xlsm");
// Beside an empty column SheetJS writes cells as Excel does, else in short records, which Excel never writes.
const sparse = XLSX.utils.book_new();
const gaps = rows.map((row) => row.flatMap((cell) => [cell, null]));
XLSX.utils.book_append_sheet(sparse, XLSX.utils.aoa_to_sheet(gaps, { UTC: true, dateNF: "yyyy-mm-dd" }), "台账");
write("c-sparse.xlsb", "xlsb", sparse);
write("c-short.xlsb", "xlsb");
write("d.xls", "biff8");
write("e-xml.xls", "xlml", dated);
write("f.ods", "ods", dated);
write("g-html.xls", "html");
write("h.csv", "csv");
write("i-utf16.txt", "txt");
const csv = XLSX.utils.sheet_to_csv(sheet);
writeFileSync(join(folder, "j-gbk.csv"), cptable.utils.encode(936, csv));
const tsv = XLSX.utils.sheet_to_csv(sheet, { FS: "\t" });
writeFileSync(join(folder, "k-gb18030.tsv"), cptable.utils.encode(54936, tsv));
writeFileSync(join(folder, "l-gbk-html.xls"), cptable.utils.encode(936, XLSX.utils.sheet_to_html(sheet).replace("utf-8", "gbk")));
console.log("{}");
