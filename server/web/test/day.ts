import assert from "node:assert/strict";
import { test } from "node:test";
import { dayOf } from "../src/text/day";
import { brokenBy } from "../src/views/records";
import { catalogue, members } from "./county";

function inZone(zone: string, work: () => void): void {
  const before = process.env["TZ"];
  process.env["TZ"] = zone;
  try {
    work();
  } finally {
    if (before === undefined) delete process.env["TZ"];
    else process.env["TZ"] = before;
  }
}

test("today is the day where the phone is, also before eight in the morning", () => {
  for (const [zone, instant, day] of [
    ["Asia/Shanghai", "2012-11-29T16:00:00Z", "2012-11-30"],
    ["Asia/Shanghai", "2012-11-29T23:59:59Z", "2012-11-30"],
    ["Asia/Shanghai", "2012-11-30T15:59:59Z", "2012-11-30"],
    ["Asia/Urumqi", "2012-12-31T18:00:00Z", "2013-01-01"],
    ["UTC", "2012-11-29T16:00:00Z", "2012-11-29"],
  ] as const) {
    inZone(zone, () => assert.equal(dayOf(new Date(instant)), day, `${zone} ${instant}`));
  }
});

test("a rule about today means the phone's own day", () => {
  const broken = (joined: string, instant: string) =>
    brokenBy(catalogue, members, { name: "张三", joined_on: joined }, () => undefined, "2012", new Date(instant)).map(({ id }) => id);
  inZone("Asia/Shanghai", () => {
    assert.deepEqual(broken("2012-11-30", "2012-11-29T23:00:00Z"), []);
    assert.deepEqual(broken("2012-12-01", "2012-11-29T23:00:00Z"), ["not-in-the-future"]);
  });
});
