import { Offline, Refused } from "../device/transport";
import { t } from "../text/words";

/** Why a one-time code was not taken. */
export function refusal(error: unknown): string {
  if (error instanceof Offline) return t("enrolOffline");
  if (error instanceof Refused && error.status === 404) return t("enrolUnknown");
  return error instanceof Error ? error.message : String(error);
}
