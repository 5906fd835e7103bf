import assert from "node:assert/strict";
import { test } from "node:test";
import { differences, entered, legible } from "../src/views/typed";
import { catalogue, members } from "./county";

const fields = catalogue.fields(members);
const stored = { name: "张三", birth_date: "1950-11-10", mobile: "13900000001", "skills/a": true, is_poor: true };
const told = (typed: Record<string, string>) =>
  differences(fields, typed, {}, stored).map(({ field, there, typed: text }) => [field.key, there, text]);

test("what means the same is no difference, however it was typed", () => {
  assert.deepEqual(told({ name: "张三", birth_date: "1950年11月10日", mobile: "139 0000 0001", skills: "a", is_poor: "yes" }), []);
});

test("what differs is told beside what is there", () => {
  assert.deepEqual(told({ name: "张三", mobile: "13900000002", skills: "b a", sex: "M", is_poor: "no" }), [
    ["sex", "", "M"],
    ["mobile", "13900000001", "13900000002"],
    ["skills", "a", "b a"],
    ["is_poor", "yes", "no"],
  ]);
});

test("fields that nobody touched differ from nothing", () => {
  assert.deepEqual(differences(fields, { name: "张三", mobile: "" }, { name: "张三", mobile: "" }, stored), []);
});

test("a ledger of which every key is restricted names nothing on a phone", () => {
  const restricted = members.columns.map((column) => ({ ...column, sensitivity: column.key === "name" ? ("S3" as const) : column.sensitivity }));
  const cases: [string[][], boolean][] = [
    [[["id_card"], ["name", "joined_on"]], false],
    [[["id_card"], ["birth_date"]], true],
  ];
  for (const [keys, isNamed] of cases) assert.equal(catalogue.isNamedHere({ ...members, columns: restricted, keys }), isNamed);
  assert.equal(catalogue.isNamedHere(members), true);
});

test("a set is written member by member, and a fault is said of its field", () => {
  const { edits, all, faults } = entered(fields, { skills: "b", mobile: "139" }, { skills: "a", mobile: "" }, stored);
  assert.deepEqual(edits, [
    { column: "skills", member: "b", value: true },
    { column: "skills", member: "a", value: false },
  ]);
  assert.deepEqual([all["skills/a"], all["skills/b"]], [false, true]);
  assert.deepEqual(Object.keys(faults), ["mobile"]);
});

test("codes are read by their names", () => {
  const field = (key: string) => fields.find((known) => known.key === key)!;
  assert.equal(legible(catalogue, field("skills"), "a b"), "水电、木工");
  assert.equal(legible(catalogue, field("sex"), "M"), "男");
  assert.equal(legible(catalogue, field("is_poor"), "yes"), "是");
});
