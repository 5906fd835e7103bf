import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Ledger } from "../src/catalogue/catalogue";
import type { Row } from "../src/document/document";
import type { Value } from "../src/document/value";
import { look, type Own } from "../src/views/matching";
import { attendance, grading, members, named, publicKey, row, table } from "./county";

type Cells = Record<string, Value>;
const RANDOM = "00000000000000zz";

function found(ledger: Ledger, rows: Row[], typed: Cells, own?: Own): string[] {
  const { matches } = look(ledger, publicKey, table(...rows), typed, () => RANDOM, own);
  return matches.map((match) => `${match.likeness} ${match.row.id}${match.mayBeAnother ? " or another" : ""}`);
}

function free(ledger: Ledger, rows: Row[], typed: Cells): string {
  return look(ledger, publicKey, table(...rows), typed, () => RANDOM).free;
}

const zhang = { name: "张三", birth_date: "1950-11-10", joined_on: "1980-01-01", mobile: "13900000001" };
/** By import: its row is named by the identity number, which no phone sees. */
const imported = row("imported00000000", zhang);

describe("a record that is added", () => {
  const cases: [string, Ledger, Row[], Cells, string[]][] = [
    ["nobody like it", members, [imported], { name: "李四", birth_date: "1980-03" }, []],
    ["its own key", members, [row(named(members, zhang), zhang)], zhang, [`same ${named(members, zhang)} or another`]],
    ["the key of an imported row", members, [imported], { name: "张三", birth_date: "1950-11-10" }, ["same imported00000000 or another"]],
    ["the key in other letters", members, [imported], { name: "张　三", birth_date: "1950-11-10" }, ["same imported00000000 or another"]],
    ["a weaker key that the stronger one contradicts", members, [imported], { ...zhang, birth_date: "1951-01-01" }, ["likely imported00000000 or another"]],
    ["a birth date that says less", members, [imported], { name: "张三", birth_date: "1950-11" }, ["likely imported00000000 or another"]],
    ["a birth year says too little", members, [imported], { name: "张三", birth_date: "1950" }, []],
    ["name and telephone", members, [imported], { name: "张三", joined_on: "1999-01-01", mobile: "13900000001" }, ["likely imported00000000 or another"]],
    ["the name alone, without any key", members, [imported], { name: "张三" }, ["likely imported00000000 or another"]],
    ["the telephone alone", members, [imported], { name: "李四", mobile: "13900000001" }, []],
    ["another birth date", members, [imported], { name: "张三", birth_date: "1971-02-02" }, []],
    ["another session", attendance, [row("a000000000000000", { session_ref: "冬训班", name: "何娟", mobile: "1" })], { session_ref: "夏训班", name: "何娟", mobile: "1" }, []],
    ["the same session", attendance, [row("a000000000000000", { session_ref: "冬训班", name: "何娟" })], { session_ref: "冬训班", name: "何娟" }, ["same a000000000000000 or another"]],
    ["a key without a person", grading, [row(named(grading, { round: "first" }), { round: "first" })], { round: "first" }, [`same ${named(grading, { round: "first" })}`]],
    ["a removed row", members, [row("removed000000000", zhang, true)], zhang, ["same removed000000000 or another"]],
    ["a void row", members, [row("removed000000000", { ...zhang, "@state": "void" })], zhang, ["same removed000000000 or another"]],
    [
      "those that stand come first",
      members,
      [row("a000000000000000", zhang, true), row("b000000000000000", zhang)],
      zhang,
      ["same b000000000000000 or another", "same a000000000000000 or another"],
    ],
    ["nobody is asked about a removed one beside one that stands", members, [row("a000000000000000", zhang, true), imported], { name: "张三" }, ["likely imported00000000 or another"]],
    // The row was renamed since: whoever it is now, it is not to be written over.
    ["the id of a row that was renamed", members, [row(named(members, zhang), { ...zhang, name: "王五" })], zhang, [`likely ${named(members, zhang)} or another`]],
    ["the id of a row that says nothing", members, [row(named(members, zhang), { "@photo/00": true })], zhang, [`same ${named(members, zhang)} or another`]],
  ];
  for (const [what, ledger, rows, typed, expected] of cases) {
    test(what, () => assert.deepEqual(found(ledger, rows, typed), expected));
  }

  test("never gets a row that somebody has", () => {
    assert.equal(free(members, [], zhang), named(members, zhang));
    assert.equal(free(members, [imported], zhang), named(members, zhang));
    assert.equal(free(members, [row(named(members, zhang), zhang)], zhang), RANDOM);
    assert.equal(free(members, [row(named(members, zhang), zhang, true)], zhang), RANDOM);
    assert.equal(free(members, [], { sex: "M" }), RANDOM);
  });
});

describe("a record that is edited", () => {
  const own = { id: "own0000000000000", before: { name: "张山", birth_date: "1950-11-10" } };
  const rows = [row(own.id, own.before), imported];

  test("into the key of another asks", () => {
    assert.deepEqual(found(members, rows, { name: "张三", birth_date: "1950-11-10" }, own), ["same imported00000000 or another"]);
  });
  test("elsewhere asks nothing", () => {
    assert.deepEqual(found(members, rows, { ...own.before, mobile: "13900000002" }, own), []);
  });
  test("and was like another before is not asked about again", () => {
    const twin = { id: own.id, before: { name: "张三", birth_date: "1950-11-10" } };
    assert.deepEqual(found(members, rows, { ...twin.before, mobile: "13900000002" }, twin), []);
  });
  test("from a draft that had no key into the key of another asks", () => {
    const draft = { id: own.id, before: { name: "张三", birth_date: "1950-11" } };
    assert.deepEqual(found(members, rows, { name: "张三", birth_date: "1950-11-10" }, draft), ["same imported00000000 or another"]);
  });
});
