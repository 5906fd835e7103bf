import assert from "node:assert/strict";
import { test } from "node:test";
import { Offline, Refused, Transport, Unavailable } from "../src/device/transport";

/** What an exchange ends with where the server answers like this. */
async function ends(status: number, body: string): Promise<unknown> {
  const { fetch } = globalThis;
  globalThis.fetch = async () => new Response(body, { status });
  try {
    return await new Transport("t").exchange(new Uint8Array([1])).catch((error: unknown) => error);
  } finally {
    globalThis.fetch = fetch;
  }
}

test("a server that cannot save says why; a proxy without a server is no line", async () => {
  const full = await ends(503, JSON.stringify({ detail: "磁盘已满" }));
  assert.ok(full instanceof Unavailable);
  assert.equal(full.message, "磁盘已满");
  for (const status of [502, 503, 504]) assert.ok((await ends(status, "<html>Bad gateway</html>")) instanceof Offline, String(status));
  assert.ok((await ends(403, JSON.stringify({ detail: "已停用" }))) instanceof Refused);
  assert.ok((await ends(200, "ok")) instanceof Uint8Array);
});
