"use strict";
const words = { valid: "真实有效", altered: "内容已被改动", unsigned: "无法确认" };
const result = document.getElementById("result");
const element = (name, text, kind) => {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
};
document.getElementById("file").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (!file) return;
  result.replaceChildren(element("p", "正在核对……"));
  try {
    const response = await fetch("/api/returns/verify", { method: "POST", body: file });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.detail);
    const shown = [element("h2", words[answer.verdict], answer.verdict), element("p", answer.sentence)];
    if (answer.drawn) {
      const { number, title, unit_name, date } = answer.drawn;
      shown.push(element("p", `${number} ${title} · ${unit_name} · 统计截止日期 ${date} · 校验码 ${answer.code}`));
    }
    if (answer.is_stale) shown.push(element("p", "生成以后，所依据的台账又有修改。", "unsigned"));
    if (answer.altered.length > 0) {
      const list = document.createElement("ul");
      list.append(...answer.altered.map((cell) => element("li", cell)));
      shown.push(list);
    }
    result.replaceChildren(...shown);
  } catch (error) {
    result.replaceChildren(element("h2", "没有核对成功", "error"), element("p", error.message));
  }
  target.value = "";
});
