// Counts grades and checks straight from the source workbooks with SheetJS: nothing here is shared with the importer.
// node count-grades.mjs FOLDER → JSON { town: { round: { advanced, average, backward, up, keep, down }, self, supervisory, … } }
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as XLSX from "xlsx";

const folder = process.argv[2];
const grades = { advanced: ["先进", "好", "先进党组织"], average: ["一般", "一般党组织"], backward: ["后进", "软弱涣散", "较差"] };
const changes = { up: ["晋级"], keep: ["持平"], down: ["降级"] };
const rounds = { initial: ["年初"], final: ["年终"] };
const find = (table, word) => Object.keys(table).find((key) => table[key].includes(word));

const rowsOf = (file) => {
  const book = XLSX.read(readFileSync(join(folder, file)), { type: "buffer" });
  return XLSX.utils.sheet_to_json(book.Sheets[book.SheetNames[0]], { header: 1, raw: true, defval: "" });
};

const towns = {};
for (const file of readdirSync(folder).sort()) {
  const [, town, kind] = file.replace(/\.xlsx?$/, "").split("_");
  if (!kind) continue;
  const counts = (towns[town] ??= { initial: {}, final: {}, self: 0, supervisory: 0, valid: 0, satisfied: 0, due: { initial: 0, final: 0 } });
  const add = (of, key) => (of[key] = (of[key] ?? 0) + 1);
  if (kind === "分类定级") {
    for (const row of rowsOf(file)) {
      const round = find(rounds, row[3]);
      if (!round) continue;
      add(counts[round], find(grades, row[6]));
      const change = find(changes, row[8]);
      if (change) add(counts[round], change);
      if (round === "final" && ["average", "backward"].includes(find(grades, row[7]))) add(counts[round], "base");
    }
  } else if (kind === "五好评价") {
    for (const row of rowsOf(file)) {
      if (row[2] === "自查") counts.self += 1;
      else if (row[2] === "督查") counts.supervisory += 1;
      else continue;
      counts.valid += row[17];
      counts.satisfied += row[18];
    }
  } else if (kind === "党组织台账") {
    for (const row of rowsOf(file)) {
      if (row[13] !== "正常") continue;
      // Every notation of a date in these ledgers names the year first; only 2012 can lie behind a cut-off.
      const isSerial = typeof row[7] === "number" && row[7] < 100000;
      const text = isSerial ? new Date(Date.UTC(1899, 11, 30) + row[7] * 864e5).toISOString() : String(row[7]);
      const [, year, month] = text.match(/(\d{4})\D?(\d{1,2})/);
      const late = (limit) => Number(year) > 2012 || (Number(year) === 2012 && Number(month) > limit);
      if (!late(3)) counts.due.initial += 1;
      if (!late(9)) counts.due.final += 1;
    }
  }
}
console.log(JSON.stringify(towns));
