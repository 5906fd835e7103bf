// The device: what it holds, what it does with it, and how that stands. The only place that both stores and syncs.

import { reactive } from "vue";
import { Catalogue, type CatalogueData } from "../catalogue/catalogue";
import type { Address } from "../document/address";
import {
  type Author,
  type Conflict,
  type Edit,
  type LedgerDocument,
  type LocalChange,
  type Provenance,
  RowTaken,
  rowsIn,
} from "../document/document";
import { type Identity, keyOf } from "../document/identity";
import type { Value } from "../document/value";
import { ForeignBundle, openReply, sealRequest } from "../sync/bundle";
import { Database, NoRoom, TakenOver } from "../store/database";
import { decodeReply, encodeRequest } from "../sync/frames";
import { Replica, type StoredChange, type Writes } from "../sync/replica";
import { DeviceSession, type Page, SessionError } from "../sync/session";
import { asked, remember } from "./asked";
import { few, keep } from "./checkpoints";
import { Carried } from "./carried";
import { Drafts } from "./drafts";
import { Photos } from "./photos";
import { atFirst, type Phase, type Problem, type Status } from "./status";
import { countUnsent, keepKey, openAnew } from "./recovery";
import { refresh } from "./refresh";
import { areSigned, type Keys, newKeys, publicKeys, randomHex } from "./keys";
import { Years } from "./years";
import { enrol, type Enrolled, type KnownUnit, Offline, Refused, Transport, Unavailable } from "./transport";

/** What is kept of the enrolment. */
interface Setup {
  readonly keys: Keys;
  readonly token: string;
  enrolled?: Enrolled;
}

const LOCK = "taizhang";
const SAVE_DELAY_MS = 1_500;
const PERIOD_MS = 5 * 60_000;
/** Units and catalogue hardly ever change: each question costs a bad line seconds. */
const REFRESH_MS = 30 * 60_000;
const BACKOFF_MAX_MS = 10 * 60_000;
/** Hidden for longer, it asks for the PIN again. */
const HIDDEN_MAX_MS = 15 * 60_000;
const FREE_ATTEMPTS = 5;

export class Device {
  readonly status: Status = reactive(atFirst());
  readonly photos = new Photos(this);
  readonly carried = new Carried(this);
  readonly drafts = new Drafts(this);
  readonly years = new Years(this);
  catalogue = new Catalogue({ public_key: "", ledgers: [], lists: {}, workflows: [], rules: [], variables: {} });
  units: KnownUnit[] = [];
  private database: Database | undefined;
  private replica: Replica | undefined;
  private setup: Setup | undefined;
  transport: Transport | undefined;
  private running: Promise<void> | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isWanted = false;
  private failures = 0;
  private refreshedAt = 0;
  private hiddenAt = 0;
  /** One form is saved, or one page stored, after the other. */
  private queue: Promise<unknown> = Promise.resolve();

  async start(): Promise<void> {
    if (!globalThis.isSecureContext || crypto.subtle === undefined) {
      this.status.phase = "insecure";
      return;
    }
    try {
      this.database = await Database.open();
      const hasVault = await this.database.hasVault();
      await new Promise<void>((resolve) => void this.hold(false, resolve));
      if (this.status.phase === "starting") this.status.phase = hasVault ? "locked" : "new";
    } catch {
      this.status.phase = "no-room";
      return;
    }
    countUnsent(this);
    addEventListener("online", () => this.soon(0));
    document.addEventListener("visibilitychange", () => void this.turned());
    addEventListener("pagehide", () => void this.drafts.flush());
  }

  /** Makes this window the one that writes; another one that has been open stops. */
  async hold(steal: boolean, answered: () => void = () => undefined): Promise<void> {
    const lock = { ifAvailable: !steal, steal };
    try {
      await navigator.locks.request(LOCK, lock, async (held) => {
        if (held === null) {
          this.status.phase = "elsewhere";
          answered();
          return;
        }
        await this.database?.takeOver();
        if (this.status.phase === "elsewhere") {
          this.status.phase = (await this.opened().hasVault()) ? "locked" : "new";
        }
        answered();
        await new Promise(() => undefined);
      });
    } catch {
      answered();
      // Another window has taken the lock.
      await this.drafts.flush();
      this.close("elsewhere");
    }
  }

