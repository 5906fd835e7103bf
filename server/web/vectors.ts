// Replays `vectors.json`, which holds what the Rust program does, on this app's own code. Prints what is different.
// Run by the tests: built with `vite build --ssr`, then `node vectors.js vectors.json`.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Column, Ledger, Rule } from "./src/catalogue/catalogue";
import { read } from "./src/catalogue/entry";
import { holds, type Node, type Variables } from "./src/catalogue/expression";
import { isBroken } from "./src/catalogue/rules";
import { type Address, cellOf, keyOfAddress, parseAddress } from "./src/document/address";
import { identifies } from "./src/catalogue/shape";
import { startAutomerge } from "./src/document/automerge";
import { type Author, LedgerDocument, type Written } from "./src/document/document";
import type { Identity } from "./src/document/identity";
import { rowOf } from "./src/document/row-id";
import type { Value } from "./src/document/value";
import { opened, Purpose, signed } from "./src/sync/bundle";
import { bytes, decodeReply, encodeRequest, hex, receiptStatement } from "./src/sync/frames";

type Cells = Record<string, Value>;
type Side = [Value, string, string | null, number];

interface Described {
  rows: Record<string, { cells: Cells; removed: boolean }>;
  conflicts: { key: string; values: Side[] }[];
  history: Side[];
  heads: string[];
}

interface Vectors {
  public_key: string;
  ledgers: Ledger[];
  rows: { ledger: string; cells: Cells; row: string | null }[];
  shapes: { type: string; text: string; identifies: boolean }[];
  addresses: { key: string; parsed: [string, string, string] | null }[];
  documents: {
    changes: string[];
    merged: Described;
    snapshot: string;
    edits: [string, Value][];
    written: string;
    settle: string;
    winner: Value;
    settled: string;
    settled_change: string;
    after: Described;
  };
  frames: { request: string; empty: string; reply: string; plain: string; statement: string };
  bundles: {
    secret: string;
    county: string;
    own: string;
    payload: string;
    request: string;
    digest: string;
    reply: string;
    checkpoints: string[];
    noted: string;
    noted_reply: string;
    others: string[];
  };
  rules: { variables: Variables; rules: [Node | null, Node][]; cases: [number, Cells, boolean, boolean][] };
  besides: [Rule, Record<string, Cells[]>, boolean[]][];
  entries: [string, string, Value][];
}

const different: string[] = [];
let cases = 0;

