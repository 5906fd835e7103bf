import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { before, test } from "node:test";
import { startAutomerge } from "../src/document/automerge";
import { keyOfAddress } from "../src/document/address";
import { LedgerDocument } from "../src/document/document";
import type { Identity } from "../src/document/identity";
import type { Value } from "../src/document/value";
import { look } from "../src/views/matching";
import { members, publicKey } from "./county";

const identity: Identity = { unit: "5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a", book: "unit", period: "2012" };

before(() => {
  const require = createRequire(`${process.cwd()}/package.json`);
  return startAutomerge(readFileSync(require.resolve("@automerge/automerge/automerge.wasm")));
});

/** A phone without a signal on which a record is added, as the form adds it. */
function phone(actor: string, cells: Record<string, Value>): { document: LedgerDocument; row: string } {
  const document = LedgerDocument.load(actor.repeat(16), undefined, []);
  const { free: row } = look(members, publicKey, document.rows("members"), cells, () => "00000000000000zz");
  const edits = Object.entries(cells).map(([column, value]) => ({ address: { ledger: "members", row, column }, value }));
  document.write(identity, edits, { provenance: { who: actor, how: "form" }, time: 1_335_780_000 });
  return { document, row };
}

test("two phones that add the same person make one row, and what they disagree on is listed", () => {
  const person = { name: "赵刚", birth_date: "1970-05-01" };
  const a = phone("0a", { ...person, mobile: "13900000001", "@state": "submitted" });
  const b = phone("0b", { ...person, mobile: "13900000002", joined_on: "1999-07-01", "@state": "draft" });
  assert.equal(a.row, b.row);
  for (const [into, from] of [[a.document.copy(), b.document], [b.document.copy(), a.document]] as const) {
    into.merge(from);
    assert.equal(into.rows("members").size, 1);
    const listed = into.conflicts().map(({ address, values }) => [keyOfAddress(address), values.map(({ value }) => value).sort()]);
    assert.deepEqual(listed.sort(), [
      [`members/${a.row}/@state`, ["draft", "submitted"]],
      [`members/${a.row}/mobile`, ["13900000001", "13900000002"]],
    ]);
    assert.equal(into.rows("members").get(a.row)?.cells["joined_on"], "1999-07-01");
  }
});

test("whoever has the other's record already is asked instead", () => {
  const person = { name: "赵刚", birth_date: "1970-05-01" };
  const { document, row } = phone("0a", person);
  const { matches, free } = look(members, publicKey, document.rows("members"), person, () => "00000000000000zz");
  assert.deepEqual(matches.map((match) => [match.row.id, match.likeness]), [[row, "same"]]);
  assert.notEqual(free, row);
});
