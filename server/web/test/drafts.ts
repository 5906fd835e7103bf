import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { type Draft, Drafts } from "../src/device/drafts";
import { atFirst } from "../src/device/status";
import { NoRoom } from "../src/store/database";

function draft(id: string, more: Partial<Draft> = {}): Draft {
  return { id, unit: "u", ledger: "members", row: "new", typed: { name: id }, before: { name: "" }, seen: [], time: 1, ...more };
}

/** A device whose disk is a variable, and which can lose its key. */
function device() {
  let stored: Draft[] | undefined;
  const kept = {
    status: atFirst(),
    hasKey: true,
    hasRoom: true,
    writes: 0,
    onDisk: () => (stored ?? []).map((known) => `${known.id}=${known.typed["name"]}`),
    opened: () => ({
      get: async <T>() => stored as T | undefined,
      put: async (_: string, value: unknown) => {
        if (!kept.hasKey) throw new Error("the vault is closed");
        if (!kept.hasRoom) throw new NoRoom("full");
        kept.writes += 1;
        stored = structuredClone(value) as Draft[];
      },
    }),
  };
  return kept;
}

async function drafts(of: ReturnType<typeof device>): Promise<Drafts> {
  const made = new Drafts(of);
  await made.load();
  return made;
}

test("what is typed is on the disk a moment later, not at every key", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const phone = device();
    const own = await drafts(phone);
    for (const name of ["王", "王小", "王小明"]) own.keep(draft("a", { typed: { name } }));
    assert.deepEqual(phone.onDisk(), []);
    mock.timers.tick(300);
    await own.flush();
    assert.deepEqual([phone.onDisk(), phone.writes, phone.status.drafts], [["a=王小明"], 1, 1]);
  } finally {
    mock.timers.reset();
  }
});

test("before the key is dropped everything is written, and nothing afterwards", async () => {
  const phone = device();
  const own = await drafts(phone);
  own.keep(draft("a"));
  await own.flush();
  own.forget();
  phone.hasKey = false;
  own.keep(draft("b"));
  await own.flush();
  assert.deepEqual(phone.onDisk(), ["a=a"]);
  assert.deepEqual(own.all(), []);
  phone.hasKey = true;
  assert.deepEqual((await drafts(phone)).of({ unit: "u", period: "2012", first: "2012" }, "members", "new").map(({ id }) => id), ["a"]);
});

test("what was typed while the last state was being written is written too", async () => {
  const phone = device();
  const own = await drafts(phone);
  own.keep(draft("a", { typed: { name: "一" } }));
  const first = own.flush();
  own.keep(draft("a", { typed: { name: "二" } }));
  await Promise.all([first, own.flush()]);
  assert.deepEqual(phone.onDisk(), ["a=二"]);
});

test("a full phone is said, and tried again", async () => {
  const phone = device();
  const own = await drafts(phone);
  phone.hasRoom = false;
  own.keep(draft("a"));
  await own.flush();
  assert.equal(phone.status.isDraftUnkept, true);
  phone.hasRoom = true;
  await own.flush();
  assert.deepEqual([phone.status.isDraftUnkept, phone.onDisk()], [false, ["a=a"]]);
});

test("what was carried over is seen where it is now; thrown away there, it is again where it was typed", async () => {
  const phone = device();
  const own = await drafts(phone);
  own.keep(draft("a"));
  own.keep(draft("b", { row: "0000000000000000", origin: "a" }));
  assert.deepEqual(own.all().map(({ id }) => id), ["b"]);
  await own.drop("b");
  assert.deepEqual(own.all().map(({ id }) => id), ["a"]);
  own.keep(draft("b", { row: "0000000000000000", origin: "a" }));
  await own.drop("b", true);
  assert.deepEqual([own.all(), phone.onDisk(), phone.status.drafts], [[], [], 0]);
});
