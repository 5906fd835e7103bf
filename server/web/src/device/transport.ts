// What carries requests to the server: HTTP with the device's token. Requests are compressed where the browser can.

import { concatBytes } from "@noble/hashes/utils.js";
import type { components } from "../../generated/api";
import { codeIn } from "./invitation";

export class Offline extends Error {}

/** The server has answered, but not with what was asked for. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** The server is there and cannot save now, for a reason that the administrator can mend. */
export class Unavailable extends Error {}

/** What the server says to a bundle or a photo that it will never take as it is. */
export const NEVER = [400, 403, 413];

/** A line that is this silent is no line any more. */
const SILENCE_MS = 60_000;
/** Bytes a millisecond of the slowest line that is still one. */
const SLOWEST = 1;
/** Smaller requests are not worth compressing. */
const GZIP_MIN = 512;
/** What a line that breaks loses of a photo, at most. */
const PHOTO_PART = 32 * 1024;

export type Enrolled = components["schemas"]["Enrolled"];
export type KnownUnit = components["schemas"]["KnownUnit"];

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** Sends a request and reads its whole answer. A line may be slow, but not silent: what counts is when something last came. */
async function send(path: string, init: RequestInit): Promise<Answer> {
  const silence = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const heard = (patience: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), patience);
  };
  const size = init.body instanceof Uint8Array ? init.body.length : 0;
  try {
    // Nobody tells how far an upload is: it may be as slow as the slowest line.
    heard(SILENCE_MS + size / SLOWEST);
    const response = await fetch(path, { ...init, cache: "no-store", signal: silence.signal });
    const parts: Uint8Array[] = [];
    const reader = response.body?.getReader();
    for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read()) {
      heard(SILENCE_MS);
      parts.push(part.value);
    }
    const body = concatBytes(...parts);
    if (response.ok || response.status === 304) return { status: response.status, headers: response.headers, body };
    const detail = detailOf(body);
    if (response.status === 503 && detail !== undefined) throw new Unavailable(detail);
    // A proxy without a server behind it: as if there were no network.
    if (response.status >= 502 && response.status <= 504) throw new Offline(String(response.status));
    throw new Refused(response.status, detail ?? String(response.status));
  } catch (error) {
    const isAnswer = error instanceof Refused || error instanceof Unavailable || error instanceof Offline;
    throw isAnswer ? error : new Offline(String(error));
  } finally {
    clearTimeout(timer);
  }
}

function json<T>({ body }: Answer): T {
  return JSON.parse(new TextDecoder().decode(body)) as T;
}

/** The server's words, where it has any. */
function detailOf(body: Uint8Array): string | undefined {
  try {
    return (JSON.parse(new TextDecoder().decode(body)) as { detail?: string }).detail;
  } catch {
    return undefined;
  }
}

export async function enrol(code: string, keys: string, token: string): Promise<Enrolled> {
  const body = JSON.stringify({ code: codeIn(code), keys, token });
  const answer = await send("/api/enrol", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  return json<Enrolled>(answer);
}

/** What the county gives back of what was sealed to it, for a one-time code: the key to what is stored here. */
export async function recover(code: string, sealed: Uint8Array, nonce: string): Promise<string> {
  const body = JSON.stringify({ code: codeIn(code), sealed: btoa(String.fromCharCode(...sealed)), nonce });
  const headers = { "content-type": "application/json" };
  return json<{ key: string }>(await send("/api/enrol/recovery", { method: "POST", headers, body })).key;
}

export class Transport {
  constructor(private readonly token: string) {}

  /** Sends one request of the exchange and waits for its reply. */
  async exchange(frame: Uint8Array): Promise<Uint8Array> {
    const headers: Record<string, string> = { ...this.headers(), "content-type": "application/cbor" };
    let body = frame as Uint8Array<ArrayBuffer>;
    if (frame.length >= GZIP_MIN && typeof CompressionStream !== "undefined") {
      const stream = new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"));
      body = new Uint8Array(await new Response(stream).arrayBuffer());
      headers["content-encoding"] = "gzip";
    }
    return (await send("/sync/exchange", { method: "POST", headers, body })).body;
  }

  /** The county's public keys as they are now. */
  async serverKeys(): Promise<string> {
    return json<{ server_keys: string }>(await send("/api/device/keys", { headers: this.headers() })).server_keys;
  }

  async units(): Promise<KnownUnit[]> {
    return json<KnownUnit[]>(await send("/api/units", { headers: this.headers() }));
  }

  /** The catalogue; nothing, where it is the one that is known by this tag. */
  async catalogue(tag: string | undefined): Promise<{ tag: string; data: unknown } | undefined> {
    const known: Record<string, string> = tag === undefined ? {} : { "if-none-match": tag };
    const answer = await send("/api/catalogue", { headers: { ...this.headers(), ...known } });
    if (answer.status === 304) return undefined;
    return { tag: answer.headers.get("etag") ?? "", data: json(answer) };
  }

  /** Hands over a photo, from where an earlier attempt has ended. */
  async sendPhoto(unit: string, hash: string, photo: Uint8Array): Promise<void> {
    const part = async (offset: number, length: number): Promise<number> => {
      const path = `/api/units/${unit}/attachments/${hash}?offset=${offset}&size=${photo.length}`;
      const headers = { ...this.headers(), "content-type": "application/octet-stream" };
      const body = photo.slice(offset, offset + length);
      return json<{ received: number }>(await send(path, { method: "PUT", headers, body })).received;
    };
    for (let received = await part(0, 0); received < photo.length; ) {
      const next = await part(received, PHOTO_PART);
      if (next <= received) throw new Refused(409, "the photo does not get on");
      received = next;
    }
  }

  async photo(unit: string, hash: string): Promise<Uint8Array> {
    return (await send(`/api/units/${unit}/attachments/${hash}`, { headers: this.headers() })).body;
  }

  /** Hands over somebody else's bundle, and takes its answer. */
  async carry(bundle: Uint8Array): Promise<Uint8Array> {
    const headers = { ...this.headers(), "content-type": "application/octet-stream" };
    return (await send("/api/bundles", { method: "POST", headers, body: bundle as Uint8Array<ArrayBuffer> })).body;
  }

  private headers(): Record<string, string> {
    return { authorization: `Bearer ${this.token}` };
  }
}
