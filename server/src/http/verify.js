"use strict";
const words = {
  valid: "真实有效",
  resaved: "真实有效（经其他软件另存）",
  altered: "内容已被改动",
  outdated: "旧版签章，无法确认",
  unsigned: "无法确认",
};
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
    if (answer.is_stale) shown.push(element("p", "生成以后，所统计的台账又有修改，现在的数据与此不同。", "unsigned"));
    if (answer.changes.length > 0) {
      const list = document.createElement("ul");
      list.append(...answer.changes.map((change) => element("li", change)));
      shown.push(list);
    }
    result.replaceChildren(...shown);
  } catch (error) {
    result.replaceChildren(element("h2", "没有核对成功", "error"), element("p", error.message));
  }
  target.value = "";
});
const table = ({ name, rows }) => {
  const made = document.createElement("table");
  made.append(element("caption", name));
  for (const cells of rows) {
    const row = document.createElement("tr");
    row.append(...cells.map((cell) => element("td", cell)));
    made.append(row);
  }
  return made;
};
document.getElementById("code").addEventListener("submit", async (event) => {
  event.preventDefault();
  const typed = new FormData(event.target).get("code").replace(/[^0-9A-Za-z]/g, "");
  if (!typed) return;
  result.replaceChildren(element("p", "正在查找……"));
  try {
    const response = await fetch(`/api/returns/codes/${typed}`);
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.detail);
    const head = answer.exists ? "有这份报表" : "没有这份报表";
    const shown = [element("h2", head, answer.exists ? "valid" : "altered"), element("p", answer.sentence)];
    if (answer.drawn) {
      const { number, title, unit_name, date, seq } = answer.drawn;
      const of = `${number} ${title} · ${unit_name} · 统计截止日期 ${date} · 校验码 ${answer.code} · 回执号 ${seq}`;
      shown.push(element("p", of));
    }
    shown.push(...answer.sheets.map(table));
    result.replaceChildren(...shown);
  } catch (error) {
    result.replaceChildren(element("h2", "没有查到", "error"), element("p", error.message));
  }
});
