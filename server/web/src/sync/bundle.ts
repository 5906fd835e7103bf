// Bundles (`.tzb`): the frames of the exchange in a file, signed, and encrypted to the one recipient.

import { ed25519 } from "@noble/curves/ed25519.js";
import { Decrypter, Encrypter } from "age-encryption";
import { decode, encode } from "cborg";
import type { Identity } from "../document/identity";
import { bytes, decodeIdentity, type ExchangeReply, type ExchangeRequest, fieldsOf, hex, replyOf } from "./frames";
import { decompress, stored } from "./zstd";

/** The keys of the device that writes or reads one. */
export interface BundleKeys {
  readonly signing: Uint8Array;
  readonly identity: string;
}

/** What comes back. */
export interface BundleReply {
  readonly replies: readonly ExchangeReply[];
  readonly asked: readonly Identity[];
}

/** Not for this recipient, not whole, or not from the county's server. */
export class ForeignBundle extends Error {}

type Fields = Map<number, unknown>;

/** Signs, packs and encrypts a request; with `answerMax`, one whose answer has no more bytes than that. */
export async function sealRequest(
  request: ExchangeRequest,
  keys: BundleKeys,
  serverKeys: string,
  answerMax?: number,
): Promise<Uint8Array> {
  const content = new Map<number, unknown>([
    [0, fieldsOf(request)],
    // Units below its own that it knows of: none that the county does not know.
    [1, new TextEncoder().encode("[]")],
  ]);
  if (answerMax !== undefined) content.set(2, answerMax);
  const payload = stored(encode(content));
  const envelope = new Map<number, unknown>([
    [0, ed25519.getPublicKey(keys.signing)],
    [1, payload],
    [2, ed25519.sign(payload, keys.signing)],
  ]);
  const encrypter = new Encrypter();
  encrypter.addRecipient(serverKeys.split(".")[1] ?? "");
  return encrypter.encrypt(encode(envelope));
}

/** Decrypts an answer, and checks that the county's server has signed it. */
export async function openReply(file: Uint8Array, keys: BundleKeys, serverKeys: string): Promise<BundleReply> {
  try {
    const decrypter = new Decrypter();
    decrypter.addIdentity(keys.identity);
    const envelope = decode(await decrypter.decrypt(file), { useMaps: true }) as Fields;
    const [sender, payload, signature] = [0, 1, 2].map((field) => envelope.get(field) as Uint8Array);
    if (sender === undefined || payload === undefined || signature === undefined) throw new Error("no envelope");
    const [signing = ""] = serverKeys.split(".");
    if (hex(sender) !== signing || !ed25519.verify(signature, payload, bytes(signing))) throw new Error("another's signature");
    const content = decode(decompress(payload), { useMaps: true }) as Fields;
    return {
      replies: (content.get(0) as Fields[]).map(replyOf),
      asked: ((content.get(3) as Fields[] | undefined) ?? []).map(decodeIdentity),
    };
  } catch (error) {
    throw new ForeignBundle(String(error));
  }
}
