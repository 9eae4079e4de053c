// Plays docs/client/sluice.ts, as the store serves it, against a running server. What
// comes back is a word per scenario that went as it should, or what went wrong. The
// answers are the server's own; what is lost on the way is lost here.
(async () => {
  const { Sluice, localKeep } = await import("/store/client.js");
  const real = window.fetch.bind(window);
  const player = "shopper_snippet";
  const shop = async (path, body) => (await real("/store/" + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ player, ...body }) })).json();
  const good = (await shop("session", {})).token;
  let sent = [];    // the keys of the spends that left the app, without those that were told to come later
  let refreshed = 0;
  const client = (more = {}) => new Sluice({
    base: "", session: async () => good, keep: localKeep(player), refreshBalance: async () => { refreshed++; }, ...more,
  });
  /** road puts something between the app and the server: change gets each request and how to really send it. */
  const road = (change = (url, options, send) => send()) => {
    sent = [];
    window.fetch = async (url, options) => {
      const key = url === "/spend" ? JSON.parse(options.body).idempotencyKey : undefined;
      if (key) sent.push(key);
      const answer = await change(url, options, (headers = {}) => real(url, { ...options, headers: { ...options.headers, ...headers } }));
      if (key && answer.status === 429) sent.splice(sent.lastIndexOf(key), 1); // this player may send four requests a second
      return answer;
    };
  };
  const kept = () => localKeep(player).load().length;
  const held = async (item) => (await client().inventory()).items.find((line) => line.item === item)?.quantity ?? 0;
  const must = (right, what) => { if (!right) throw new Error(what + "; sent " + JSON.stringify(sent) + ", kept " + kept()); };
  const oneKey = (times) => must(sent.length === times && new Set(sent).size === 1, "not " + times + " requests under one key");

  const scenarios = {
    async "bought, and the balance is read again"() {
      refreshed = 0;
      road((url, options, send) => { must(kept() === 1, "the key is not stored before the request"); return send(); });
      const outcome = await client().spend("extra_life");
      must(outcome.kind === "bought" && outcome.spend.state === "fulfilled", JSON.stringify(outcome));
      must(kept() === 0 && refreshed === 1, "the key is kept, or the balance not read");
    },
    async "an answer that was lost is asked for again"() {
      const before = await held("extra_life");
      let lost = 0;
      road(async (url, options, send) => { const answer = await send(); if (answer.status !== 429 && lost++ < 2) throw new TypeError("the network is gone"); return answer; });
      must((await client().spend("extra_life")).kind === "bought", "not bought");
      oneKey(3);
      must(await held("extra_life") === before + 1, "bought more than once");
    },
    async "not enough gems"() {
      road();
      const outcome = await client().spend("legendary_skin");
      must(outcome.kind === "not_enough" && outcome.text === "Not enough gems" && kept() === 0, JSON.stringify(outcome));
    },
    async "the gems come back"() {
      refreshed = 0;
      road();
      must((await client().spend("cursed_relic")).kind === "given_back" && refreshed === 1, "not given back");
    },
    async "an item that there is not"() {
      road();
      const outcome = await client().spend("unicorn");
      must(outcome.kind === "refused" && outcome.problem === "unknown-item" && kept() === 0, JSON.stringify(outcome));
      oneKey(1);
    },
    async "accepted, then looked for until it is final"() {
      let looked = 0;
      road((url, options, send) => { if (url.startsWith("/spends/")) looked++; return send({ Prefer: "respond-async" }); });
      const outcome = await client().spend("extra_life");
      must(outcome.kind === "bought" && looked > 0, "not looked for: " + JSON.stringify(outcome));
      oneKey(1);
    },
    async "what is busy is asked again, with the same key"() {
      const answers = [503, 429, 502, 500];
      road((url, options, send) => {
        const status = answers.shift();
        return status ? Promise.resolve(new Response("<html>a proxy</html>", { status, headers: status < 502 && status !== 500 ? { "Retry-After": "0.1" } : {} })) : send();
      });
      must((await client().spend("extra_life")).kind === "bought" && answers.length === 0, "not bought");
      oneKey(4);
    },
    async "a player who is too fast is slowed down, and loses nothing"() {
      const before = await held("extra_life");
      const statuses = [];
      road(async (url, options, send) => { const answer = await send({ Prefer: "respond-async" }); statuses.push(answer.status); return answer; });
      const outcomes = await Promise.all(Array.from({ length: 40 }, () => client().spend("extra_life")));
      must(outcomes.every((outcome) => outcome.kind === "bought"), JSON.stringify(outcomes));
      must(statuses.includes(429), "nobody was slowed down: " + statuses);
      must(new Set(sent).size === 40, "taps share keys");
      road();
      must(await held("extra_life") === before + 40, "not forty");
    },
    async "a session that is over is renewed once"() {
      const renewals = [];
      let now = "over";
      const session = async (renew) => { renewals.push(renew); if (renew) now = good; return now; };
      const outcome = await client({ session }).spend("extra_life");
      must(outcome.kind === "bought" && renewals.slice(0, 2).join() === "false,true", JSON.stringify([outcome, renewals]));
      oneKey(2);
    },
    async "an app that was killed goes on after its start"() {
      road(() => new Promise(() => {})); // killed: no answer, ever
      void client().spend("extra_life");
      await new Promise((resolve) => setTimeout(resolve, 50));
      must(kept() === 1, "the key is gone");
      const [key] = sent;
      road();
      const outcomes = await client().resume();
      must(outcomes.length === 1 && outcomes[0].kind === "bought" && sent[0] === key && kept() === 0, JSON.stringify(outcomes));
    },
    async "patience ends, and the key is kept"() {
      road(() => Promise.reject(new TypeError("offline")));
      const outcome = await client({ patience: 300 }).spend("extra_life");
      must(outcome.kind === "working" && kept() === 1, JSON.stringify(outcome));
      road();
      must((await client().resume())[0].kind === "bought" && kept() === 0, "not bought later");
    },
    async "the same key sent twice at once is one"() {
      road();
      const one = client();
      const tap = { key: crypto.randomUUID(), item: "extra_life", quantity: 1 };
      const [a, b] = await Promise.all([one.finish(tap), one.finish(tap)]);
      must(a === b, "two");
      oneKey(1);
    },
    async "a purchase is claimed, and there when the webhook is not"() {
      road();
      const sold = await shop("buy", { product: "gems_100" });
      await client().claim("app_store", sold.transaction, "gems_100");
      await client().restore();
      must((await client().wallet()).GEM.pending === 0, "still pending");
    },
  };
  const results = {};
  for (const [name, play] of Object.entries(scenarios)) {
    try {
      road();
      await play();
      results[name] = "ok";
    } catch (error) {
      results[name] = String(error.message);
    }
  }
  return results;
})()
