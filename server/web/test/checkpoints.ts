import assert from "node:assert/strict";
import { test } from "node:test";
import { few, keep } from "../src/device/checkpoints";

/** A disk that is a variable. */
function disk() {
  let stored: string[] | undefined;
  const database = {
    writes: 0,
    get: async <T>() => stored as T | undefined,
    put: async (_: string, value: unknown) => {
      database.writes += 1;
      stored = [...(value as string[])];
    },
  };
  return { database, onDisk: () => stored ?? [] };
}

test("the first and the newest checkpoint are kept, whatever comes between", async () => {
  const { database, onDisk } = disk();
  for (let number = 0; number < 1000; number++) {
    await keep(database, [`checkpoint ${number}`]);
    const kept = onDisk();
    assert.deepEqual([kept[0], kept.at(-1)], ["checkpoint 0", `checkpoint ${number}`]);
    assert.ok(kept.length <= 300);
  }
  assert.deepEqual(await few(database, true), ["checkpoint 999"]);
  const some = await few(database, false);
  assert.deepEqual([some[0], some[1], some.at(-1)], ["checkpoint 999", "checkpoint 998", "checkpoint 0"]);
  assert.ok(some.length < 12);
});

test("none is refused, and what is known or no checkpoint is not written", async () => {
  const { database, onDisk } = disk();
  assert.deepEqual([await few(database, false), await few(database, true)], [[], []]);
  await keep(database, ["b", "whatever it says", "b"]);
  await keep(database, ["b", "", "x".repeat(3000)]);
  assert.deepEqual([onDisk(), database.writes], [["b", "whatever it says"], 1]);
});
