// The app's side of Sluice, for browsers and everything else that has fetch. No
// dependencies: copy this file and change what you like. docs/client/README.md says why
// each rule is there. The store at /store/ runs this very file, and a test does.

/** What the app keeps of a tap until it has a final answer. */
export interface Tap { key: string; item: string; quantity: number }

/** Where taps are kept. It must survive the app: localStorage does, memory does not. */
export interface Keep { load(): Tap[]; save(taps: Tap[]): void }

export interface Spend {
  id: string; state: string; item: string; quantity: number; cost: Record<string, number>; reason?: string;
}

/** How a tap ended. Only "working" is not final: its key is kept, and resume() goes on. */
export type Outcome =
  | { kind: "bought"; spend: Spend }
  | { kind: "not_enough"; text: string }
  | { kind: "given_back"; text: string }
  | { kind: "refused"; text: string; problem: string }
  | { kind: "working"; spend?: Spend };

export interface Options {
  base: string;                                        // such as https://api.example.com
  session(renew: boolean): Promise<string>;            // your login's token; renew: the last one was refused
  keep: Keep;
  refreshBalance?(): Promise<unknown>;                 // invalidate the RevenueCat SDK's cache, then read it
  heard?(tap: Tap, heard: Heard): void;                // every answer to a tap, to show or to log
  wait?: number;                                       // seconds the server may hold back an answer for the outcome; default its own, 10
  patience?: number;                                   // ms until spend() says "working"; default a minute
}

export interface Heard { status: number; replayed: boolean; final: boolean } // status 0: no answer came

interface Answer { status: number; headers: Headers; body: any }

/** localKeep keeps taps in localStorage, per player. */
export function localKeep(player: string): Keep {
  const name = "sluice.taps." + player;
  return {
    load: () => JSON.parse(localStorage.getItem(name) ?? "[]"),
    save: (taps) => localStorage.setItem(name, JSON.stringify(taps)),
  };
}

export class Sluice {
  private readonly options: Options;
  private readonly running = new Map<string, Promise<Outcome>>();

  constructor(options: Options) { this.options = options; }

  /** One tap, one key: made here, stored before the first request, forgotten after a final answer. */
  spend(item: string, quantity = 1): Promise<Outcome> {
    const tap: Tap = { key: crypto.randomUUID(), item, quantity };
    this.options.keep.save([...this.options.keep.load(), tap]);
    return this.finish(tap);
  }

  /** Goes on with every tap that has no final answer: call it when the app starts and when it is online again. */
  resume(): Promise<Outcome[]> {
    return Promise.all(this.options.keep.load().map((tap) => this.finish(tap)));
  }

  /** Brings one tap to its end; the same tap twice at once is one. */
  finish(tap: Tap): Promise<Outcome> {
    let running = this.running.get(tap.key);
    if (!running) {
      running = this.pursue(tap).finally(() => this.running.delete(tap.key));
      this.running.set(tap.key, running);
    }
    return running;
  }

  private async pursue(tap: Tap): Promise<Outcome> {
    const until = Date.now() + (this.options.patience ?? 60_000);
    let spend: Spend | undefined; // known once it was accepted
    for (let attempt = 0; ; attempt++) {
      const answer = spend
        ? await this.call("GET", "/spends/" + spend.id)
        : await this.call("POST", "/spend", { item: tap.item, quantity: tap.quantity, idempotencyKey: tap.key });
      const outcome = answer && (spend ? ended(answer.body) : decided(answer));
      this.options.heard?.(tap, {
        status: answer?.status ?? 0, replayed: answer?.headers.get("Idempotency-Replayed") === "true", final: outcome !== undefined,
      });
      if (outcome) {
        this.options.keep.save(this.options.keep.load().filter((kept) => kept.key !== tap.key));
        if (outcome.kind === "bought" || outcome.kind === "given_back") await this.options.refreshBalance?.().catch(() => undefined); // a balance that cannot be read now undoes nothing
        return outcome;
      }
      if (answer?.status === 202) spend = answer.body.spend; // also its Location: /spends/<id>
      const wait = pause(answer, attempt);
      if (Date.now() + wait > until) return { kind: "working", spend };
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  /** The balances as Sluice last read them; `as_of` says when. */
  async wallet(): Promise<Record<string, { balance: number; pending: number; as_of: string; name: string }>> {
    return (await this.must("GET", "/wallet")).body.balances;
  }

  /** What the player has. */
  async inventory(): Promise<{ items: { item: string; quantity: number }[]; accesses: { module: string; expires_at: string | null }[] }> {
    return (await this.must("GET", "/inventory")).body;
  }

  /** "I bought this with money": shown as pending until RevenueCat tells of it. Call it after each purchase. */
  async claim(store: string, transactionId: string, productId: string): Promise<void> {
    await this.must("POST", "/purchases/claims", { store, transaction_id: transactionId, product_id: productId });
  }

  /** Has the player's purchases read again. Call it after the SDK's own restorePurchases(). */
  async restore(): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const answer = await this.must("POST", "/purchases/restore");
      if (answer.status === 200) break;
      await new Promise((resolve) => setTimeout(resolve, pause(answer, attempt)));
    }
    await this.options.refreshBalance?.();
  }

