package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/internal/testenv/browser"
)

// enterBrowser opens the console in a browser and logs in, by keyboard alone.
func (h *house) enterBrowser(key string, size browser.Size) *browser.Page {
	h.t.Helper()
	p := browser.Open(h.t, h.url, "/console/", size)
	p.Run(chromedp.WaitVisible("input[name=key]"), chromedp.Focus("input[name=name]"),
		chromedp.KeyEvent("Anna"+kb.Tab+key+kb.Enter), chromedp.WaitVisible(".verdict"))
	return p
}

// fillIn writes into a visible field.
func fillIn(selector, text string) chromedp.Action {
	return chromedp.SendKeys(selector, text, chromedp.ByQuery, chromedp.NodeVisible)
}

func TestAnOperatorsDayInABrowser(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	spend := h.spend("ann", "sword", "requested", time.Now().Add(-time.Minute))
	letter := h.deadLetter(spend, "ann", "boom: it panicked")
	h.deadLetter(h.spend("bob", "sword", "declined", time.Now()), "bob", "another one")
	run := h.running()
	p := h.enterBrowser(operatorKey, browser.Desktop)

	// The overview says what is wrong, and a plot moves while spends come in.
	p.Await("the verdict", `document.querySelector(".verdict").innerText.includes("2 dead letters of adjust")`)
	line := func() (path string) {
		p.Eval(`document.querySelector("#plot-accepted path.line")?.getAttribute("d") ?? ""`, &path)
		return path
	}
	p.Await("a plot", `document.querySelector("#plot-accepted path.line") && document.querySelector(".live.on")`)
	before := line()
	for range 5 {
		h.spend("crowd", "sword", "fulfilled", time.Now())
	}
	raw, err := json.Marshal(before)
	require.NoError(t, err)
	p.Await("the plot to move", fmt.Sprintf(`document.querySelector("#plot-accepted path.line").getAttribute("d") !== %s`, raw))
	p.Await("the rate", `parseFloat(document.querySelector("#plot-accepted .value").innerText) > 0`)

	// Find a spend by its player, and read its story.
	p.Run(fillIn("#find", "ann"+kb.Enter))
	p.Await("the player", `document.querySelector("h1").innerText === "ann"`)
	p.Click(`a[href="/console/spends/` + spend + `"]`)
	p.Await("the story", `document.querySelector(".timeline")?.innerText.includes("Dead letter of adjust")`)

	// Retry its dead letter, with a reason.
	p.Click(`.timeline a[href^="/console/deadletters/show"]`)
	p.Await("the letter", `document.querySelector("h1").innerText === "Dead letter of adjust"`)
	p.Click(`.act:has([action$="/deadletters/retry"]) > summary`)
	p.Run(fillIn(`form[action$="/deadletters/retry"] [name=reason]`, "the bug is mended"+kb.Enter))
	p.Await("it is owed again", `document.querySelector("[role=status].notice")?.innerText.startsWith("Owed again")`)
	require.Equal(t, 1, h.count("SELECT count(*) FROM outbox WHERE event_id = $1", letter.EventID))
	acts, err := h.desk.Acts(t.Context(), operations.ActFilter{Deed: operations.DeedRetryLetter})
	require.NoError(t, err)
	require.Len(t, acts, 1)
	require.Equal(t, "the bug is mended", acts[0].Reason)
	require.Equal(t, "Anna", acts[0].Who)
	require.Regexp(t, `^operator key [0-9a-f]{12}$`, acts[0].Login)

	// Resolve the other by the search, after a look at how many that are.
	p.Run(chromedp.Navigate(h.url + "/console/deadletters"))
	p.Click("input[data-all]")
	p.Await("the count", `document.querySelector("[data-ticked]").innerText === "1 ticked"`)
	p.Click(`button[value=resolve]`)
	p.Await("the preview", `document.querySelector("h1").innerText === "Resolve 1 dead letter?"`)
	require.Equal(t, 1, h.count("SELECT count(*) FROM dead_letters WHERE resolved_at IS NULL"))
	p.Run(fillIn("[name=reason]", "a test of ours"+kb.Enter))
	p.Await("it is done", `document.querySelector("h1").innerText === "Resolved 1 dead letter"`)
	require.Zero(t, h.count("SELECT count(*) FROM dead_letters WHERE resolved_at IS NULL"))

	// Pause an item and resume it; the overview says so by itself.
	overview := h.enterBrowser(viewerKey, browser.Phone)
	p.Run(chromedp.Navigate(h.url + "/console/pauses"))
	p.Click(`.act:has([value=item]) > summary`)
	p.Run(fillIn(`.act:has([value=item]) [name=reason]`, "it is too cheap"+kb.Enter))
	p.Await("it is paused", `document.querySelector(".notice")?.innerText.startsWith("Paused")`)
	overview.Await("the pause on the overview", `document.querySelector(".verdict").innerText.includes("Paused: item banner, by Anna")`)
	p.Click(`.act:has([action$="/resume"]) > summary`)
	p.Run(fillIn(`[action$="/resume"] [name=reason]`, "it has its price"+kb.Enter))
	p.Await("it is resumed", `document.querySelector(".notice")?.innerText.startsWith("Resumed")`)
	overview.Await("no pause on the overview", `!document.querySelector(".verdict").innerText.includes("Paused")`)
	run()
}

