import assert from "node:assert/strict";
import { test } from "node:test";

test("what the server says is shown in the chosen language alone", async () => {
  // What a browser keeps the choice in.
  Object.assign(globalThis, { localStorage: { getItem: () => null } });
  const { language, said } = await import("../src/text/words");
  const both = "登记码无效 | no such code";
  const cases: [string, string, string][] = [
    [both, "登记码无效", "no such code"],
    ["张三填错了 | `张三` is wrong", "张三填错了", "`张三` is wrong"],
    // Whatever was said in one language only is said to nobody who has chosen the other.
    ["missing field `keys` at line 1", "程序原因，请告知管理员", "missing field `keys` at line 1"],
    ["只有中文", "只有中文", "A technical reason: tell your administrator"],
    ["", "", ""],
  ];
  try {
    for (const [sentence, chinese, english] of cases) {
      language.value = "zh";
      assert.equal(said(sentence), chinese);
      language.value = "en";
      assert.equal(said(sentence), english);
    }
  } finally {
    language.value = "zh";
  }
});
