// Small bundles as QR codes: texts that a camera reads off a screen, in any order and as often as it likes.
//   TZB1:<first 8 letters of its hash>:<part>/<parts>:<its bytes in base32>
// Only characters that QR codes have a short form for.

import { sha256 } from "@noble/hashes/sha2.js";
import { base32nopad } from "@scure/base";

/** A bundle for the county's server, or its answer. */
export type BundleKind = "request" | "answer";

const MARKS: Record<BundleKind, string> = { request: "TZB1", answer: "TZA1" };
/** Letters of a code: as many as an old camera still reads off a small screen. */
const PART_LETTERS = 560;
/** Codes that somebody has the patience for. */
const PARTS_MAX = 12;

/** Bytes of a bundle that is still small. */
export const CODES_BYTES_MAX = Math.floor((PART_LETTERS * PARTS_MAX * 5) / 8);

/** The texts of its codes; nothing, where it is too large for them. */
export function codesOf(kind: BundleKind, bundle: Uint8Array): string[] | undefined {
  if (bundle.length > CODES_BYTES_MAX) return undefined;
  const letters = base32nopad.encode(bundle);
  const parts = Math.max(1, Math.ceil(letters.length / PART_LETTERS));
  const name = nameOf(bundle);
  return Array.from({ length: parts }, (_, at) => {
    const part = letters.slice(at * PART_LETTERS, (at + 1) * PART_LETTERS);
    return `${MARKS[kind]}:${name}:${at + 1}/${parts}:${part}`;
  });
}

/** What is known of a bundle after one more code. */
export interface Reading {
  readonly kind: BundleKind;
  /** Parts that were read, and how many there are. */
  readonly read: number;
  readonly parts: number;
  /** The whole of it, once every part was read. */
  readonly bundle: Uint8Array | undefined;
}

/** Puts together what a camera reads. Codes of another bundle begin anew. */
export class CodeReader {
  private name = "";
  private parts: (string | undefined)[] = [];

  /** Takes a text; nothing, where it is no code of a bundle. */
  take(text: string): Reading | undefined {
    const [, mark = "", name = "", part = "", of = "", letters = ""] =
      /^(TZ[AB]1):([A-Z2-7]{8}):(\d{1,2})\/(\d{1,2}):([A-Z2-7]*)$/.exec(text) ?? [];
    const kind = (Object.keys(MARKS) as BundleKind[]).find((known) => MARKS[known] === mark);
    const [at, count] = [Number(part) - 1, Number(of)];
    if (kind === undefined || count > PARTS_MAX || at < 0 || at >= count) return undefined;
    if (this.name !== mark + name || this.parts.length !== count) {
      this.name = mark + name;
      this.parts = Array.from({ length: count }, () => undefined);
    }
    this.parts[at] = letters;
    const read = this.parts.filter((known) => known !== undefined);
    if (read.length < count) return { kind, read: read.length, parts: count, bundle: undefined };
    const bundle = bundleOf(read.join(""));
    if (bundle !== undefined && nameOf(bundle) === name) return { kind, read: count, parts: count, bundle };
    // All there, and yet another: something was read wrongly, or belongs to nobody.
    this.name = "";
    return { kind, read: 0, parts: count, bundle: undefined };
  }
}

/** Bytes of base32; nothing, where it is none. */
function bundleOf(letters: string): Uint8Array | undefined {
  try {
    return base32nopad.decode(letters);
  } catch {
    return undefined;
  }
}

function nameOf(bundle: Uint8Array): string {
  return base32nopad.encode(sha256(bundle)).slice(0, 8);
}
