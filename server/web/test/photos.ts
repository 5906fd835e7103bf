import assert from "node:assert/strict";
import { test } from "node:test";
import { Photos } from "../src/device/photos";
import { atFirst } from "../src/device/status";
import { Offline, Refused, type Transport } from "../src/device/transport";
import type { Database, StoredPhoto } from "../src/store/database";

function phone(...hashes: string[]) {
  const stored = new Map<string, StoredPhoto>();
  for (const hash of hashes) stored.set(hash, { hash, unit: "u", bytes: new Uint8Array([1]), isSent: false });
  const database = {
    photo: async (hash: string) => stored.get(hash),
    unsentPhotos: async () => [...stored.values()].filter((photo) => !photo.isSent),
    putPhoto: async (photo: StoredPhoto) => void stored.set(photo.hash, photo),
  };
  const status = atFirst();
  const device = { status, transport: undefined, opened: () => database as unknown as Database, save: async () => true };
  return { photos: new Photos(device), status, sent: () => [...stored.values()].filter((photo) => photo.isSent).map(({ hash }) => hash) };
}

/** A server that answers some photos with a status. */
function server(answers: Record<string, number>): { transport: Transport; asked: string[] } {
  const asked: string[] = [];
  const sendPhoto = async (_: string, hash: string) => {
    asked.push(hash);
    const status = answers[hash];
    if (status === 0) throw new Offline("");
    if (status !== undefined) throw new Refused(status, `照片太大（${status}）`);
  };
  return { transport: { sendPhoto } as unknown as Transport, asked };
}

test("a photo that is refused stands in the way of nothing, and stays with its reason", async () => {
  const { photos, status, sent } = phone("a", "b", "c");
  const first = server({ a: 413 });
  await photos.send(first.transport);
  assert.deepEqual([sent(), status.photos, status.photosRefused], [["b", "c"], 0, 1]);
  assert.deepEqual((await photos.refused()).map(({ hash, refusal }) => [hash, refusal]), [["a", "照片太大（413）"]]);
  const second = server({});
  await photos.send(second.transport);
  assert.deepEqual(second.asked, [], "it is not sent again and again");
  await photos.again("a");
  await photos.send(second.transport);
  assert.deepEqual([sent().sort(), status.photosRefused], [["a", "b", "c"], 0]);
});

test("what the server cannot take now waits; without a line the exchange ends", async () => {
  const { photos, status, sent } = phone("a", "b", "c");
  await photos.send(server({ a: 500, b: 429 }).transport);
  assert.deepEqual([sent(), status.photosRefused], [["c"], 0]);
  await assert.rejects(photos.send(server({ a: 0 }).transport), Offline);
});
