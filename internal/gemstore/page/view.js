// What the server says, as elements. Everything is text: nothing that was said is
// ever read as markup. Amounts come as strings and are BigInt: exact at any size.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

/** make builds an element: make("li", {class: "x"}, "text", child, ...). */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== ""));
  return element;
}

/** icon draws one of the few pictures of the page. */
function icon(paths, box = "0 0 24 24") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", box);
  svg.setAttribute("aria-hidden", "true");
  for (const d of paths) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

const pictures = {
  GEM: ["M12 2 20 7v10l-8 5-8-5V7z", "M4 7l8 5 8-5", "M12 12v10"],
  GOLD: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z", "M12 7v10", "M9 10h6"],
  done: ["M5 12.5 10 17.5 19 7"],
  refused: ["M7 7l10 10", "M17 7 7 17"],
  waiting: ["M12 6v6.5l4 2.5"],
};
const bags = [ // a picture per item, chosen by its name
  ["M12 20S4 15 4 9.5A4 4 0 0 1 12 7a4 4 0 0 1 8 2.5C20 15 12 20 12 20z"],
  ["M5 4h14v9c0 4-4 6-7 7-3-1-7-3-7-7z"],
  ["M4 20 18 6", "M14 4h6v6", "M7 13l4 4"],
  ["M6 3h12v14l-6-3-6 3z", "M6 21V3"],
  ["M12 3l2.6 5.6 6 .8-4.4 4.2 1.1 6L12 16.7 6.7 19.6l1.1-6L3.4 9.4l6-.8z"],
  ["M9 3h6", "M10 3v5l-5 9a3 3 0 0 0 2.6 4h8.8A3 3 0 0 0 19 17l-5-9V3", "M7.5 14h9"],
];
const known = { extra_life: 0, legendary_skin: 1, twin_blade: 2, guild_banner: 3, founders_badge: 4, cursed_relic: 5 };
const pictureOf = (item) => bags[known[item] ?? [...item].reduce((sum, c) => sum + c.charCodeAt(0), 0) % bags.length];

const exact = (text) => BigInt(text).toLocaleString("en-GB");
const money = (list, sign = "") => list.map((m) => sign + exact(m.amount) + " " + m.currency).join(" + ");
const price = (list) => make("span", { class: "price" }, ...list.map((m) => make("span", {}, exact(m.amount) + " ", coin(m.currency))));
const coin = (currency) => make("span", { class: "coin " + currency.toLowerCase() }, icon(pictures[currency] ?? pictures.GOLD), currency);

/** update changes an element only when its text is another, so that nothing is read out twice. */
function update(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** list keeps an element's children in step with rows: by key, made once, changed in place. */
function list(parent, rows, key, made, changed) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  rows.forEach((row, i) => {
    let child = old.get(key(row));
    if (!child) {
      child = made(row);
      child.dataset.key = key(row);
    }
    old.delete(key(row));
    changed?.(child, row);
    if (parent.children[i] !== child) parent.insertBefore(child, parent.children[i] ?? null);
  });
  for (const child of old.values()) child.remove();
}

let names = {}; // of items

export function packs(packs, quest, buy, win) {
  const offers = packs.map((p) => ({ id: p.id, name: p.name, brings: p.brings, price: p.price, buy: () => buy(p.id), verb: "Buy" }));
  if (quest.length) offers.push({ id: "quest", name: "Win a quest", brings: quest, price: "given by the game", buy: win, verb: "Win" });
  list($("packs"), offers, (o) => o.id, (o) => {
    const button = make("button", { type: "button", class: "pack " + o.brings[0].currency.toLowerCase(), "data-pack": o.id }, icon(pictures[o.brings[0].currency] ?? pictures.GOLD),
      make("span", { class: "name" }, title(o.name)), make("span", { class: "brings" }, money(o.brings, "+")), make("span", { class: "pay" }, o.price));
    button.addEventListener("click", o.buy);
    return make("li", {}, button);
  });
}

const title = (name) => {
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
};

const ports = { inventory: "into your bag, by Sluice itself", http: "by the game's own server", refuse: "always refused: the gems come back" };

