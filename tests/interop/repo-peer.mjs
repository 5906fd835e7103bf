// A peer with the official automerge-repo client. node repo-peer.mjs URL; one JSON command a line in, one JSON answer a line out:
//   {"create": [{"id", "cells": {…}}]}   makes the documents and waits until the server has them
//   {"fetch": [id…]}                     waits until it has them, fifty at a time, or says which are unavailable
//   {"edit": {"ids": […], "key", "value", "rows": […]}}   writes one cell of a row of each document
//   {"settle": {"ids": […], "key", "rows": […]}}   writes to one cell of a row of each document what it says already
//   {"erase": {"id", "key"}}             deletes a key
//   {"heads": [id…]}                     the heads it sees
//   {"say": {"id", "text"}}, {"heard": 1}   passing messages
//   {"traffic": 1}                       messages and bytes since it has connected, or the last time this was asked
//   {"reconnect": 1}                     loses its connection and waits until all is quiet again
import { createInterface } from "node:readline";
import * as A from "@automerge/automerge";
import { Repo } from "@automerge/automerge-repo";
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket";

const traffic = { sent: 0, sentBytes: 0, received: 0, receivedBytes: 0 };
class Adapter extends WebSocketClientAdapter {
  send(message) {
    const socket = this.socket;
    if (socket && !socket.counted) {
      socket.counted = true;
      const send = socket.send.bind(socket);
      socket.send = (bytes) => {
        traffic.sent += 1;
        traffic.sentBytes += bytes.byteLength;
        send(bytes);
      };
    }
    super.send(message);
  }
  receiveMessage(bytes) {
    traffic.received += 1;
    traffic.receivedBytes += bytes.byteLength;
    super.receiveMessage(bytes);
  }
}

const [url] = process.argv.slice(2);
const adapter = new Adapter(url, 500);
const repo = new Repo({ network: [adapter], sharePolicy: async () => true });
const handles = new Map();
const heard = [];
await new Promise((resolve) => repo.networkSubsystem.once("peer", resolve));
const server = repo.peers[0];
const storage = repo.getStorageIdOfPeer(server);

const own = (id, handle) => {
  if (!handles.has(id)) handle.on("ephemeral-message", ({ senderId, message }) => heard.push({ senderId, message }));
  handles.set(id, handle);
};
const same = (a, b) => a && b && a.length === b.length && [...a].sort().every((head, at) => head === [...b].sort()[at]);
const isThere = (handle) => same(handle.heads(), handle.getSyncInfo(storage)?.lastHeads);
const until = async (done, seconds = 90) => {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
    if (done()) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
};
const text = (value) => (typeof value === "string" ? new A.ImmutableString(value) : value);

const commands = {
  async create(documents) {
    const made = documents.map(({ id, cells }) => {
      const document = A.change(A.init(), (doc) => {
        for (const [key, value] of Object.entries(cells)) doc[key] = text(value);
      });
      return { id, bytes: A.save(document) };
    });
    for (const { id, bytes } of made) own(id, repo.import(bytes, { docId: id }));
    // Nothing of it has been sent so far: what came before is this client's own work.
    const begin = performance.now();
    let missing = made;
    const arrived = await until(() => (missing = missing.filter(({ id }) => !isThere(handles.get(id)))).length === 0);
    return { arrived, ms: performance.now() - begin };
  },
  async fetch(ids) {
    const begin = performance.now();
    const unavailable = [];
    const find = (id) => repo.find(id).then((handle) => own(id, handle), () => unavailable.push(id));
    for (let at = 0; at < ids.length; at += 50) await Promise.all(ids.slice(at, at + 50).map(find));
    return { unavailable, ms: performance.now() - begin };
  },
  async edit({ ids, key, value, rows }) {
    let at = 0;
    for (const id of ids) {
      const row = rows[at++ % rows.length];
      handles.get(id).change((doc) => (doc[`members/${row}/${key}`] = text(value)));
      if (at % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return {};
  },
  async settle({ ids, key, rows }) {
    ids.forEach((id, at) => {
      const cell = `members/${rows[at % rows.length]}/${key}`;
      handles.get(id).change((doc) => (doc[cell] = text(String(doc[cell]))));
    });
    return {};
  },
  async erase({ id, key }) {
    handles.get(id).change((doc) => delete doc[key]);
    return {};
  },
  async heads(ids) {
    return ids.map((id) => A.getHeads(handles.get(id).doc()).sort());
  },
  async say({ id, text }) {
    handles.get(id).broadcast({ text });
    return {};
  },
  async heard() {
    return heard;
  },
  async traffic() {
    const before = { ...traffic };
    for (const key of Object.keys(traffic)) traffic[key] = 0;
    return before;
  },
  async reconnect() {
    const back = new Promise((resolve) => repo.networkSubsystem.once("peer", resolve));
    const begin = performance.now();
    adapter.socket.close();
    await back;
    let [seen, quietSince] = [-1, performance.now()];
    await until(() => {
      const count = traffic.sent + traffic.received;
      if (count !== seen) [seen, quietSince] = [count, performance.now()];
      return performance.now() - quietSince > 1000;
    });
    return { ms: quietSince - begin };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [[name, argument]] = Object.entries(JSON.parse(line));
  try {
    console.log(JSON.stringify(await commands[name](argument)));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error.stack) }));
  }
}
process.exit(0);
