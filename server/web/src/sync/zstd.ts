// Zstandard (RFC 8878) as bundles have it. What goes out is stored, not compressed: it is encrypted and small.

import { decompress } from "fzstd";

const MAGIC = 0xfd2fb528;
/** A single segment, its size in four bytes. */
const DESCRIPTOR = 0b1010_0000;
const BLOCK_MAX = 128 * 1024;

/** A frame of raw blocks. */
export function stored(content: Uint8Array): Uint8Array {
  const blocks = Math.max(1, Math.ceil(content.length / BLOCK_MAX));
  const frame = new Uint8Array(9 + 3 * blocks + content.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, MAGIC, true);
  frame[4] = DESCRIPTOR;
  view.setUint32(5, content.length, true);
  let at = 9;
  for (let block = 0; block < blocks; block += 1) {
    const part = content.subarray(block * BLOCK_MAX, (block + 1) * BLOCK_MAX);
    const isLast = block === blocks - 1 ? 1 : 0;
    const header = (part.length << 3) | isLast;
    frame.set([header & 0xff, (header >> 8) & 0xff, (header >> 16) & 0xff], at);
    frame.set(part, at + 3);
    at += 3 + part.length;
  }
  return frame;
}

export { decompress };
