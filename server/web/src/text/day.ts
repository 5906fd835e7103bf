// What day it is for the person with the phone: by the phone's own clock and zone, never by UTC, which is a day behind in the morning.

/** The day of an instant where this phone is, as `2012-03-15`. */
export function dayOf(at: Date): string {
  const two = (part: number) => String(part).padStart(2, "0");
  return `${String(at.getFullYear()).padStart(4, "0")}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}