export function wares(wares, tap) {
  names = Object.fromEntries(wares.map((w) => [w.id, w.name]));
  list($("wares"), wares, (w) => w.id, (w) => {
    const button = make("button", { type: "button", class: "spend", "data-item": w.id, "aria-label": "Spend " + money(w.price) + " on " + w.name }, price(w.price));
    button.addEventListener("click", () => tap(w.id));
    return make("li", { class: "ware" }, make("span", { class: "art a" + (bags.indexOf(pictureOf(w.id)) + 1) }, icon(pictureOf(w.id))),
      make("span", { class: "words" }, make("span", { class: "name" }, w.name), make("span", { class: "quiet small" }, ports[w.port] ?? w.port, w.limit ? ", " + w.limit + " per player" : "")), button);
  });
}

// Which journey is in sight: the newest, unless somebody chose one.
let journeys = [];
let chosen;
let newest; // the tap that was answered last, for the same key again

export function follow() {
  chosen = undefined;
}

/** tapped shows that a request is on its way. */
export function tapped(item) {
  chosen = undefined;
  update($("app"), names[item] + ": POST /spend is sent, it waits for the answer");
  $("again").hidden = true;
}

export const lastTap = () => newest;

export function heard(tap, { status, replayed, final }) {
  newest = tap;
  let word = "no answer came; it sends the same key again";
  if (status > 0) word = status + " " + (final ? statuses[status] ?? "" : status === 200 ? "from /spends/{id}: still under way" : unsettled[status] ?? "not final: it sends the same key again");
  update($("app"), names[tap.item] + ": " + word + (replayed ? " (a replay: nothing is charged twice)" : ""));
  $("again").hidden = !final;
}

const statuses = { 200: "it is yours", 402: "not enough gems", 500: "not handed over, the gems are back", 502: "refused" };
const unsettled = { 202: "accepted: it asks /spends/{id} until that is final", 429: "too fast: it waits as long as it was told" };

export function ended(outcome) {
  const texts = { bought: [names[outcome.spend?.item] + " is yours", "good"], not_enough: [outcome.text, "bad"], given_back: [outcome.text, "good"], refused: [outcome.text, "bad"] };
  const [text, mood] = texts[outcome.kind] ?? ["Still working. Its key is kept.", "good"];
  toast(text, mood);
}

let hiding;
export function toast(text, mood) {
  const box = $("toast");
  box.className = "toast " + mood;
  box.textContent = text;
  box.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { box.hidden = true; }, 4000);
}

/** Nothing is known yet: the hops are there, and dark. */
export const rest = () => show();

export function mine(state) {
  list($("wallet"), state.wallet, (b) => b.currency, (b) => make("li", {}, coin(b.currency), make("b", {})), (li, b) => {
    update(li.querySelector("b"), exact(b.balance));
    li.title = "as RevenueCat said at " + new Date(b.as_of).toLocaleTimeString("en-GB");
  });
  list($("bag"), state.bag, (h) => h.item, (h) => make("li", {}, make("span", { class: "art small a" + (bags.indexOf(pictureOf(h.item)) + 1) }, icon(pictureOf(h.item))), (names[h.item] ?? title(h.item)) + " ", make("b", {})),
    (li, h) => update(li.querySelector("b"), "× " + exact(String(h.quantity))));
  $("bag-empty").hidden = state.bag.length > 0;
  journeys = state.journeys;
  show();
}

function show() {
  const current = journeys.find((j) => j.id === chosen) ?? journeys[0];
  list($("journeys"), journeys, (j) => j.id, (j) => {
    const button = make("button", { type: "button" }, make("span", { class: "dots", "aria-hidden": "true" }), make("span", { class: "name" }), make("span", { class: "quiet" }));
    button.addEventListener("click", () => { chosen = j.id; show(); });
    return make("li", {}, button);
  }, (li, j) => {
    const [dots, name, state] = li.firstChild.children;
    lights(dots, j.hops);
    update(name, heading(j));
    const end = !j.over ? "open" : j.good ? "good" : j.hops.at(-1).light === "done" ? "back" : "bad";
    update(state, { open: "on its way", good: "done", back: "given back", bad: "declined" }[end]);
    li.className = end;
    li.firstChild.setAttribute("aria-current", current === j ? "true" : "false");
  });
  if (!current) {
    hops("rest", ["Outbox", "Stream", "Charge", "Hand-over", "Yours"].map((name) => ({ name, place: "", light: "dark" })));
    return;
  }
  const strip = $("strip"); // what a small window shows of the machine
  strip.hidden = false;
  lights(strip.firstElementChild, current.hops);
  const at = current.hops.find((hop) => hop.light === "working" || hop.light === "waiting" || hop.light === "refused") ?? current.hops.at(-1);
  update(strip.lastElementChild, current.title + ": " + at.name.toLowerCase());
  update($("journey-title"), heading(current));
  update($("journey-meta"), ({ purchase: "a purchase, ", grant: "a grant, ", spend: "a spend, " }[current.kind]) + new Date(current.began).toLocaleTimeString("en-GB") + (current.kind === "purchase" ? "" : ", id " + current.id.slice(0, 8) + "…" + current.id.slice(-4)));
  hops(current.id, current.hops);
  for (const part of ["happened", "now", "next"]) update($(part), current[part]);
  $("app-line").hidden = current.kind !== "spend";
}

