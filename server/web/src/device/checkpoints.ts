// The checkpoints of the server's audit log that this device has seen, oldest first: it is a witness of the log. It judges none of
// them, and puts a few into the head of each bundle that it writes.

import type { Database } from "../store/database";

const KEY = "checkpoints";
/** Characters of a checkpoint that is kept. */
const LENGTH_MAX = 2048;
/** Checkpoints that are kept. */
const KEPT_MAX = 300;

type Store = Pick<Database, "get" | "put">;

async function kept(database: Store): Promise<string[]> {
  return (await database.get<string[]>(KEY)) ?? [];
}

/**
 * Keeps those that are new, in the order in which they were given. Where there are too many, every second one goes, but neither
 * the first nor the newest.
 */
export async function keep(database: Store, seen: readonly string[]): Promise<void> {
  let known = await kept(database);
  const news = seen.filter((text) => text.length > 0 && text.length <= LENGTH_MAX && !known.includes(text));
  if (news.length === 0) return;
  known = [...known, ...new Set(news)];
  while (known.length > KEPT_MAX) known = known.filter((_, at) => at % 2 === 0 || at === known.length - 1);
  await database.put(KEY, known);
}

/** The newest, those before it at distances that double, and the first; only the newest, where every byte counts. */
export async function few(database: Store, isNarrow: boolean): Promise<string[]> {
  const newestFirst = [...(await kept(database))].reverse();
  if (isNarrow) return newestFirst.slice(0, 1);
  const isTaken = (at: number) => Number.isInteger(Math.log2(at + 1)) || at === newestFirst.length - 1;
  return newestFirst.filter((_, at) => isTaken(at));
}