// running takes the points of the plots until it is called.
func (h *house) running() (stop func()) {
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); h.Run(ctx) }()
	return func() { cancel(); <-done }
}

// everyPage are addresses that together show every template, with something in it.
func (h *house) everyPage() []string {
	h.t.Helper()
	spend := h.spend("ann", "sword", "refunded", time.Now().Add(-time.Hour))
	open := h.spend("ann", "sword", "requested", time.Now())
	letter := h.deadLetter(open, "ann", "boom")
	h.waitsForGuild(h.spend("ann", "banner", "charged", time.Now()))
	_, err := h.db.Exec(`INSERT INTO webhook_events (id, received_at, event_key, verdict, type, environment, headers, body)
		VALUES ($1, now(), 'event-1', 'accepted', 'RENEWAL', 'production', '{"User-Agent":"RevenueCat"}', '{"event":{"id":"event-1"}}')`, spend)
	require.NoError(h.t, err)
	_, err = h.db.Exec(`INSERT INTO purchases (recorded_at, version, change_id, store, environment, transaction_id, app_user_id, buyer, product_id, purchased_at, expires_at, paid_micros, paid_currency, stamps)
		VALUES (now(), 1, $1, 'app_store', 'production', 't-1', 'ann', 'ann', 'gems_100', now(), now() + interval '30 days', 4990000, 'EUR', '{}')`, spend)
	require.NoError(h.t, err)
	_, err = h.db.Exec(`INSERT INTO unknown_purchases (found_at, store, environment, transaction_id, product_id) VALUES (now(), 'app_store', 'production', 't-1', 'gems_100')`)
	require.NoError(h.t, err)
	_, err = h.db.Exec(`INSERT INTO backfill_runs (id, started_at, touched_at, feed, state, started_by, fingerprint, command) VALUES ($1, now(), now(), 'transactions', 'running', 'anna', 'f', '{"urls":["file:///x.csv"]}')`, spend)
	require.NoError(h.t, err)
	_, err = h.db.Exec(`INSERT INTO reconciliations (ledger, provider, drift, looks, read_at, judged_at, run_id, customer_id, currency, outcome) VALUES (10, 9, -1, 1, now(), now(), $1, 'ann', 'GEM', 'drift')`, spend)
	require.NoError(h.t, err)
	_, err = h.db.Exec(`INSERT INTO refund_requests (id, spend_id, asked_at, change_id, asked_by, asked_login, reason) VALUES ($1, $1, now(), $1, 'Bob', 'operator key 1', 'goodwill')`, spend)
	require.NoError(h.t, err)
	require.NoError(h.t, h.desk.Note(h.t.Context(), operations.Who{Name: "Anna", Via: operations.Console}, "is a tester", "customer.note", "customer:ann", nil, nil))
	require.NoError(h.t, h.desk.Pause(h.t.Context(), operations.Who{Name: "Anna", Via: operations.Console}, "a test", operations.PauseItem, "sword"))
	return []string{
		"", "spends", "spends?item=nothing", "spends/" + spend, "spends/" + open, "players", "players?id=ann", "players?id=nobody", "purchases", "purchases?player=ann",
		"purchases/show?store=app_store&environment=production&transaction=t-1", "webhooks", "webhooks/" + spend, "webhooks/" + spend + "?body=shown",
		"deadletters", "deadletters?show=resolved", "deadletters/show?event=" + letter.EventID + "&consumer=adjust", "refunds", "refunds?show=all", "pauses", "audit", "configuration", "nowhere",
		"players/proof?id=ann", "backfills", "backfills/" + spend, "reconciliation", "handover?endpoint=guild",
	}
}

