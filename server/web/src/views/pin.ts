import { t } from "../text/words";

/** What is wrong with a PIN that somebody chooses; nothing, if it will do. */
export function weakness(pin: string): string {
  if (!/^\d{6,32}$/.test(pin)) return t("pinShort");
  const steps = new Set(Array.from(pin.slice(1), (digit, at) => Number(digit) - Number(pin[at])));
  return steps.size === 1 && [-1, 0, 1].includes([...steps][0] ?? 9) ? t("pinWeak") : "";
}
