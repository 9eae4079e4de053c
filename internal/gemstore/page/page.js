// The page's own half: it calls the API as an app does (client.js), the shop's few
// calls, and shows what the server streams (view.js). It keeps no state of a spend.
import { localKeep, Sluice } from "./client.js";
import * as view from "./view.js";

const $ = (id) => document.getElementById(id);

/** Each browser is a player of its own. */
function playerOfThisBrowser() {
  let player = localStorage.getItem("sluice.player");
  if (!/^shopper_[a-z0-9]{4,24}$/.test(player ?? "")) {
    player = "shopper_" + Array.from(crypto.getRandomValues(new Uint8Array(5)), (n) => (n % 36).toString(36)).join("");
    localStorage.setItem("sluice.player", player);
  }
  return player;
}

const player = playerOfThisBrowser();

async function ask(path, body) {
  const response = await fetch(path, body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const text = await response.text();
  const said = text ? JSON.parse(text) : {};
  if (!response.ok) throw new Error(said.error ?? "HTTP " + response.status);
  return said;
}

let token;
async function session(renew) {
  if (renew || !token) token = (await ask("session", { player })).token;
  return token;
}

const client = new Sluice({
  base: "", session, keep: localKeep(player), patience: 600_000, heard: view.heard,
  wait: 1, // a browser has six connections to a server: many taps must not hold up the switches
});

/** Runs what a button does, and shows what went wrong. */
async function does(what) {
  try {
    await what();
  } catch (error) {
    view.toast(error.message, "bad");
  }
}

function tap(item) {
  does(async () => {
    view.tapped(item);
    view.ended(await client.spend(item));
  });
}

async function begin() {
  $("player").textContent = player;
  view.rest();
  const shop = await ask("shop");
  $("sold-by").textContent = "From " + shop.packs_sold_by + ".";
  view.packs(shop.packs, shop.quest, (id) => does(async () => {
    view.follow();
    const { transaction } = await ask("buy", { player, product: id });
    await client.claim("app_store", transaction, id); // RevenueCat's webhook tells of it, too, unless it is lost
  }), () => does(async () => {
    view.follow();
    await ask("quest", { player, key: crypto.randomUUID() });
  }));
  view.wares(shop.wares, tap);
  $("repair").addEventListener("click", () => does(() => ask("repair", {})));
  $("wipe").addEventListener("click", () => does(async () => {
    await ask("wipe", {});
    view.toast("The stream is gone. What it held is owed by the outbox.", "good");
  }));
  $("again").addEventListener("click", () => does(async () => {
    const last = view.lastTap();
    if (last) view.ended(await client.finish(last));
  }));
  client.resume().catch(() => {});
  listen();
}

function listen() {
  const live = new EventSource("live?player=" + encodeURIComponent(player));
  live.addEventListener("mine", (e) => view.mine(JSON.parse(e.data)));
  live.addEventListener("site", (e) => view.site(JSON.parse(e.data), (id, on) => does(() => ask("switch", { switch: id, on }))));
  live.addEventListener("trouble", (e) => view.toast(JSON.parse(e.data).error, "bad"));
  live.addEventListener("open", () => document.body.classList.remove("cut"));
  live.addEventListener("error", () => document.body.classList.add("cut")); // it connects again by itself
}

begin().catch((error) => view.toast(error.message, "bad"));