/** The same whatever the order of keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (part === null || typeof part !== "object" || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function same(what: string, ours: unknown, theirs: unknown): void {
  cases += 1;
  const [left, right] = [canonical(ours ?? null), canonical(theirs ?? null)];
  if (left !== right) different.push(`${what}: ${left.slice(0, 400)} instead of ${right.slice(0, 400)}`);
}

const path = process.argv[2];
if (path === undefined) throw new Error("vectors.js FILE");
const vectors = JSON.parse(readFileSync(path, "utf8")) as Vectors;
const wasm = createRequire(path).resolve("@automerge/automerge/automerge.wasm");
await startAutomerge(readFileSync(wasm));

for (const { ledger, cells, row } of vectors.rows) {
  const declared = vectors.ledgers.find((known) => known.id === ledger);
  if (declared === undefined) throw new Error(ledger);
  same(`row of ${ledger}`, rowOf(declared, bytes(vectors.public_key), (column) => cells[column]), row);
}

for (const { type, text, identifies: expected } of vectors.shapes) {
  same(`shape of ${type} ${text}`, identifies(type, text), expected);
}

for (const { key, parsed } of vectors.addresses) {
  const address = parseAddress(key);
  same(`address ${key}`, address && [address.ledger, address.row, cellOf(address)], parsed);
  if (address !== undefined) same(`key of ${key}`, keyOfAddress(address), key);
}

// Documents.
const ROW = "0404040404040404";
const { documents } = vectors;
const identity: Identity = { unit: "5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a", book: "unit", period: "2012" };
const actor = "09".repeat(16);

function side(value: Written): Side {
  return [value.value, value.change, value.provenance?.who ?? null, value.time];
}

function phoneOf(described: Described): Address {
  const address = parseAddress(described.conflicts[0]?.key ?? documents.settle);
  if (address === undefined) throw new Error(ROW);
  return address;
}

function described(document: LedgerDocument): Described {
  const rows = [...document.rows("members")].map(([id, { cells, removed }]) => [id, { cells, removed }]);
  return {
    rows: Object.fromEntries(rows) as Described["rows"],
    conflicts: document.conflicts().map(({ address, values }) => ({ key: keyOfAddress(address), values: values.map(side) })),
    history: document.history(phoneOf(documents.merged)).map(side),
    heads: document.heads(),
  };
}

const merged = LedgerDocument.load(actor, undefined, documents.changes.map(bytes));
const byKey = (a: { key: string }, b: { key: string }) => (a.key < b.key ? -1 : 1);
const ordered = (of: Described) => ({ ...of, conflicts: [...of.conflicts].sort(byKey) });
same("merged changes", ordered(described(merged)), ordered(documents.merged));
const stored = LedgerDocument.load(actor, bytes(documents.snapshot), []);
same("a snapshot", ordered(described(stored)), ordered(documents.merged));
same("what is saved", hex(merged.save()).length, documents.snapshot.length);

const author = (how: "form" | "resolve", time: number): Author => ({ provenance: { who: "丙", how }, time });
const edits = documents.edits.map(([key, value]) => {
  const address = parseAddress(key);
  if (address === undefined) throw new Error(key);
  return { address, value };
});
same("a change", stored.copy().write(identity, edits, author("form", 1_335_780_000))?.hash, documents.written);
const settled = stored.settle(phoneOf(documents.merged), documents.winner, author("resolve", 1_335_790_000));
same("a decision", settled?.hash, documents.settled);
const after = LedgerDocument.load(actor, bytes(documents.snapshot), [bytes(documents.settled_change)]);
same("after a decision", ordered(described(after)), ordered(documents.after));
same("nothing new", stored.write(identity, [], author("form", 0)), undefined);

// Frames.
const { frames } = vectors;
const hash = (n: number) => n.toString(16).padStart(2, "0").repeat(32);
const plain = (text: string) => new TextEncoder().encode(text);
const township: Identity = { ...identity, book: "township" };
const request = encodeRequest({
  cursor: plain("cursor"),
  push: [
    {
      identity,
      changes: [
        { hash: hash(1), bytes: plain("one") },
        { hash: hash(2), bytes: plain("two") },
      ],
    },
  ],
  deviceTime: 1_335_744_000_123,
  asks: [{ identity: township, heads: [hash(3)], held: [hash(4)] }],
  held: [hash(5)],
});
same("a request", hex(request), frames.request);
const empty = { cursor: undefined, push: [], deviceTime: 0, asks: [], held: [] };
same("an empty request", hex(encodeRequest(empty)), frames.empty);
const text = (part: Uint8Array | undefined) => part && new TextDecoder().decode(part);
const reply = decodeReply(bytes(frames.reply));
same(
  "a reply",
  {
    ...reply,
    cursor: text(reply.cursor),
    signature: text(reply.signature),
    documents: reply.documents.map((pull) => ({
      ...pull,
      snapshot: text(pull.snapshot) ?? null,
      changes: pull.changes.map(text),
      successor: pull.successor ?? null,
    })),
  },
  {
    protocol: 1,
    receipts: [hash(1)],
    refusals: [{ hash: hash(8), code: 5, sentence: "缺", quarantined: true }],
    documents: [
      { identity, snapshot: "snapshot", changes: ["a", "b"], whole: true, successor: { root: hash(6), covers: [hash(7)] } },
      { identity, snapshot: null, changes: ["a", "b"], whole: false, successor: null },
    ],
    cursor: "next",
    more: true,
    serverTime: 1_335_744_000_456,
    restart: true,
    dropped: [township],
    unknown: [hash(9)],
    wanted: [identity],
    signature: "signed",
    erase: true,
    checkpoint: "taizhang/340099/00\n1\n…",
  },
);
const bare = decodeReply(bytes(frames.plain));
same("a plain reply", [bare.receipts, bare.documents, bare.more, bare.signature ?? null, bare.erase], [[], [], false, null, false]);
same("no checkpoint", bare.checkpoint ?? null, null);
same("a receipt's statement", hex(receiptStatement([hash(1), hash(2)], 1_335_744_000_456)), frames.statement);

// Bundles, inside their encryption.
const { bundles } = vectors;
const outgoing = signed(bytes(bundles.payload), Purpose.request, bytes(bundles.secret), bytes(bundles.county));
same("a bundle", hex(outgoing.plain), bundles.request);
same("what names a bundle", outgoing.digest, bundles.digest);
const answer = opened(bytes(bundles.reply), Purpose.reply, bytes(bundles.own));
same("an answer", [answer.sender, answer.regarding, hex(answer.payload)], [bundles.county, bundles.digest, bundles.payload]);
same("no checkpoints", answer.checkpoints, []);
const county = bytes(bundles.county);
const noted = signed(bytes(bundles.payload), Purpose.request, bytes(bundles.secret), county, bundles.checkpoints);
same("a bundle with checkpoints", [hex(noted.plain), noted.digest], [bundles.noted, bundles.digest]);
const notedAnswer = opened(bytes(bundles.noted_reply), Purpose.reply, bytes(bundles.own));
same("checkpoints of an answer", notedAnswer.checkpoints, bundles.checkpoints);
for (const other of bundles.others) {
  let isTaken = true;
  try {
    opened(bytes(other), Purpose.reply, bytes(bundles.own));
  } catch {
    isTaken = false;
  }
  same(`another bundle ${other.slice(0, 12)}`, isTaken, false);
}

// Rules.
for (const [index, cells, when, check] of vectors.rules.cases) {
  const [condition, rule] = vectors.rules.rules[index] ?? [null, undefined];
  if (rule === undefined) throw new Error(String(index));
  const { variables } = vectors.rules;
  const ours = [condition === null || holds(condition, cells, variables), holds(rule, cells, variables)];
  same(`rule ${index} of ${JSON.stringify(cells)}`, ours, [when, check]);
}

for (const [rule, rows, broken] of vectors.besides) {
  const ours = rows[rule.ledger]?.map((row) => isBroken(rule, row, (ledger) => rows[ledger], vectors.rules.variables));
  same(`rule ${rule.id}`, ours, broken);
}

// What is typed: the app may refuse more than an import does, and never takes anything for something else.
const TYPES: Record<string, string> = { PDate: "pdate", MoneyYuan: "money_yuan", MoneyWan: "money_wan" };
let taken = 0;
for (const [type, typed, value] of vectors.entries) {
  const column: Column = {
    key: "x",
    title: "x",
    type: TYPES[type] ?? type.toLowerCase(),
    required: "optional",
    sensitivity: "S1",
    future: true,
  };
  const entered = read(column, typed);
  if ("value" in entered) {
    taken += 1;
    same(`${type} ${typed}`, entered.value, value);
  }
}
if (taken < 25) different.push(`only ${taken} entries were taken`);

console.log(JSON.stringify({ cases, different }));