const lights = (place, hops) => list(place, hops.map((hop, i) => ({ i: String(i), light: hop.light })), (d) => d.i, () => make("i"), (i, d) => { i.className = d.light; });

/** hops shows the lamps of a journey. */
function hops(id, rows) {
  list($("hops"), rows.map((hop, i) => ({ ...hop, key: id + i })), (hop) => hop.key, () => make("li", {},
    make("span", { class: "lamp", "aria-hidden": "true" }, make("i")), make("b", { class: "hop" }), make("span", { class: "place" }), make("span", { class: "after" }), make("span", { class: "note" }), make("span", { class: "hidden" })),
  (li, hop) => {
    const [lamp, name, place, after, note, said] = li.children;
    if (li.className !== hop.light) {
      li.className = hop.light;
      lamp.replaceChildren(pictures[hop.light] ? icon(pictures[hop.light]) : make("i"));
    }
    update(name, hop.name);
    update(place, hop.place);
    update(after, hop.after ? "+" + hop.after : "");
    update(note, hop.note ?? "");
    update(said, ": " + { dark: "not yet", working: "working", waiting: "waiting", done: "done", refused: "refused" }[hop.light]);
  });
}

const heading = (j) => (j.kind === "spend" ? j.title + ", " + money(j.amounts) : title(j.title) + ", " + money(j.amounts, "+"));

export function site(state, flip) {
  for (const of of ["provider", "game"]) {
    const mine = (state.switches ?? []).filter((s) => s.of === of);
    const place = $("switches-" + of);
    place.closest("fieldset").hidden = mine.length === 0;
    list(place, mine, (s) => s.id, (s) => {
      const button = make("button", { type: "button", role: "switch", id: s.id, "aria-describedby": s.id + "-means" }, make("span", { class: "knob", "aria-hidden": "true" }), s.name);
      button.addEventListener("click", () => flip(s.id, button.getAttribute("aria-checked") !== "true"));
      return make("li", {}, button, make("span", { class: "means", id: s.id + "-means" }, s.means));
    }, (li, s) => li.firstChild.setAttribute("aria-checked", String(s.on)));
  }
  const broken = (state.switches ?? []).filter((s) => s.on).length;
  $("repair").disabled = broken === 0;
  document.body.classList.toggle("broken", broken > 0);
  update($("wipe-means"), state.wiped ? "gone; it is made again by itself" : "every message in it is gone");
  books(state);
}

function books(state) {
  list($("books"), state.books ?? [], (b) => b.currency, (b) => make("p", { class: "sum" }, coin(b.currency),
    ...[["in", "came in"], ["wallets", "in wallets"], ["items", "turned into items"], ["flight", "in flight"]].flatMap(([name, text], i) => [
      i ? make("span", { class: "sign" }, i === 1 ? "=" : "+") : "", make("span", { class: "part " + name }, make("b", {}), make("span", {}, text))]),
    make("span", { class: "off" })),
  (p, b) => {
    for (const name of ["in", "wallets", "items", "flight"]) update(p.querySelector(".part." + name + " b"), exact(b[name]));
    const right = BigInt(b.off) === 0n;
    p.classList.toggle("wrong", !right);
    update(p.querySelector(".off"), right ? "balances" : exact(b.off) + " off");
  });
  const counted = state.counted ?? 0;
  const wrong = (state.books ?? []).some((b) => BigInt(b.off) !== 0n);
  const verdict = $("verdict");
  verdict.classList.toggle("wrong", wrong);
  update(verdict, counted === 0 ? "Counting the books" : wrong ? "The books do not balance" : "Books balance");
  update($("counted"), state.trouble || (counted === 0 ? "Not counted yet." :
    "Counted " + counted.toLocaleString("en-GB") + (counted === 1 ? " time" : " times") + " since the start, off " + (state.wrong ?? 0).toLocaleString("en-GB") + " times; " + state.players + (state.players === 1 ? " player." : " players.")));
}
