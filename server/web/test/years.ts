import assert from "node:assert/strict";
import { test } from "node:test";
import { Catalogue } from "../src/catalogue/catalogue";
import type { Node } from "../src/catalogue/expression";
import { type Draft, Drafts } from "../src/device/drafts";
import { atFirst } from "../src/device/status";
import { brokenBy } from "../src/views/records";
import { catalogue, members } from "./county";

const years = [
  { period: "2012", is_default: false, is_sealed: true, variables: { campaign_year: "2012", cutoff: "2012-03-31" } },
  { period: "2013", is_default: true, is_sealed: false, variables: { campaign_year: "2013", cutoff: "2013-03-31" } },
];

test("a record of a year is judged by the dates of that year", () => {
  const check: Node = { compare: ["at_most", { column: "joined_on" }, { variable: "cutoff" }] };
  const cutoff = { ...catalogue.data.rules[0]!, check };
  const both = new Catalogue({ ...catalogue.data, rules: [cutoff], years });
  const broken = (period: string) => brokenBy(both, members, { joined_on: "2013-01-15" }, () => undefined, period).length;
  assert.deepEqual([broken("2012"), broken("2013")], [1, 0]);
  assert.deepEqual([both.year("2012")?.is_sealed, both.year("2014")], [true, undefined]);
});

test("what was not saved of a record of 2012 is not put into the record of 2013", async () => {
  const draft = (id: string, period?: string): Draft => {
    const of = { id, unit: "u", ledger: "members", row: "r", typed: {}, before: {}, seen: [], time: 1 };
    return period === undefined ? of : { ...of, period };
  };
  const stored = [draft("old"), draft("a", "2012"), draft("b", "2013")];
  const drafts = new Drafts({
    status: atFirst(),
    opened: () => ({ get: async <T>() => stored as T, put: async () => undefined }),
  });
  await drafts.load();
  const of = (period: string) => drafts.of({ unit: "u", period, first: "2012" }, "members", "r").map(({ id }) => id);
  assert.deepEqual([of("2012"), of("2013")], [["old", "a"], ["b"]]);
});