  /** Closes what is stored under a PIN. */
  async choosePin(pin: string): Promise<void> {
    const database = this.opened();
    await database.createVault(pin);
    this.status.isKept = await navigator.storage?.persist?.().catch(() => false);
    this.setup = { keys: await newKeys(), token: randomHex(32) };
    await database.put("setup", this.setup);
    this.status.phase = "enrolling";
  }

  /** Enrols with a one-time code. What was drawn for it is stored: whoever got no answer asks again with the same. */
  async enrol(code: string): Promise<void> {
    const setup = this.setup;
    if (setup === undefined) return;
    const enrolled = await enrol(code, await publicKeys(setup.keys), setup.token);
    this.setup = { ...setup, enrolled };
    await this.opened().put("setup", this.setup);
    await this.begin();
  }

  /** Opens what is stored; `false` where the PIN is wrong. */
  async unlock(pin: string): Promise<boolean> {
    const database = this.opened();
    if (this.status.wait > 0) return false;
    const attempts = (await database.attempts()) + 1;
    await database.noteAttempts(attempts);
    if (!(await database.unlock(pin))) {
      if (attempts >= FREE_ATTEMPTS) this.wait(Math.min(2 ** (attempts - FREE_ATTEMPTS) * 15, 3600));
      return false;
    }
    await database.noteAttempts(0);
    await this.resume();
    return true;
  }

  /** Goes on where it was closed. */
  private async resume(): Promise<void> {
    const database = this.opened();
    this.setup = await database.get<Setup>("setup");
    this.status.isKept = await navigator.storage?.persisted?.().catch(() => undefined);
    if (this.setup?.enrolled === undefined) {
      this.setup ??= { keys: await newKeys(), token: randomHex(32) };
      await database.put("setup", this.setup);
      this.status.phase = "enrolling";
    } else {
      await this.begin();
    }
  }

  /** Opens what is stored with a new code from the administrator, under a new PIN; `false` where that cannot be. */
  async recover(code: string, pin: string): Promise<boolean> {
    const isOpen = await openAnew(this.opened(), code, pin);
    if (isOpen) await this.resume();
    return isOpen;
  }

  /** Keeps nothing of what is stored, whatever was not sent: for whoever has no way to open it. */
  async startOver(): Promise<void> {
    await this.opened().erase();
    await this.opened().takeOver();
    this.close("new");
  }

  async changePin(old: string, pin: string): Promise<boolean> {
    return this.opened().changePin(old, pin);
  }

  /** Closes what is stored. What stands in an open form is sealed first: without the key nothing can be. */
  async lock(): Promise<void> {
    await this.drafts.flush();
    if (this.status.phase === "open") this.close("locked");
  }

  get me(): Enrolled {
    const enrolled = this.setup?.enrolled;
    if (enrolled === undefined) throw new Error("not enrolled");
    return enrolled;
  }

  private async begin(): Promise<void> {
    const database = this.opened();
    if (this.setup !== undefined) await keepKey(database, this.setup.keys, this.me.server_keys);
    const data = await database.get<CatalogueData>("catalogue");
    if (data !== undefined) this.catalogue = new Catalogue(data);
    this.units = (await database.get<KnownUnit[]>("units")) ?? [];
    const { cursor, documents, changes } = await database.contents();
    this.replica = new Replica(() => randomHex(16), cursor, documents, changes);
    this.transport = new Transport(this.setup?.token ?? "");
    this.status.syncedAt = await database.get<number>("synced-at");
    this.status.confirmedAt = (await database.receipts()).at(-1)?.time;
    this.count();
    await Promise.all([this.photos.count(), this.carried.load(), this.drafts.load(), this.years.load()]);
    this.status.phase = "open";
    this.soon(0);
  }

  private close(phase: Phase): void {
    clearTimeout(this.timer);
    this.database?.lock();
    this.replica = undefined;
    this.transport = undefined;
    this.setup = undefined;
    this.units = [];
    this.carried.forget();
    this.drafts.forget();
    this.status.phase = phase;
    this.status.version += 1;
  }

  private wait(seconds: number): void {
    this.status.wait = seconds;
    const tick = setInterval(() => {
      this.status.wait -= 1;
      if (this.status.wait <= 0) clearInterval(tick);
    }, 1000);
  }

  // What it holds.

  identities(): Identity[] {
    return this.replica?.identities() ?? [];
  }

  document(identity: Identity): LedgerDocument {
    return this.held().document(identity);
  }

  conflicts(): { identity: Identity; conflict: Conflict }[] {
    return this.identities().flatMap((identity) =>
      this.document(identity)
        .conflicts()
        .map((conflict) => ({ identity, conflict })),
    );
  }

