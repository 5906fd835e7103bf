// What the shape of a text tells, whatever its column: that it was masked, that its last digits are gone, or that it stands in
// for a value that nobody knows yet. The server decides the same (sync-protocol/src/shape.rs): row ids hang on it.

import { division, phone, uscc } from "./checks";

const HIDING = "*∗✱⁎●×█■▇";
/** Digits beside a star beyond which it hides one: `1200*800` are measures. */
const DIGITS_MAX = 5;
const PLACEHOLDERS = new Set([
  ..."无 空 缺 略 暂无 暂缺 暂定 暂未 没有 不详 不明 不清 不清楚 不知道 未知 未填 未办 未定 未提供 未登记 未采集 未录入".split(" "),
  ..."补办中 办理中 遗失 丢失 同上 保密 n/a na null none nil tbd #n/a / - ?".split(" "),
]);

const isHiding = (character: string) => HIDING.includes(character);
const isCross = (character: string | undefined) => character === "x" || character === "X";
const isHan = (character: string) => /^[\u3400-\u9fff\u{20000}-\u{3ffff}〇]$/u.test(character);
const isDigit = (character: string | undefined) => character !== undefined && /^[0-9]$/.test(character);

function compact(text: string): string {
  return text.normalize("NFKC").replace(/[\s\u0085\u200b-\u200d\ufeff]/gu, "");
}

/** `***`, `138****5678`, `1980-01*`, `张*三`, `●●●`, `xxxx`; a star that multiplies or points to a note hides nothing. */
export function isMasked(text: string): boolean {
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "");
  const isSigns = (line: string) => Array.from(line).every((c) => isHiding(c === "＊" || c === "﹡" ? "*" : c));
  const ends = [lines[0], lines[lines.length - 1]];
  return (
    ends.some((line) => line !== undefined && isSigns(line) && hides(compact(line))) ||
    lines.some((line) => !isSigns(line) && hides(compact(line)))
  );
}

/** The same of a person's name, in which one sign is enough; before or behind a whole name it points to a note. */
export function isMaskedName(text: string): boolean {
  const isSign = (c: string) => isHiding(c) || c === "○" || c === "□" || isCross(c);
  const plain = Array.from(unmarked(compact(text)));
  if (plain.some((c) => /^[A-Za-z]$/.test(c) && !isCross(c))) return plain.some(isHiding);
  return plain.some(isSign);
}

function unmarked(name: string): string {
  const star = "[*＊∗﹡※★☆△▲#]";
  const bare = new RegExp(`^${star}`, "u").test(name)
    ? name.replace(new RegExp(`^${star}`, "u"), "").trim()
    : name.replace(new RegExp(`${star}$`, "u"), "").trim();
  return Array.from(bare).filter(isHan).length >= 3 ? bare : name;
}

/** A long number that has lost its last digits in a spreadsheet: `3.40099E+17`. */
export function isDamaged(text: string): boolean {
  const found = /^'*([0-9])(?:\.([0-9]+))?e\+?([0-9]+)$/.exec(compact(text).toLowerCase());
  const exponent = Number(found?.[3]);
  return exponent >= 7 && exponent < 100;
}

/** 待补, 不详, 无, `???`: there is no value yet. */
export function isPlaceholder(text: string): boolean {
  const bare = compact(text).toLowerCase().replace(/^[()[\]【】。.]+|[()[\]【】。.]+$/gu, "");
  const awaits = /^(待|尚未|还未|正在)/u.test(bare) && Array.from(bare).length <= 5;
  return bare === "" || awaits || PLACEHOLDERS.has(bare) || /^[!-/:-@[-`{-~—]+$/u.test(bare);
}

function isRun(text: string): boolean {
  return text.length >= 6 && new Set(Array.from(text)).size === 1;
}

/** Whether a text of this type can say who or what something is; identity numbers are in no key that a phone uses. */
export function identifies(type: string, text: string): boolean {
  switch (type) {
    case "uscc":
      return "value" in uscc(text) && !isRun(text);
    case "division":
      return "value" in division(text) && !isRun(text);
    case "phone":
      return phone(text) !== undefined && !isRun(text);
    case "person":
      return !isMaskedName(text) && !isPlaceholder(text) && !isDamaged(text);
    case "text":
    case "long_text":
    case "ref":
      return !isMasked(text) && !isPlaceholder(text) && !isDamaged(text);
    default:
      return !isMasked(text);
  }
}

/** Whether one line without blanks hides something. */
function hides(text: string): boolean {
  const chars = Array.from(text);
  const whole = (length: number, is: (c: string) => boolean) => chars.length >= length && chars.every(is);
  if (text === "*" || whole(2, isHiding) || whole(2, isCross)) return true;
  if (whole(3, (c) => c === "○" || c === "□") || whole(3, (c) => c === "#")) return true;
  for (let at = 0; at < chars.length; at += 1) {
    let end = at;
    while (end < chars.length && isHiding(chars[end] ?? "")) end += 1;
    if (end > at && runHides(chars, at, end)) return true;
    at = Math.max(at, end);
  }
  return crossesHide(chars);
}

function runHides(chars: readonly string[], from: number, to: number): boolean {
  const [before, after] = [chars.slice(0, from), chars.slice(to)];
  const count = (characters: readonly string[]) => {
    const end = characters.findIndex((c) => !isDigit(c));
    return end < 0 ? characters.length : end;
  };
  const [digitsBefore, digitsAfter] = [count([...before].reverse()), count(after)];
  if (to - from > 2) return true;
  if (to - from === 2) return !(digitsBefore > 0 && digitsAfter > 0 && chars.length <= DIGITS_MAX + 1);
  if (chars[from] !== "*") return false;
  const isInside = before.length > 0 && after.length > 0;
  const isName = (chars.length === 2 || (isInside && chars.length <= 4)) && [...before, ...after].every(isHan);
  const isEnd =
    (after.length === 0 && (digitsBefore > DIGITS_MAX || isMonth(before.join("")))) ||
    (before.length === 0 && digitsAfter > DIGITS_MAX);
  return isName || isEnd;
}

/** `1980-01`, `1980.1`: what is left of a date. */
function isMonth(text: string): boolean {
  return /^(19|20)[0-9]{2}[-./年]/u.test(text) && text.split(/[-./年]/u).slice(1).every((part) => /^.{0,2}月*$/u.test(part));
}

/** Three crosses and more that are no word, or two in a short text. */
function crossesHide(chars: readonly string[]): boolean {
  for (let at = 0; at < chars.length; ) {
    let end = at;
    while (isCross(chars[end])) end += 1;
    const neighbours = [chars[at - 1], chars[end]].filter((c) => c !== undefined);
    const enough = end - at >= 3 || (end - at === 2 && chars.length <= 4 && neighbours.some(isHan));
    if (enough && !neighbours.some((c) => /^[A-Za-z.@/:]$/.test(c))) return true;
    at = Math.max(end, at + 1);
  }
  return false;
}
