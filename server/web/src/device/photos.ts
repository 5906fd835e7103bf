// Photos of records: kept like any other entry, and handed over when there is a line.

import { sha256 } from "@noble/hashes/sha2.js";
import { PHOTO } from "../document/address";
import type { Edit } from "../document/document";
import type { Identity } from "../document/identity";
import type { Database, StoredPhoto } from "../store/database";
import { hex } from "../sync/frames";
import type { Status } from "./status";
import { NEVER, Refused, type Transport } from "./transport";

/** What photos need of the device. */
interface Holder {
  readonly status: Status;
  readonly transport: Transport | undefined;
  opened(): Database;
  save(identity: Identity, edits: readonly Edit[]): Promise<boolean>;
}

export class Photos {
  constructor(private readonly device: Holder) {}

  /** Keeps a photo of a record: on the disk when this returns. */
  async add(identity: Identity, ledger: string, row: string, bytes: Uint8Array): Promise<void> {
    const hash = hex(sha256(bytes));
    // First the photo, then the record that names it: never the other way round.
    await this.device.opened().putPhoto({ hash, unit: identity.unit, bytes, isSent: false });
    await this.device.save(identity, [{ address: { ledger, row, column: PHOTO, member: hash }, value: true }]);
    await this.count();
  }

  /** A photo of this device, or of the server where there is a line. */
  async get(unit: string, hash: string): Promise<Uint8Array | undefined> {
    const stored = await this.device.opened().photo(hash);
    if (stored !== undefined) return stored.bytes;
    const bytes = await this.device.transport?.photo(unit, hash).catch(() => undefined);
    if (bytes === undefined || hex(sha256(bytes)) !== hash) return undefined;
    await this.device.opened().putPhoto({ hash, unit, bytes, isSent: true });
    return bytes;
  }

  async count(): Promise<void> {
    const unsent = await this.device.opened().unsentPhotos();
    this.device.status.photos = unsent.filter((photo) => photo.refusal === undefined).length;
    this.device.status.photosRefused = unsent.length - this.device.status.photos;
  }

  /** Photos that the server has not taken, each with the reason. */
  async refused(): Promise<(StoredPhoto & { readonly refusal: string })[]> {
    const unsent = await this.device.opened().unsentPhotos();
    return unsent.flatMap((photo) => (photo.refusal === undefined ? [] : [{ ...photo, refusal: photo.refusal }]));
  }

  /** Sends a refused photo once more, with the next exchange. */
  async again(hash: string): Promise<void> {
    const photo = await this.device.opened().photo(hash);
    if (photo === undefined) return;
    const { refusal: _, ...unsent } = photo;
    await this.device.opened().putPhoto(unsent);
    await this.count();
  }

  /** Hands over what waits. One photo that is refused, or cannot be taken now, stands in the way of nothing. */
  async send(transport: Transport): Promise<void> {
    for (const photo of await this.device.opened().unsentPhotos()) {
      if (photo.refusal !== undefined) continue;
      try {
        await transport.sendPhoto(photo.unit, photo.hash, photo.bytes);
        await this.device.opened().putPhoto({ ...photo, isSent: true });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (!NEVER.includes(error.status)) continue;
        await this.device.opened().putPhoto({ ...photo, refusal: error.message });
      }
      await this.count();
    }
  }
}
