// What a person types into a field, and what is stored: canonical values, or a sentence about what is wrong.

import type { Value } from "../document/value";
import type { Catalogue, Column } from "./catalogue";
import { division, phone, uscc } from "./checks";

export type Entered = { readonly value: Value } | { readonly fault: string };

const INTEGER_MAX = Number.MAX_SAFE_INTEGER;

/** Reads what was typed. Chinese full-width digits and punctuation are taken as their plain forms. */
export function read(column: Column, typed: string): Entered {
  const text = column.type === "long_text" || column.type === "text" ? typed.trim() : typed.normalize("NFKC").trim();
  if (text === "") return { value: null };
  switch (column.type) {
    case "int": {
      const number = Number(text);
      const isWhole = /^-?\d+$/.test(text) && Math.abs(number) <= INTEGER_MAX;
      return isWhole ? { value: number } : { fault: "应为整数，如 12" };
    }
    case "decimal":
    case "money_yuan":
    case "money_wan":
    case "percent":
    case "score":
      return decimal(column.type, text);
    case "date":
    case "pdate":
      return date(text, column.type === "date");
    case "year":
      return /^(19|20)\d{2}$/.test(text) ? { value: text } : { fault: "应为四位年份，如 2012" };
    case "phone": {
      const number = phone(text);
      return number === undefined ? { fault: "号码有误，应为11位手机号或带区号的座机" } : { value: number };
    }
    case "uscc":
      return uscc(text);
    case "division":
      return division(text);
    default:
      return { value: text };
  }
}

const PLACES: Record<string, number> = { money_yuan: 2, money_wan: 6, percent: 2, score: 1, decimal: 6 };

function decimal(type: string, text: string): Entered {
  const plain = text.replaceAll(",", "").replace(/%$/, "");
  const match = /^(-?)0*(\d+)(?:\.(\d*))?$/.exec(plain);
  if (match === null) return { fault: "应为数字，如 12.5" };
  const fraction = (match[3] ?? "").replace(/0+$/, "");
  if (fraction.length > (PLACES[type] ?? 6)) return { fault: `小数最多 ${PLACES[type] ?? 6} 位` };
  if (type === "percent" && Number(plain) > 100) return { fault: "百分比不能超过100" };
  const value = `${match[1]}${match[2]}${fraction === "" ? "" : `.${fraction}`}`;
  if (type !== "money_wan") return { value: padded(value, type) };
  // Entered and shown in 万元, stored in yuan.
  return { value: padded(wanToYuan(value), "money_yuan") };
}

/** Amounts, percentages and scores have as many decimals as they are printed with: equal values are equal texts. */
const FIXED: Record<string, number> = { money_yuan: 2, percent: 2, score: 1 };

function padded(value: string, type: string): string {
  const places = FIXED[type] ?? 0;
  if (places === 0) return value;
  const [whole = "0", fraction = ""] = value.split(".");
  return `${whole}.${fraction.padEnd(places, "0")}`;
}

function wanToYuan(value: string): string {
  const [whole = "0", fraction = ""] = value.replace("-", "").split(".");
  const digits = `${whole}${fraction.padEnd(4, "0").slice(0, 4)}`.replace(/^0+(?=\d)/, "");
  const rest = fraction.slice(4);
  return `${value.startsWith("-") ? "-" : ""}${digits}${rest === "" ? "" : `.${rest}`}`;
}

function yuanToWan(value: string): string {
  const [whole = "0", fraction = ""] = value.replace("-", "").split(".");
  const digits = whole.padStart(5, "0");
  const rest = `${digits.slice(-4)}${fraction}`.replace(/0+$/, "");
  return `${value.startsWith("-") ? "-" : ""}${digits.slice(0, -4)}${rest === "" ? "" : `.${rest}`}`;
}

/** 2012、2012-3、2012.3.15、2012年3月15日、20120315: as precise as it was said. */
function date(text: string, whole: boolean): Entered {
  const fault = whole ? "应为年月日，如 2012-03-15" : "应为年、年月或年月日，如 1998-07";
  const compact = /^(\d{4})(\d{2})(\d{2})?$/.exec(text);
  const spaced = /^(\d{4})(?:[-./年](\d{1,2})(?:[-./月](\d{1,2})日?|月)?|年)?$/.exec(text);
  const match = compact ?? spaced;
  if (match === null) return { fault };
  const [year = "", month, day] = [match[1], match[2], match[3]];
  if (whole && day === undefined) return { fault };
  const parts = [year, month?.padStart(2, "0"), day?.padStart(2, "0")].filter((part) => part !== undefined);
  const at = new Date(`${parts[0]}-${parts[1] ?? "01"}-${parts[2] ?? "01"}T00:00:00Z`);
  const isReal =
    !Number.isNaN(at.getTime()) && at.toISOString().slice(0, 10).startsWith(parts.join("-")) && Number(year) >= 1900;
  return isReal ? { value: parts.join("-") } : { fault: "没有这一天，请核对" };
}

/** A value as it stands in a field to be edited. */
export function editable(column: Column, value: Value | undefined): string {
  if (value === null || value === undefined) return "";
  if (column.type === "money_wan" && typeof value === "string") return yuanToWan(value);
  return String(value);
}

/** A value as it is read in lists. */
export function printed(catalogue: Catalogue, column: Column, value: Value | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "是" : "否";
  if (column.type === "enum") return catalogue.label(column.list, String(value));
  return editable(column, value);
}
