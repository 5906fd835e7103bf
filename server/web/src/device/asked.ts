// The bundles that this device has written last: answers to them are taken, and to no others.

import type { Database } from "../store/database";

const KEY = "asked";
/** Bundles of which answers are still taken. */
const ASKED_MAX = 100;

/** What names them. */
export async function asked(database: Database): Promise<string[]> {
  return (await database.get<string[]>(KEY)) ?? [];
}

/** One more: on the disk when this returns. */
export async function remember(database: Database, digest: string): Promise<void> {
  const others = (await asked(database)).filter((known) => known !== digest);
  await database.put(KEY, [...others, digest].slice(-ASKED_MAX));
}
