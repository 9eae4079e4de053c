// What the console does in the browser. Every page works without it.
"use strict";

// Times of the server are in UTC; beside each stands the one of this machine.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "local";
const local = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
function addLocalTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (isNaN(at) || at.getTimezoneOffset() === 0 || time.querySelector(".local")) continue;
    const span = document.createElement("span");
    span.className = "local";
    span.textContent = local.format(at) + " here";
    span.title = zone;
    time.append(span);
  }
}

// On a narrow screen the menu is behind a button.
function foldMenu() {
  const button = document.getElementById("menu-button"), menu = document.getElementById("menu");
  if (!button) return;
  const narrow = matchMedia("(max-width: 59.99rem)");
  const fit = () => {
    button.hidden = !narrow.matches;
    menu.hidden = narrow.matches && button.getAttribute("aria-expanded") !== "true";
  };
  button.addEventListener("click", () => {
    button.setAttribute("aria-expanded", String(button.getAttribute("aria-expanded") !== "true"));
    fit();
  });
  narrow.addEventListener("change", fit);
  fit();
}

// A form is sent once, however often its button is pressed.
function sendOnce() {
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    for (const button of event.target.querySelectorAll("button")) setTimeout(() => { button.disabled = true; });
  });
  addEventListener("pageshow", () => { for (const button of document.querySelectorAll("button:disabled")) button.disabled = false; });
}

// "all" ticks every box of its form, and a counter says how many are ticked.
function tickAll() {
  const all = document.querySelector("input[data-all]");
  if (!all) return;
  const boxes = [...document.querySelectorAll("input[name=" + CSS.escape(all.dataset.all) + "]")];
  const count = document.querySelector("[data-ticked]");
  const tell = () => {
    const n = boxes.filter((box) => box.checked).length;
    all.checked = n === boxes.length;
    all.indeterminate = n > 0 && n < boxes.length;
    if (count) count.textContent = n + " ticked";
  };
  all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; tell(); });
  for (const box of boxes) box.addEventListener("change", tell);
  tell();
}

// Plots. Their numbers are for the eye only: exact ones come from the server as text.
const svgNS = "http://www.w3.org/2000/svg";
const spanMost = 15 * 60 * 1000, spanLeast = 2 * 60 * 1000;
function plot(card, points, now) {
  const plotSpan = Math.min(spanMost, Math.max(spanLeast, now - (points[0]?.t ?? now)));
  const svg = card.querySelector("svg"), names = card.dataset.series.split(" ");
  const shown = points.filter((p) => p.t > now - plotSpan);
  const most = Math.max(0, ...shown.flatMap((p) => names.map((n) => p[n] || 0)));
  const top = Math.max(Number(card.dataset.least) || 1, most) * 1.1;
  card.querySelector("[data-top]").textContent = "most " + new Intl.NumberFormat("en", { maximumSignificantDigits: 2 }).format(most);
  card.querySelector("[data-since]").textContent = Math.round(plotSpan / 60000) + " min ago";
  svg.setAttribute("viewBox", "0 0 1000 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.replaceChildren();
  const add = (tag, name, attributes) => {
    const element = document.createElementNS(svgNS, tag);
    element.setAttribute("class", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    svg.append(element);
  };
  for (const y of [0, 50, 100]) add("line", "grid", { x1: 0, x2: 1000, y1: y, y2: y });
  names.forEach((name, i) => {
    const at = shown.filter((p) => typeof p[name] === "number")
      .map((p) => [((p.t - (now - plotSpan)) / plotSpan * 1000).toFixed(1), (100 - p[name] / top * 100).toFixed(2)]);
    if (at.length === 0) return;
    const path = "M" + at.map((xy) => xy.join(" ")).join("L");
    if (i === 0) add("path", "fill", { d: path + "L" + at[at.length - 1][0] + " 100L" + at[0][0] + " 100Z" });
    add("path", i === 0 ? "line" : "line second", { d: path });
  });
}

// update makes one tree like another and leaves alone what is the same, so that the
// focus stays where it is.
function update(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName || from.childNodes.length !== to.childNodes.length) {
    from.replaceWith(to);
    return;
  }
  if (from.nodeType === Node.TEXT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  if (from.nodeType !== Node.ELEMENT_NODE) return;
  for (const { name, value } of [...to.attributes]) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  for (const { name } of [...from.attributes]) if (!to.hasAttribute(name)) from.removeAttribute(name);
  const children = [...to.childNodes];
  [...from.childNodes].forEach((child, i) => update(child, children[i]));
}

function watchLive() {
  const place = document.querySelector("[data-events]");
  if (!place) return;
  const sign = document.querySelector(".live"), cards = [...document.querySelectorAll(".plot[data-series]")];
  let points = [], ahead = 0;
  const draw = () => { for (const card of cards) plot(card, points, Date.now() + ahead); };
  const source = new EventSource(place.dataset.events);
  source.addEventListener("points", (event) => { points = JSON.parse(event.data); draw(); });
  source.addEventListener("now", (event) => {
    const told = JSON.parse(event.data);
    ahead = told.point.t - Date.now(); // the plots run by the server's clock
    points = points.filter((p) => p.t > told.point.t - spanMost && p.t !== told.point.t).concat(told.point);
    const fresh = document.createElement("div");
    fresh.innerHTML = told.html; // ours: the same template as the page
    for (const part of fresh.querySelectorAll("[data-live]")) {
      const old = place.querySelector("[data-live=" + CSS.escape(part.dataset.live) + "]");
      if (!old) continue;
      addLocalTimes(part);
      update(old, part);
    }
    draw();
    sign.classList.add("on");
    sign.textContent = "Live";
  });
  source.addEventListener("error", () => {
    sign.classList.remove("on");
    sign.textContent = source.readyState === EventSource.CLOSED ? "Stopped: load the page again" : "Connecting again…";
  });
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

addLocalTimes(document);
foldMenu();
sendOnce();
tickAll();
watchLive();
