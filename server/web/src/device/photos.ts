// Photos of records: kept like any other entry, and handed over when there is a line.

import { sha256 } from "@noble/hashes/sha2.js";
import { PHOTO } from "../document/address";
import type { Edit } from "../document/document";
import type { Identity } from "../document/identity";
import type { Database } from "../store/database";
import { hex } from "../sync/frames";
import type { Status } from "./status";
import type { Transport } from "./transport";

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
    this.device.status.photos = (await this.device.opened().unsentPhotos()).length;
  }

  async send(transport: Transport): Promise<void> {
    for (const photo of await this.device.opened().unsentPhotos()) {
      await transport.sendPhoto(photo.unit, photo.hash, photo.bytes);
      await this.device.opened().putPhoto({ ...photo, isSent: true });
      await this.count();
    }
  }
}