  refused(): StoredChange[] {
    return this.replica?.refused() ?? [];
  }

  unsent(): { identity: Identity; hash: string }[] {
    return this.replica?.unsent() ?? [];
  }

  /** The rows of a document that have something unsent, each as `ledger/row`. */
  unsentRows(identity: Identity): Set<string> {
    const own = this.replica?.unsent().filter((change) => keyOf(change.identity) === keyOf(identity)) ?? [];
    return new Set(own.flatMap((change) => rowsIn(change.bytes)));
  }

  /**
   * Saves one form: on the disk when this returns. Says whether anything was new. `seen` is what the document was when the form
   * was opened, where others have written to the same cells since: then both values stay, and somebody decides. A row that is to be
   * new and is there by now is not written to.
   */
  save(identity: Identity, edits: readonly Edit[], seen?: readonly string[], isNew = false): Promise<boolean> {
    return this.change(identity, "form", (document, author) => {
      if (isNew) return document.add(identity, edits, author);
      const base = seen === undefined ? document : document.asSeen(seen, randomHex(16));
      return base.write(identity, edits, author);
    });
  }

  /** A person decides what a disputed cell says. */
  settle(identity: Identity, address: Address, value: Value): Promise<boolean> {
    return this.change(identity, "resolve", (document, author) => document.settle(address, value, author));
  }

  private change(
    identity: Identity,
    how: Provenance["how"],
    write: (document: LedgerDocument, author: Author) => LocalChange | undefined,
  ): Promise<boolean> {
    return this.inTurn(async () => {
      const replica = this.held();
      const now = Date.now();
      const author = { provenance: { who: this.me.owner, how }, time: Math.floor(now / 1000) };
      // A copy: what does not reach the disk was not written.
      const made = write(replica.document(identity).copy(), author);
      if (made === undefined) return false;
      await this.store(replica.append(identity, made.hash, made.bytes, now));
      this.soon(SAVE_DELAY_MS);
      return true;
    });
  }

  // The exchange.

