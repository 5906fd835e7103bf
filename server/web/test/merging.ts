import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { before, test } from "node:test";
import { startAutomerge } from "../src/document/automerge";
import { keyOfAddress } from "../src/document/address";
import { LedgerDocument, type Provenance, RowTaken } from "../src/document/document";
import type { Identity } from "../src/document/identity";
import type { Value } from "../src/document/value";
import { look } from "../src/views/matching";
import { marksOf, revivalOf } from "../src/views/typed";
import { members, publicKey } from "./county";

const identity: Identity = { unit: "5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a", book: "unit", period: "2012" };

before(() => {
  const require = createRequire(`${process.cwd()}/package.json`);
  return startAutomerge(readFileSync(require.resolve("@automerge/automerge/automerge.wasm")));
});

/** A phone without a signal on which a record is added, as the form adds it. */
function phone(actor: string, cells: Record<string, Value>, lacks = false): { document: LedgerDocument; row: string } {
  const document = LedgerDocument.load(actor.repeat(16), undefined, []);
  const { free: row } = look(members, publicKey, document.rows("members"), cells, () => "00000000000000zz");
  const entries = Object.entries(cells).map(([column, value]) => ({ column, value }));
  write(document, row, [...entries, ...marksOf(true, false, lacks)]);
  return { document, row };
}

function write(
  document: LedgerDocument,
  row: string,
  entries: { column: string; value: Value }[],
  provenance: Provenance = { who: "甲", how: "form" },
): void {
  const edits = entries.map(({ column, value }) => ({ address: { ledger: "members", row, column }, value }));
  document.write(identity, edits, { provenance, time: 1_335_780_000 });
}

function listed(document: LedgerDocument): [string, Value[]][] {
  const all = document.conflicts().map(({ address, values }): [string, Value[]] => [keyOfAddress(address), values.map(({ value }) => value).sort()]);
  return all.sort();
}

test("two phones that add the same person make one row, and what they disagree on is listed", () => {
  const person = { name: "赵刚", birth_date: "1970-05-01" };
  const a = phone("0a", { ...person, mobile: "13900000001" });
  const b = phone("0b", { ...person, mobile: "13900000002", joined_on: "1999-07-01" }, true);
  assert.equal(a.row, b.row);
  for (const [into, from] of [[a.document.copy(), b.document], [b.document.copy(), a.document]] as const) {
    into.merge(from);
    assert.equal(into.rows("members").size, 1);
    assert.deepEqual(listed(into), [
      [`members/${a.row}/@state`, ["draft", "submitted"]],
      [`members/${a.row}/mobile`, ["13900000001", "13900000002"]],
    ]);
    assert.equal(into.rows("members").get(a.row)?.cells["joined_on"], "1999-07-01");
  }
});

test("what one phone adds while another removes it is not gone: the removal is in dispute", () => {
  const person = { name: "赵刚", birth_date: "1970-05-01", mobile: "13900000001" };
  const a = phone("0a", person);
  const b = phone("0b", person);
  write(b.document, b.row, [{ column: "@removed", value: true }]);
  for (const [into, from] of [[a.document.copy(), b.document], [b.document.copy(), a.document]] as const) {
    into.merge(from);
    assert.deepEqual(listed(into), [[`members/${a.row}/@removed`, [false, true]]]);
  }
});

test("a record that is whole does not become a draft, and a draft that is completed does not stay one", () => {
  const said = (...of: [boolean, boolean, boolean]) => marksOf(...of).map(({ column, value }) => `${column}=${String(value)}`);
  assert.deepEqual(said(false, false, true), []);
  assert.deepEqual(said(false, false, false), []);
  assert.deepEqual(said(false, true, true), []);
  assert.deepEqual(said(false, true, false), ["@state=submitted"]);
  assert.deepEqual(said(true, false, true), ["@removed=false", "@state=draft"]);
});

test("a row that is there is never written to as a new one, removed or not", () => {
  const { document, row } = phone("0a", { name: "赵刚", birth_date: "1970-05-01" });
  const again = () => {
    const edits = [{ address: { ledger: "members", row, column: "mobile" }, value: "13900000009" }];
    document.add(identity, edits, { provenance: { who: "乙", how: "form" }, time: 1_335_780_001 });
  };
  assert.throws(again, RowTaken);
  write(document, row, [{ column: "@removed", value: true }]);
  assert.throws(again, RowTaken);
  assert.equal(document.rows("members").get(row)?.cells["mobile"], undefined);
});

test("whoever has the other's record already is asked instead", () => {
  const person = { name: "赵刚", birth_date: "1970-05-01" };
  const { document, row } = phone("0a", person);
  const { matches, free } = look(members, publicKey, document.rows("members"), person, () => "00000000000000zz");
  assert.deepEqual(matches.map((match) => [match.row.id, match.likeness]), [[row, "same"]]);
  assert.notEqual(free, row);
});

test("a record that is brought back is what it was: whole, a draft, or what no state was said of", () => {
  const person = { name: "赵刚", birth_date: "1970-05-01" };
  const revived = (removal: { column: string; value: Value }, ...earlier: Value[]) => {
    const { document, row } = phone("0a", person);
    for (const value of earlier) write(document, row, [{ column: "@state", value }]);
    write(document, row, [removal]);
    const states = document.history({ ledger: "members", row, column: "@state" });
    const entries = revivalOf(document.rows("members").get(row)!, states);
    write(document, row, entries.map(({ column, value }) => ({ column, value })));
    const { removed, cells } = document.rows("members").get(row)!;
    return [removed, cells["@state"]];
  };
  const isVoid = { column: "@state", value: "void" };
  assert.deepEqual(revived(isVoid), [false, "submitted"]);
  assert.deepEqual(revived(isVoid, "draft"), [false, "draft"]);
  assert.deepEqual(revived(isVoid, "void", "draft", "submitted"), [false, "submitted"]);
  assert.deepEqual(revived(isVoid, null), [false, null]);
  assert.deepEqual(revived({ column: "@removed", value: true }, "draft"), [false, "draft"]);
});

test("what was not for its writer to decide is told beside what stands, until somebody decides", () => {
  const { document, row } = phone("0a", { name: "赵刚", birth_date: "1970-05-01", sex: "M" });
  const addresses = ["name", "sex", "mobile"].map((column) => ({ ledger: "members", row, column }));
  const told = () => [...document.proposed(addresses)].map(([column, { value, provenance }]) => [column, value, provenance?.who]);
  write(document, row, [{ column: "sex", value: "F" }, { column: "mobile", value: "13900000001" }]);
  assert.deepEqual(told(), []);
  write(document, row, [{ column: "sex", value: "M" }], { who: "甲", how: "keep", source: "form:00" });
  write(document, row, [{ column: "mobile", value: null }], { who: "台账通", how: "keep" });
  assert.deepEqual(told(), [
    ["sex", "F", "甲"],
    ["mobile", "13900000001", "甲"],
  ]);
  // One is accepted; in the place of the other somebody has written something else.
  write(document, row, [{ column: "sex", value: "F" }], { who: "乙", how: "resolve" });
  write(document, row, [{ column: "mobile", value: "13900000002" }]);
  assert.deepEqual(told(), []);
});
