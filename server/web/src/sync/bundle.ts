// Bundles (`.tzb`): the frames of the exchange in a file, signed for one purpose and one recipient, and encrypted to that recipient.
// Inside, version 2:
//   "TZB" 02 | length of the head, two bytes | head, CBOR | payload: zstd over CBOR

import { ed25519 } from "@noble/curves/ed25519.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { Decrypter, Encrypter } from "age-encryption";
import { decode, encode } from "cborg";
import type { Identity } from "../document/identity";
import { bytes, decodeIdentity, type ExchangeReply, type ExchangeRequest, fieldsOf, hex, replyOf } from "./frames";
import { decompress, stored } from "./zstd";

const MARK = new TextEncoder().encode("TZB");
const FORMAT = 2;
const DOMAIN = new TextEncoder().encode("taizhang bundle\0");
/** Bytes that a payload may inflate to: so many times its own size, and some that any may have. */
const RATIO_MAX = 100;
const INFLATED_BYTES_FREE = 1 << 20;
const INFLATED_BYTES_MAX = 256 << 20;

/** What a bundle is for. */
export const Purpose = { request: 1, reply: 2, recovery: 3 } as const;
export type Purpose = (typeof Purpose)[keyof typeof Purpose];

/** The keys of the device that writes or reads one. */
export interface BundleKeys {
  readonly signing: Uint8Array;
  readonly identity: string;
}

/** What comes back. */
export interface BundleReply {
  readonly replies: readonly ExchangeReply[];
  readonly asked: readonly Identity[];
  /** Checkpoints of the server's audit log, the newest first. */
  readonly checkpoints: readonly string[];
}

/** Not for this recipient, not whole, not from the county's server, or no answer to what this device has asked. */
export class ForeignBundle extends Error {}

type Fields = Map<number, unknown>;

/** What a bundle's head says, once its signature was checked. */
export interface Opened {
  readonly sender: string;
  readonly regarding: string | undefined;
  readonly payload: Uint8Array;
  /** Checkpoints of the server's audit log that its sender has seen, the newest first. */
  readonly checkpoints: readonly string[];
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** What is signed. */
function statement(purpose: number, recipient: Uint8Array, regarding: Uint8Array | undefined, payload: Uint8Array): Uint8Array {
  const kind = Uint8Array.of(FORMAT, purpose);
  return joined([DOMAIN, kind, recipient, regarding ?? new Uint8Array(32), payload]);
}

/** Puts a head before a payload; says what names the bundle, too. */
export function signed(
  payload: Uint8Array,
  purpose: Purpose,
  signing: Uint8Array,
  recipient: Uint8Array,
  checkpoints: readonly string[] = [],
): { plain: Uint8Array; digest: string } {
  const packed = sha256(payload);
  const said = statement(purpose, recipient, undefined, packed);
  const fields = new Map<number, unknown>([
    [0, ed25519.getPublicKey(signing)],
    [1, purpose],
    [2, recipient],
    [4, packed],
    [5, ed25519.sign(said, signing)],
  ]);
  if (checkpoints.length > 0) fields.set(6, checkpoints);
  const head = encode(fields);
  const start = Uint8Array.of(...MARK, FORMAT, head.length >> 8, head.length & 0xff);
  return { plain: joined([start, head, payload]), digest: hex(sha256(said)) };
}

/** Reads what stands inside the encryption: signed for this purpose, and for whoever has this key. */
export function opened(plain: Uint8Array, purpose: Purpose, own: Uint8Array): Opened {
  if (!MARK.every((byte, at) => plain[at] === byte)) throw new Error("no head");
  if (plain[3] !== FORMAT) throw new Error(`version ${plain[3]}`);
  const end = 6 + (((plain[4] ?? 0) << 8) | (plain[5] ?? 0));
  const head = decode(plain.subarray(6, end), { useMaps: true }) as Fields;
  const payload = plain.subarray(end);
  const [sender, recipient, digest, signature] = [0, 2, 4, 5].map((field) => head.get(field) as Uint8Array);
  const regarding = head.get(3) as Uint8Array | undefined;
  if (sender === undefined || recipient === undefined || digest === undefined || signature === undefined) {
    throw new Error("half a head");
  }
  if (head.get(1) !== purpose) throw new Error("another kind of bundle");
  if (!ed25519.verify(signature, statement(purpose, recipient, regarding, digest), sender)) throw new Error("not signed");
  if (hex(recipient) !== hex(own)) throw new Error("made for somebody else");
  if (hex(sha256(payload)) !== hex(digest)) throw new Error("another payload");
  const checkpoints = (head.get(6) as string[] | null | undefined) ?? [];
  return { sender: hex(sender), regarding: regarding && hex(regarding), payload, checkpoints };
}

/** Signs, packs and encrypts a request; with `answerMax`, one whose answer has no more bytes than that. */
export async function sealRequest(
  request: ExchangeRequest,
  keys: BundleKeys,
  serverKeys: string,
  checkpoints: readonly string[],
  answerMax?: number,
): Promise<{ file: Uint8Array; digest: string }> {
  const content = new Map<number, unknown>([
    [0, fieldsOf(request)],
    // A phone in the field says nothing of the register of units.
    [1, new TextEncoder().encode("[]")],
  ]);
  if (answerMax !== undefined) content.set(2, answerMax);
  const { plain, digest } = signed(stored(encode(content)), Purpose.request, keys.signing, signingKey(serverKeys), checkpoints);
  return { file: await encrypted(plain, serverKeys), digest };
}

/** The key to what a device has stored, for nobody but the county's server. */
export function sealKey(key: Uint8Array, keys: BundleKeys, serverKeys: string): Promise<Uint8Array> {
  const payload = stored(encode(new Map([[0, key]])));
  return encrypted(signed(payload, Purpose.recovery, keys.signing, signingKey(serverKeys)).plain, serverKeys);
}

function signingKey(serverKeys: string): Uint8Array {
  return bytes(serverKeys.split(".")[0] ?? "");
}

function encrypted(plain: Uint8Array, serverKeys: string): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(serverKeys.split(".")[1] ?? "");
  return encrypter.encrypt(plain);
}

