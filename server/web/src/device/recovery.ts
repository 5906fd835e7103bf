// A forgotten PIN: the county gives back the key to what is stored here, to whoever has a new code of the person whose phone it is.

import { watch } from "vue";
import type { Database } from "../store/database";
import { sealKey } from "../sync/bundle";
import { bytes } from "../sync/frames";
import type { Device } from "./device";
import { type Keys, randomHex } from "./keys";
import { recover } from "./transport";

/** Keeps the key as only the county can read it; once for each of the county's keys. Where that fails, work goes on. */
export async function keepKey(database: Database, keys: Keys, serverKeys: string): Promise<void> {
  try {
    if ((await database.recovery())?.to === serverKeys) return;
    await database.putRecovery({ sealed: await sealKey(database.key, keys, serverKeys), to: serverKeys });
  } catch (error) {
    console.warn("a forgotten PIN could not be replaced", error);
  }
}

/** Keeps count of what would be lost: changes, photos, forms that were not saved. */
export function countUnsent(device: Device): void {
  const { status } = device;
  const unsent = () => status.unsent + status.photos + status.drafts;
  watch([() => status.phase, unsent], ([phase, count]) => {
    if (phase === "open") void device.opened().noteUnsent(count).catch(() => undefined);
  });
}

/** Opens what is stored with what the county gives back, and closes it by a new PIN; `false` where it does not fit. */
export async function openAnew(database: Database, code: string, pin: string): Promise<boolean> {
  const recovery = await database.recovery();
  if (recovery === undefined) return false;
  const { sealed, to, nonce = randomHex(32) } = recovery;
  // Stored before it is shown to anybody: an answer that gets lost has used the code up for whoever has another.
  await database.putRecovery({ sealed, to, nonce });
  const isOpen = await database.reopen(bytes(await recover(code, sealed, nonce)), pin);
  if (isOpen) await database.putRecovery({ sealed, to });
  return isOpen;
}
