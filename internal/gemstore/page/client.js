// Made of docs/client/sluice.ts by `make golden`; change that.

function localKeep(player) {
  const name = "sluice.taps." + player;
  return {
    load: () => JSON.parse(localStorage.getItem(name) ?? "[]"),
    save: (taps) => localStorage.setItem(name, JSON.stringify(taps))
  };
}
class Sluice {
  options;
  running = /* @__PURE__ */ new Map();
  constructor(options) {
    this.options = options;
  }
  /** One tap, one key: made here, stored before the first request, forgotten after a final answer. */
  spend(item, quantity = 1) {
    const tap = { key: crypto.randomUUID(), item, quantity };
    this.options.keep.save([...this.options.keep.load(), tap]);
    return this.finish(tap);
  }
  /** Goes on with every tap that has no final answer: call it when the app starts and when it is online again. */
  resume() {
    return Promise.all(this.options.keep.load().map((tap) => this.finish(tap)));
  }
  /** Brings one tap to its end; the same tap twice at once is one. */
  finish(tap) {
    let running = this.running.get(tap.key);
    if (!running) {
      running = this.pursue(tap).finally(() => this.running.delete(tap.key));
      this.running.set(tap.key, running);
    }
    return running;
  }
  async pursue(tap) {
    const until = Date.now() + (this.options.patience ?? 6e4);
    let spend;
    for (let attempt = 0; ; attempt++) {
      const answer = spend ? await this.call("GET", "/spends/" + spend.id) : await this.call("POST", "/spend", { item: tap.item, quantity: tap.quantity, idempotencyKey: tap.key });
      const outcome = answer && (spend ? ended(answer.body) : decided(answer));
      this.options.heard?.(tap, {
        status: answer?.status ?? 0,
        replayed: answer?.headers.get("Idempotency-Replayed") === "true",
        final: outcome !== void 0
      });
      if (outcome) {
        this.options.keep.save(this.options.keep.load().filter((kept) => kept.key !== tap.key));
        if (outcome.kind === "bought" || outcome.kind === "given_back") await this.options.refreshBalance?.().catch(() => void 0);
        return outcome;
      }
      if (answer?.status === 202) spend = answer.body.spend;
      const wait = pause(answer, attempt);
      if (Date.now() + wait > until) return { kind: "working", spend };
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
  /** The balances as Sluice last read them; `as_of` says when. */
  async wallet() {
    return (await this.must("GET", "/wallet")).body.balances;
  }
  /** What the player has. */
  async inventory() {
    return (await this.must("GET", "/inventory")).body;
  }
  /** "I bought this with money": shown as pending until RevenueCat tells of it. Call it after each purchase. */
  async claim(store, transactionId, productId) {
    await this.must("POST", "/purchases/claims", { store, transaction_id: transactionId, product_id: productId });
  }
  /** Has the player's purchases read again. Call it after the SDK's own restorePurchases(). */
  async restore() {
    for (let attempt = 0; ; attempt++) {
      const answer = await this.must("POST", "/purchases/restore");
      if (answer.status === 200) break;
      await new Promise((resolve) => setTimeout(resolve, pause(answer, attempt)));
    }
    await this.options.refreshBalance?.();
  }
  /** One request; undefined when no answer came. A refused session is renewed once. */
  async call(method, path, body) {
    for (const renew of [false, true]) {
      try {
        const response = await fetch(this.options.base + path, {
          method,
          body: body === void 0 ? void 0 : JSON.stringify(body),
          signal: AbortSignal.timeout(45e3),
          headers: {
            Authorization: "Bearer " + await this.options.session(renew),
            ...body === void 0 ? {} : { "Content-Type": "application/json" },
            ...this.options.wait === void 0 ? {} : { Prefer: "wait=" + this.options.wait }
          }
        });
        if (response.status === 401 && !renew) continue;
        const text = await response.text();
        return { status: response.status, headers: response.headers, body: text.startsWith("{") ? JSON.parse(text) : {} };
      } catch {
        return void 0;
      }
    }
    return void 0;
  }
  /** A call that may be repeated as it is: all of them but spends, which have their keys. */
  async must(method, path, body) {
    const until = Date.now() + (this.options.patience ?? 6e4);
    for (let attempt = 0; ; attempt++) {
      const answer = await this.call(method, path, body);
      if (answer && answer.status < 300) return answer;
      const wait = pause(answer, attempt);
      const busy = !answer || answer.status === 429 || answer.status === 503;
      if (!busy || Date.now() + wait > until) throw new Error(answer?.body.error ?? "Please try again in a moment");
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}
function decided(answer) {
  const { status, body } = answer;
  const problem = String(body.type ?? "").replace("https://sluice.dev/problems/", "");
  const text = body.error ?? "Something went wrong, please try again";
  switch (status) {
    case 200:
      return { kind: "bought", spend: body.spend };
    case 402:
      return { kind: "not_enough", text };
    case 403:
      return problem === "spend-refunded" ? { kind: "given_back", text } : { kind: "refused", text, problem };
    case 500:
      return problem === "item-not-handed-over" ? { kind: "given_back", text } : void 0;
    case 502:
      return problem === "provider-refused" ? { kind: "refused", text, problem } : void 0;
    // a proxy's own 502 decides nothing
    case 400:
    case 404:
    case 409:
    case 413:
    case 415:
      return { kind: "refused", text, problem };
  }
  return void 0;
}
function ended(spend) {
  switch (spend.state) {
    case "fulfilled":
      return { kind: "bought", spend };
    case "refunded":
      return { kind: "given_back", text: "Your gems are back" };
    case "declined":
      return spend.reason === "insufficient_funds" ? { kind: "not_enough", text: "Not enough gems" } : { kind: "refused", text: "This purchase was refused", problem: String(spend.reason) };
  }
  return void 0;
}
function pause(answer, attempt) {
  const told = Number(answer?.headers.get("Retry-After"));
  if (told > 0) return told * 1e3 + Math.random() * 250;
  return Math.min(15e3, 500 * 2 ** attempt) * (0.5 + Math.random() / 2);
}
export {
  Sluice,
  localKeep
};