  /** Sends what is unsent and takes what is new; one at a time. Asked while one is under way, another follows it. */
  sync(): Promise<void> {
    if (this.running !== undefined) {
      this.isWanted = true;
      return this.running;
    }
    const run = async () => {
      do {
        this.isWanted = false;
        await this.exchange();
      } while (this.isWanted && this.status.problem === undefined);
    };
    this.running = run().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  private async exchange(): Promise<void> {
    const { transport } = this;
    if (this.replica === undefined || transport === undefined) return;
    this.status.syncing = true;
    this.status.taken = 0;
    try {
      const session = new DeviceSession(this.held().cursor, this.held().unsent(), this.held().held());
      for (let request = session.nextRequest(Date.now()); request !== undefined; ) {
        const reply = await transport.exchange(encodeRequest(request));
        const page = session.receive(decodeReply(reply));
        // A server that is not the county's must not make anybody believe that their work has arrived.
        if (!areSigned(page, this.me.server_keys) && !(await this.areSignedAnew(page, transport))) {
          this.fail("forged", "");
          return;
        }
        if (await this.take(page)) return;
        if (page.complete) session.goOn(this.held().unconfirmed(), this.held().unsent());
        request = session.nextRequest(Date.now());
      }
      if (Date.now() - this.refreshedAt > REFRESH_MS && (await refresh(this, transport))) this.refreshedAt = Date.now();
      await this.photos.send(transport);
      await this.carried.send(transport);
      this.failures = 0;
      this.status.problem = undefined;
      this.status.syncedAt = Date.now();
      await this.opened().put("synced-at", this.status.syncedAt);
      this.soon(PERIOD_MS);
    } catch (error) {
      this.failed(error);
    } finally {
      this.status.syncing = false;
    }
  }

  // Where there is no network at all.

  /** What is unsent, in a file for the county's server; its answer is to be no larger than that. */
  async writeBundle(answerMax?: number): Promise<Uint8Array> {
    const replica = this.held();
    const session = DeviceSession.inOne(replica.cursor, replica.unsent(), replica.held(), replica.unconfirmed());
    const request = session.nextRequest(Date.now());
    if (request === undefined || this.setup === undefined) throw new SessionError("nothing to ask");
    const seen = await few(this.opened(), answerMax !== undefined);
    const { file, digest } = await sealRequest(request, this.setup.keys, this.me.server_keys, seen, answerMax);
    // Known before the file is out of this device: its answer is taken, and no other.
    await this.inTurn(() => remember(this.opened(), digest));
    return file;
  }

  /** Takes the server's answer, as often as one likes; says how many changes it confirms. */
  async readBundle(file: Uint8Array): Promise<number> {
    if (this.setup === undefined) throw new SessionError("locked");
    const reply = await openReply(file, this.setup.keys, this.me.server_keys, await asked(this.opened()));
    await this.inTurn(() => keep(this.opened(), [...reply.checkpoints].reverse()));
    let confirmed = 0;
    for (const frame of reply.replies) {
      const page = DeviceSession.page(frame);
      if (await this.take({ ...page, asked: page.complete ? reply.asked : [] })) return confirmed;
      confirmed += page.receipts.length;
    }
    return confirmed;
  }

  /** Takes in a page; `true` when nothing may be left here. */
  private take(page: Page): Promise<boolean> {
    return this.inTurn(async () => {
      const writes = this.held().commit(page);
      if (writes.erased) {
        await this.opened().erase();
        this.close("erased");
        return true;
      }
      await this.store(writes);
      if (page.checkpoint !== undefined) await keep(this.opened(), [page.checkpoint]);
      this.status.taken += page.documents.length;
      this.status.clockAhead = page.clockAhead;
      if (writes.receipt !== undefined) this.status.confirmedAt = writes.receipt.time;
      return false;
    });
  }

  /** Whether receipts are signed with the keys that the county has by now: it changes them from time to time. */
  private async areSignedAnew(page: Page, transport: Transport): Promise<boolean> {
    const serverKeys = await transport.serverKeys();
    if (this.setup === undefined || !areSigned(page, serverKeys)) return false;
    this.setup = { ...this.setup, enrolled: { ...this.me, server_keys: serverKeys } };
    await this.opened().put("setup", this.setup);
    await keepKey(this.opened(), this.setup.keys, serverKeys);
    return true;
  }

  private failed(error: unknown): void {
    // Locked while it was under way: it goes on when the PIN is given.
    if (this.status.phase !== "open") return;
    if (error instanceof TakenOver) {
      this.close("elsewhere");
      return;
    }
    if (error instanceof Offline) this.fail("offline", "");
    else if (error instanceof Unavailable) this.fail("unavailable", error.message);
    else if (error instanceof Refused) this.fail("refused", error.message);
    else if (error instanceof NoRoom) this.fail("no-room", "");
    else if (error instanceof SessionError || error instanceof Error) this.fail("protocol", error.message);
    else this.fail("protocol", String(error));
  }

  private fail(problem: Problem, detail: string): void {
    this.status.problem = problem;
    this.status.detail = detail;
    this.failures += 1;
    // Jitter, so that a county's phones do not all come at once when the line is back.
    const wait = Math.min(2 ** this.failures * 2_000, BACKOFF_MAX_MS);
    this.soon(wait / 2 + Math.random() * (wait / 2));
  }

  private soon(delay: number): void {
    if (this.status.phase !== "open") return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.sync(), delay);
  }

  private async turned(): Promise<void> {
    if (document.hidden) {
      this.hiddenAt = Date.now();
      await this.drafts.flush();
    } else if (this.hiddenAt > 0 && Date.now() - this.hiddenAt > HIDDEN_MAX_MS) {
      await this.lock();
    } else {
      this.soon(0);
    }
  }

  // What everything above stands on.

  private async store(writes: Writes): Promise<void> {
    try {
      await this.opened().write(writes);
    } catch (error) {
      // What is in memory is ahead of the disk: it is read again.
      await this.reload().catch(() => undefined);
      throw error;
    }
    this.count();
    this.status.version += 1;
  }

  private async reload(): Promise<void> {
    const { cursor, documents, changes } = await this.opened().contents();
    this.replica = new Replica(() => randomHex(16), cursor, documents, changes);
  }

  private count(): void {
    this.status.unsent = this.unsent().length;
    this.status.refused = this.refused().length;
    this.status.conflicts = this.conflicts().length;
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.queue.then(work);
    this.queue = turn.catch(() => undefined);
    return turn;
  }

  /** What is stored; an error where nothing can be. */
  opened(): Database {
    if (this.database === undefined) throw new NoRoom("no database");
    return this.database;
  }

  private held(): Replica {
    if (this.replica === undefined) throw new Error("locked");
    return this.replica;
  }
}

export const device = new Device();
export { ForeignBundle, NoRoom, RowTaken };
