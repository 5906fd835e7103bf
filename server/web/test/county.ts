// A synthetic ledger of people, and one of sessions, as the catalogue declares such.
import { Catalogue, type Column, type Ledger } from "../src/catalogue/catalogue";
import type { Row } from "../src/document/document";
import { rowOf } from "../src/document/row-id";
import type { Value } from "../src/document/value";

function column(key: string, type: string, more: Partial<Column> = {}): Column {
  return { key, title: key, type, required: "optional", sensitivity: "S1", future: true, ...more };
}

const base = { title_en: "", of: "organisation", unit_columns: [], sort: [], book: "unit" } as const;

export const members: Ledger = {
  ...base,
  id: "members",
  title: "党员花名册",
  keeps_rows: true,
  keys: [["id_card"], ["name", "birth_date"], ["name", "joined_on"]],
  columns: [
    column("name", "person", { required: "mandatory" }),
    column("sex", "enum", { list: "sex" }),
    column("id_card", "id_card", { sensitivity: "S3" }),
    column("birth_date", "pdate"),
    column("joined_on", "date"),
    column("mobile", "phone"),
    column("skills", "multi", { list: "skills" }),
    column("is_poor", "bool"),
  ],
};

export const attendance: Ledger = {
  ...base,
  id: "training-attendance",
  title: "参训人员",
  keeps_rows: false,
  keys: [
    ["session_ref", "id_card"],
    ["session_ref", "name"],
  ],
  columns: [
    column("session_ref", "ref"),
    column("name", "person"),
    column("id_card", "id_card", { sensitivity: "S3" }),
    column("mobile", "phone"),
  ],
};

export const grading: Ledger = {
  ...base,
  id: "grading",
  title: "分类定级",
  keeps_rows: false,
  keys: [["round"]],
  columns: [column("round", "enum"), column("grade", "enum")],
};

export const publicKey = new Uint8Array(32).fill(7);

export const catalogue = new Catalogue({
  public_key: "07".repeat(32),
  ledgers: [members, attendance, grading],
  lists: { sex: [["M", "男"], ["F", "女"]], skills: [["a", "水电"], ["b", "木工"]] },
  workflows: [],
  rules: [
    {
      id: "not-in-the-future",
      ledger: "members",
      weight: "E",
      when: null,
      check: { compare: ["at_most", { column: "joined_on" }, { variable: "statistics_date" }] },
      text: "入党日期不能晚于今天",
      text_en: "",
    },
  ],
  variables: {},
});

type Cells = Record<string, Value>;

export function row(id: string, cells: Cells, removed = false): Row {
  return { id, cells, removed };
}

/** The row that a phone gives a record of these cells. */
export function named(ledger: Ledger, cells: Cells): string {
  const id = rowOf(ledger, publicKey, (key) => cells[key]);
  if (id === undefined) throw new Error("no key");
  return id;
}

export function table(...rows: Row[]): Map<string, Row> {
  return new Map(rows.map((known) => [known.id, known]));
}