/** How many bytes a payload says that it has: the content size in the header of its frame (RFC 8878, 3.1.1.1). */
function inflatedSize(payload: Uint8Array): number {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const descriptor = view.getUint8(4);
  const isSingle = (descriptor & 0b10_0000) !== 0;
  const at = 5 + (isSingle ? 0 : 1) + ([0, 1, 2, 4][descriptor & 0b11] ?? 0);
  switch (descriptor >> 6) {
    case 0:
      // Without it nothing keeps it small.
      return isSingle ? view.getUint8(at) : Number.POSITIVE_INFINITY;
    case 1:
      return view.getUint16(at, true) + 256;
    case 2:
      return view.getUint32(at, true);
    default:
      return Number(view.getBigUint64(at, true));
  }
}

/** Decrypts an answer, and checks that the county's server has made it, for this device, to one of these requests. */
export async function openReply(
  file: Uint8Array,
  keys: BundleKeys,
  serverKeys: string,
  asked: readonly string[],
): Promise<BundleReply> {
  try {
    const decrypter = new Decrypter();
    decrypter.addIdentity(keys.identity);
    const plain = await decrypter.decrypt(file);
    const { sender, regarding, payload, checkpoints } = opened(plain, Purpose.reply, ed25519.getPublicKey(keys.signing));
    if (sender !== serverKeys.split(".")[0]) throw new Error("another's signature");
    if (regarding === undefined || !asked.includes(regarding)) throw new Error("no answer to a bundle of this device");
    const max = Math.min(payload.length * RATIO_MAX + INFLATED_BYTES_FREE, INFLATED_BYTES_MAX);
    if (inflatedSize(payload) > max) throw new Error("too large");
    const content = decode(decompress(payload), { useMaps: true }) as Fields;
    return {
      replies: (content.get(0) as Fields[]).map(replyOf),
      asked: ((content.get(3) as Fields[] | undefined) ?? []).map(decodeIdentity),
      checkpoints,
    };
  } catch (error) {
    throw new ForeignBundle(String(error));
  }
}
