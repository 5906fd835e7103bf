// Numbers with check characters, by their standards.

import type { Entered } from "./entry";

const USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY";

/** Unified social credit code, GB 32100-2015. */
export function uscc(text: string): Entered {
  const code = text.toUpperCase();
  if (Array.from(code).length !== 18) return { fault: "应为18位" };
  const values = Array.from(code, (character) => USCC.indexOf(character));
  if (values.includes(-1)) return { fault: "含有不允许的字符（不用 I、O、S、V、Z）" };
  let [weight, sum] = [1, 0];
  for (const value of values.slice(0, 17)) {
    sum += value * weight;
    weight = (weight * 3) % 31;
  }
  return values[17] === (31 - (sum % 31)) % 31 ? { value: code } : { fault: "校验码不符" };
}

/** Division code: 6 (county), 9 (township) or 12 digits with their ranges; the result has 12. */
export function division(text: string): Entered {
  if (!/^(\d{6}|\d{9}|\d{12})$/.test(text)) return { fault: "应为6、9或12位数字" };
  const code = text.padEnd(12, "0");
  const [township, village] = [Number(code.slice(6, 9)), Number(code.slice(9, 12))];
  if (township >= 600) return { fault: "乡镇段（第7至9位）超出范围" };
  if (township === 0 && village > 0) return { fault: "有村（社区）段而没有乡镇段" };
  if (village >= 600) return { fault: "村（社区）段（第10至12位）超出范围" };
  return { value: code };
}

/** Telephone number without blanks, hyphens and country code, if it is one: mobile, or landline with or without area code. */
export function phone(text: string): string | undefined {
  const digits = text.replace(/[ -]/g, "");
  const plain = /^(?:\+86|0086|86)(.{11})$/.exec(digits)?.[1] ?? digits;
  if (!/^\d+$/.test(plain)) return undefined;
  const isMobile = /^1[3-9]\d{9}$/.test(plain);
  const isLocal = plain.length === 7 || plain.length === 8;
  const hasArea = plain.length >= 10 && plain.length <= 12 && plain.startsWith("0");
  return isMobile || isLocal || hasArea ? plain : undefined;
}
