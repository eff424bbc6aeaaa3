"use strict";
(() => {
  const W = 560, H = 300, L = 62, R = 12, T = 10, B = 44, NS = "http://www.w3.org/2000/svg";
  const make = (name, attributes, parent, text) => {
    const node = document.createElementNS(NS, name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    parent.appendChild(node);
    return node;
  };
  const show = (v) => v === 0 ? "0" : Math.abs(v) >= 1e5 || Math.abs(v) < 1e-3 ? v.toExponential(1) : String(+v.toPrecision(4));
  const linear = (low, high) => {
    const power = 10 ** Math.floor(Math.log10(high - low));
    let ticks = [];
    for (const step of [5 * power, 2 * power, power, power / 2, power / 5]) {
      ticks = [];
      for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) ticks.push(i * step);
      if (ticks.length > 2) break;
    }
    return ticks;
  };
  const decades = (low, high) => {
    const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
    const every = Math.max(1, Math.ceil((last - first) / 6));
    for (const marks of [[1], [1, 3], [1, 2, 5]]) {
      const ticks = [];
      for (let e = first; e <= last; e += every) for (const m of marks) ticks.push(m * 10 ** e);
      const inside = ticks.filter((t) => t >= low && t <= high);
      if (inside.length > 2) return inside;
    }
    return linear(low, high);
  };
  const draw = (svg, chart, shown, log) => {
    const points = shown.flatMap((s) => s.points.filter((p) => !log || p[1] > 0));
    svg.replaceChildren();
    if (!points.length) return null;
    const [low, high] = !log && chart.limits || [-Infinity, Infinity];
    const xs = points.map((p) => p[0]), ys = points.map((p) => log ? Math.log10(p[1]) : Math.min(high, Math.max(low, p[1])));
    const min = (a) => a.reduce((x, y) => Math.min(x, y)), max = (a) => a.reduce((x, y) => Math.max(x, y));
    let [x0, x1, y0, y1] = [min(xs), max(xs), min(ys), max(ys)];
    if (x1 === x0) { const by = Math.abs(x0) * .5 || 1; x0 -= by; x1 += by; }
    const pad = y1 === y0 ? Math.abs(y0) * .1 + 1e-6 : (y1 - y0) * .05;
    y0 -= pad; y1 += pad;
    const px = (x) => L + (x - x0) / (x1 - x0) * (W - L - R);
    const py = (y) => T + (y1 - Math.min(y1, Math.max(y0, log ? Math.log10(y) : y))) / (y1 - y0) * (H - T - B);
    for (const t of log ? decades(10 ** y0, 10 ** y1) : linear(y0, y1)) {
      make("line", { class: "grid", x1: L, x2: W - R, y1: py(t), y2: py(t) }, svg);
      make("text", { x: L - 6, y: py(t) + 4, "text-anchor": "end" }, svg, show(t));
    }
    for (const t of linear(x0, x1)) if (chart.axis !== "update" || Number.isInteger(t)) make("text", { x: px(t), y: H - B + 18, "text-anchor": px(t) > W - 3 * R ? "end" : "middle" }, svg, show(t));
    make("text", { x: W - R, y: H - 4, "text-anchor": "end" }, svg, chart.axis);
    for (const one of shown) {
      const kept = one.points.filter((p) => !log || p[1] > 0), style = `stroke:var(--c${one.colour})`;
      const place = kept.map((p) => `${px(p[0]).toFixed(1)},${py(p[1]).toFixed(1)}`).join(" ");
      make("polyline", { class: "line" + (one.dashed ? " dashed" : ""), points: place, style }, svg);
      if (kept.length < 25) for (const p of kept)
        make("circle", { class: "dot", cx: px(p[0]), cy: py(p[1]), r: 3, style: `fill:var(--c${one.colour})` }, svg);
    }
    return { px, invert: (x) => x0 + (x - L) / (W - L - R) * (x1 - x0) };
  };
  const nearest = (points, x) => points.reduce((a, b) => Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a);
  const start = (figure, chart) => {
    const svg = figure.querySelector(":scope > svg"), button = figure.querySelector("button");
    const values = figure.querySelector(".values");
    const off = new Set(), shown = () => chart.series.filter((s) => !off.has(s.name));
    let log = chart.log, scale = draw(svg, chart, shown(), log), at = null;
    const positive = chart.series.some((s) => s.points.some((p) => p[1] > 0));
    button.hidden = !positive;
    const point = (x) => {
      const steps = shown().flatMap((s) => s.points);
      if (!scale || !steps.length) return;
      at = nearest(steps, x)[0];
      svg.querySelector(".cursor")?.remove();
      make("line", { class: "cursor", x1: scale.px(at), x2: scale.px(at), y1: T, y2: H - B }, svg);
      const said = shown().map((s) => {
        const p = nearest(s.points, at);
        return `${s.name} ${show(p[1])}` + (p[0] === at ? "" : ` (at ${show(p[0])})`);
      });
      values.textContent = `${chart.axis} ${at}: ${said.join(", ")}`;
    };
    const again = () => {
      scale = draw(svg, chart, shown(), log);
      at = null;
      values.textContent = log && shown().some((s) => s.points.some((p) => p[1] <= 0)) ? "Values of 0 or less are not drawn." : "";
    };
    button.addEventListener("click", () => {
      log = !log;
      button.setAttribute("aria-pressed", String(log));
      again();
    });
    if (chart.series.length > 1) figure.querySelectorAll(".legend li").forEach((item, i) => {
      const name = chart.series[i].name, key = document.createElement("button");
      key.type = "button";
      key.title = "show or hide this curve";
      key.setAttribute("aria-pressed", "true");
      key.append(...item.childNodes);
      item.append(key);
      key.addEventListener("click", () => {
        off.has(name) ? off.delete(name) : off.add(name);
        key.setAttribute("aria-pressed", String(!off.has(name)));
        again();
      });
    });
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      point(scale ? scale.invert((event.clientX - box.left) / box.width * W) : 0);
    });
    svg.setAttribute("tabindex", "0");
    svg.addEventListener("keydown", (event) => {
      const turn = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!turn) return;
      event.preventDefault();
      const steps = [...new Set(shown().flatMap((s) => s.points.map((p) => p[0])))].sort((a, b) => a - b);
      const place = at === null ? (turn > 0 ? -1 : steps.length) : steps.indexOf(at);
      point(steps[Math.min(steps.length - 1, Math.max(0, place + turn))]);
    });
  };
  const charts = JSON.parse(document.getElementById("chart-data").textContent);
  for (const chart of charts) start(document.querySelector(`[data-chart="${chart.id}"]`), chart);
  for (const pair of document.querySelectorAll(".pair")) {
    const input = pair.querySelector("input");
    if (!input) continue;
    pair.classList.add("live");
    const stack = pair.querySelector(".stack");
    const move = () => stack.style.setProperty("--at", `${input.value}%`);
    const drag = (event) => {
      if (!(event.buttons & 1)) return;
      const box = stack.getBoundingClientRect();
      input.value = 100 * (event.clientX - box.left) / box.width;
      move();
    };
    stack.addEventListener("pointerdown", drag);
    stack.addEventListener("pointermove", drag);
    stack.addEventListener("dragstart", (event) => event.preventDefault());
    input.addEventListener("input", move);
    move();
  }
})();
