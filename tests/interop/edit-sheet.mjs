// node edit-sheet.mjs FILE OUT SPEC: a merged ledger as an office may treat it, by SheetJS. SPEC is JSON:
//   { "sheet": NAME, "set": [[ROW NAME, HEADER, VALUE]], "sort": HEADER, "keep": [ROW NAME], "dropFirstColumn": true,
//     "insertColumn": [AT, HEADER], "add": [{ HEADER: VALUE }], "decide": [[COLUMN TITLE, WORD]], "rename": [[HEADER, OTHER]],
//     "by": HEADER of what rows are named by }
import { readFileSync, writeFileSync } from "node:fs";
import * as XLSX from "xlsx";

const [file, out, spec] = process.argv.slice(2);
const { sheet, set = [], sort, keep, dropFirstColumn, insertColumn, add = [], decide = [], rename = [], by = "姓名" } = JSON.parse(spec);
const book = XLSX.read(readFileSync(file), { cellStyles: true });
const read = (name) => XLSX.utils.sheet_to_json(book.Sheets[name], { header: 1, raw: true, defval: null });
const write = (name, rows) => {
  const page = XLSX.utils.aoa_to_sheet(rows);
  book.Sheets[name] = page;
};

const rows = read(sheet);
const at = rows.findIndex((row) => row.includes("序号"));
const header = rows[at];
const column = (title) => {
  const found = header.indexOf(title);
  if (found < 0) throw new Error(`no column ${title}`);
  return found;
};
let body = rows.slice(at + 2);
for (const [name, title, value] of set) {
  const row = body.find((row) => row[column(by)] === name);
  if (!row) throw new Error(`no row ${name}`);
  row[column(title)] = value;
}
if (keep) body = body.filter((row) => keep.includes(row[column(by)]));
if (sort) body.sort((a, b) => String(b[column(sort)]).localeCompare(String(a[column(sort)])));
for (const record of add) {
  const row = header.map((title) => record[title] ?? null);
  body.splice(1, 0, row);
}
for (const [title, other] of rename) header[column(title)] = other;
let all = [...rows.slice(0, at + 2), ...body];
if (insertColumn) all = all.map((row, index) => row.toSpliced(insertColumn[0], 0, index === at ? insertColumn[1] : null));
if (dropFirstColumn) all = all.map((row) => row.slice(1));
write(sheet, all);
if (decide.length > 0) {
  const lines = read("冲突清单");
  const titles = lines[1];
  for (const [title, word] of decide) {
    const line = lines.slice(2).find((row) => row[titles.indexOf("列")] === title);
    if (!line) throw new Error(`no conflict of ${title}`);
    line[titles.indexOf("处理")] = word;
  }
  write("冲突清单", lines);
}
writeFileSync(out, XLSX.write(book, { type: "buffer", bookType: out.split(".").pop() === "xls" ? "biff8" : "xlsx" }));
console.log("{}");