  /** One request; undefined when no answer came. A refused session is renewed once. */
  private async call(method: string, path: string, body?: unknown): Promise<Answer | undefined> {
    for (const renew of [false, true]) {
      try {
        const response = await fetch(this.options.base + path, {
          method, body: body === undefined ? undefined : JSON.stringify(body), signal: AbortSignal.timeout(45_000),
          headers: {
            Authorization: "Bearer " + await this.options.session(renew),
            ...(body === undefined ? {} : { "Content-Type": "application/json" }),
            ...(this.options.wait === undefined ? {} : { Prefer: "wait=" + this.options.wait }),
          },
        });
        if (response.status === 401 && !renew) continue;
        const text = await response.text();
        return { status: response.status, headers: response.headers, body: text.startsWith("{") ? JSON.parse(text) : {} };
      } catch {
        return undefined; // offline, timed out, cut off: nobody knows whether it arrived, and the key makes a repeat safe
      }
    }
    return undefined;
  }

  /** A call that may be repeated as it is: all of them but spends, which have their keys. */
  private async must(method: string, path: string, body?: unknown): Promise<Answer> {
    const until = Date.now() + (this.options.patience ?? 60_000);
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

/** decided reads an answer to POST /spend; undefined: it is not final, go on with the same key. */
function decided(answer: Answer): Outcome | undefined {
  const { status, body } = answer;
  const problem = String(body.type ?? "").replace("https://sluice.dev/problems/", "");
  const text: string = body.error ?? "Something went wrong, please try again";
  switch (status) {
    case 200: return { kind: "bought", spend: body.spend };
    case 402: return { kind: "not_enough", text };
    case 403: return problem === "spend-refunded" ? { kind: "given_back", text } : { kind: "refused", text, problem };
    case 500: return problem === "item-not-handed-over" ? { kind: "given_back", text } : undefined;
    case 502: return problem === "provider-refused" ? { kind: "refused", text, problem } : undefined; // a proxy's own 502 decides nothing
    case 400: case 404: case 409: case 413: case 415: return { kind: "refused", text, problem };
  }
  return undefined; // 202, 401, 429, 503, and whatever a proxy says
}

/** ended reads a spend from GET /spends/{id}; undefined: it is still under way. */
function ended(spend: Spend): Outcome | undefined {
  switch (spend.state) {
    case "fulfilled": return { kind: "bought", spend };
    case "refunded": return { kind: "given_back", text: "Your gems are back" };
    case "declined": return spend.reason === "insufficient_funds"
      ? { kind: "not_enough", text: "Not enough gems" }
      : { kind: "refused", text: "This purchase was refused", problem: String(spend.reason) };
  }
  return undefined;
}

/** pause is how long to wait: what Retry-After says, else longer each time, never in step with others. */
function pause(answer: Answer | undefined, attempt: number): number {
  const told = Number(answer?.headers.get("Retry-After"));
  if (told > 0) return told * 1000 + Math.random() * 250;
  return Math.min(15_000, 500 * 2 ** attempt) * (0.5 + Math.random() / 2);
}
