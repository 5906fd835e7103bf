// What carries requests to the server: HTTP with the device's token. Requests are compressed where the browser can.

import type { components } from "../../generated/api";

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

/** A line that is this silent is no line any more. */
const SILENCE_MS = 60_000;
/** Smaller requests are not worth compressing. */
const GZIP_MIN = 512;
/** What a line that breaks loses of a photo, at most. */
const PHOTO_PART = 32 * 1024;

export type Enrolled = components["schemas"]["Enrolled"];
export type KnownUnit = components["schemas"]["KnownUnit"];

async function send(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, cache: "no-store", signal: AbortSignal.timeout(SILENCE_MS) });
  } catch (error) {
    throw new Offline(String(error));
  }
  if (response.ok || response.status === 304) return response;
  // A proxy without a server behind it: as if there were no network.
  if (response.status >= 502 && response.status <= 504) throw new Offline(String(response.status));
  const problem = (await response.json().catch(() => undefined)) as { detail?: string } | undefined;
  throw new Refused(response.status, problem?.detail ?? String(response.status));
}

export async function enrol(code: string, keys: string, token: string): Promise<Enrolled> {
  const body = JSON.stringify({ code, keys, token });
  const response = await send("/api/enrol", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  return (await response.json()) as Enrolled;
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
    const response = await send("/sync/exchange", { method: "POST", headers, body });
    try {
      return new Uint8Array(await response.arrayBuffer());
    } catch (error) {
      throw new Offline(String(error));
    }
  }

  async units(): Promise<KnownUnit[]> {
    const response = await send("/api/units", { headers: this.headers() });
    return (await response.json()) as KnownUnit[];
  }

  /** The catalogue; nothing, where it is the one that is known by this tag. */
  async catalogue(tag: string | undefined): Promise<{ tag: string; data: unknown } | undefined> {
    const known: Record<string, string> = tag === undefined ? {} : { "if-none-match": tag };
    const response = await send("/api/catalogue", { headers: { ...this.headers(), ...known } });
    if (response.status === 304) return undefined;
    return { tag: response.headers.get("etag") ?? "", data: await response.json() };
  }

  /** Hands over a photo, from where an earlier attempt has ended. */
  async sendPhoto(unit: string, hash: string, photo: Uint8Array): Promise<void> {
    const part = async (offset: number, length: number): Promise<number> => {
      const path = `/api/units/${unit}/attachments/${hash}?offset=${offset}&size=${photo.length}`;
      const headers = { ...this.headers(), "content-type": "application/octet-stream" };
      const body = photo.slice(offset, offset + length);
      const response = await send(path, { method: "PUT", headers, body });
      return ((await response.json()) as { received: number }).received;
    };
    for (let received = await part(0, 0); received < photo.length; ) {
      const next = await part(received, PHOTO_PART);
      if (next <= received) throw new Refused(409, "the photo does not get on");
      received = next;
    }
  }

  async photo(unit: string, hash: string): Promise<Uint8Array> {
    const response = await send(`/api/units/${unit}/attachments/${hash}`, { headers: this.headers() });
    return new Uint8Array(await response.arrayBuffer());
  }

  private headers(): Record<string, string> {
    return { authorization: `Bearer ${this.token}` };
  }
}