// waitsForGuild parks a spend, since the game's server guild does not answer.
func (h *house) waitsForGuild(spend string) {
	h.t.Helper()
	_, err := h.db.Exec(`INSERT INTO outbox (event_id, consumer, lane, subject, payload, due_at, published_at, attempts, last_error)
		VALUES ($1::text || '.charged', 'fulfil', 'live', 'sluice.live.spend.charged.v1.00', '{}', now() + interval '1 minute', NULL, 12, 'endpoint guild: answered 503')`, spend)
	require.NoError(h.t, err)
	_, err = h.db.Exec(`INSERT INTO handover_troubles (told_at, since, probe_at, failures, circuit, endpoint, process, last_error)
		VALUES (now() + interval '1 hour', now() - interval '2 minutes', now() + interval '10 s', 12, 2, 'guild', 'work-1', 'answered 503')`)
	require.NoError(h.t, err)
}

// contrast finds texts whose colour is too close to what is behind them: WCAG 2.2,
// 1.4.3 asks for 4.5, or 3 where the text is large.
const contrast = `(() => {
  const parts = (color) => {
    const canvas = contrastCanvas.getContext("2d", { willReadFrequently: true });
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3])).concat(1);
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.unshift(parts(getComputedStyle(e).backgroundColor));
    return layers.reduce((under, layer) => over(layer, under), parts(getComputedStyle(document.body).backgroundColor));
  };
  const bad = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const element = node.parentElement, style = getComputedStyle(element);
    if (!node.data.trim() || !element.checkVisibility() || element.closest(".unseen, .skip, option, :disabled, svg")) continue;
    const under = behind(element), text = over(parts(style.color), under);
    const [a, b] = [light(text), light(under)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && parseInt(style.fontWeight) >= 700;
    if ((a + 0.05) / (b + 0.05) < (large ? 3 : 4.5)) bad.push(((a + 0.05) / (b + 0.05)).toFixed(2) + ": " + node.data.trim().slice(0, 40));
  }
  return bad;
})()`

// nameless finds what a keyboard reaches and no reader can name, and what a form has
// without a label.
const nameless = `[...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")]
  .filter((e) => e.checkVisibility() && !(e.innerText?.trim() || e.getAttribute("aria-label") || e.labels?.length)).map((e) => e.outerHTML.slice(0, 120))`

// TestEveryPageIsForEverybody opens every page at both widths, and looks at it in both
// colour schemes: it takes some twenty seconds.
func TestEveryPageIsForEverybody(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	addresses := h.everyPage()
	for name, size := range map[string]browser.Size{"desktop": browser.Desktop, "phone": browser.Phone} {
		p := h.enterBrowser(operatorKey, size)
		p.Allow(func(complaint string) bool { return strings.Contains(complaint, "/console/nowhere") }) // it is not found
		p.Run(emulation.SetTimezoneOverride("Asia/Kolkata"))
		for _, address := range addresses {
			where := name + " /console/" + address
			p.Run(chromedp.Navigate(h.url+"/console/"+address), chromedp.Evaluate(`document.querySelectorAll("details").forEach((d) => d.open = true); globalThis.contrastCanvas = document.createElement("canvas")`, nil))
			var pale, unnamed []string
			for _, scheme := range []string{"light", "dark"} {
				p.Run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
				p.Eval(contrast, &pale)
				require.Empty(t, pale, "%s, %s", where, scheme)
			}
			p.Eval(nameless, &unnamed)
			require.Empty(t, unnamed, where)
			var over, timeless int
			p.Eval("document.documentElement.scrollWidth - innerWidth", &over)
			require.LessOrEqual(t, over, 0, "%s is wider than the screen", where)
			p.Eval(`[...document.querySelectorAll("time")].filter((e) => !e.querySelector(".local")).length`, &timeless)
			require.Zero(t, timeless, "%s has a time that is not told in local time, too", where)
		}
	}
}
