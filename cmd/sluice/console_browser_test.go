package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/testenv/browser"
)

// TestTheConsoleOfARunningSite pauses a consumer in a browser, sees the spend that
// waits for it, and resumes it. Neither the log nor the metrics know what was typed.
func TestTheConsoleOfARunningSite(t *testing.T) {
	t.Parallel()
	const key, eMail = "console-canary-operator-key", "jane.canary@mail.example.com"
	s := newSite(t, "SLUICE_ADMIN_KEYS=operator:"+key).seed().up()
	s.give("ann", economy.Amounts{"GEM": 1000})
	token := session(t, "ann")
	spend := func(tap string) (status int, id string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.apiAddr+"/spend", strings.NewReader(fmt.Sprintf(`{"item":"extra_life","idempotencyKey":%q}`, tap)))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Prefer", "wait=2")
		w, err := s.client.Do(r)
		require.NoError(t, err)
		defer w.Body.Close()
		var answer struct{ Spend struct{ ID string } }
		require.NoError(t, json.NewDecoder(w.Body).Decode(&answer))
		return w.StatusCode, answer.Spend.ID
	}
	status, first := spend("first")
	require.Equal(t, http.StatusOK, status)

	p := browser.Open(t, "http://"+s.apiAddr, "/console/", browser.Desktop)
	write := func(selector, text string) {
		p.Run(chromedp.SendKeys(selector, text, chromedp.ByQuery, chromedp.NodeVisible))
	}
	write("input[name=name]", eMail)
	write("input[name=key]", key+kb.Enter)
	p.Await("the overview", `document.querySelector(".verdict.good")`)
	write("#find", first+kb.Enter)
	p.Await("the whole story", `(() => { const text = document.querySelector(".timeline")?.innerText ?? "";
		return ["Accepted", "Bound to a call", "Provider: applied", "Charged", "In the player's inventory", "Item handed over", "Fulfilled"].every((step) => text.includes(step)); })()`)

	p.Run(chromedp.Navigate("http://" + s.apiAddr + "/console/pauses"))
	p.Click(`.act:has([value=consumer]) > summary`)
	p.Run(chromedp.SetValue(`.act:has([value=consumer]) select`, "fulfil", chromedp.ByQuery))
	write(`.act:has([value=consumer]) [name=reason]`, "the inventory is repaired"+kb.Enter)
	p.Await("the pause", `document.querySelector(".notice")?.innerText.startsWith("Paused")`)
	p.Click(`nav a[href="/console/"]`)
	p.Await("the pause on the overview", `document.querySelector(".verdict")?.innerText.includes("Paused: consumer fulfil")`)
	require.Eventually(t, func() bool { // all processes follow within a second
		status, first = spend(fmt.Sprint("tap ", tick, status, first))
		return status == http.StatusAccepted
	}, startPatience, tick, "no spend waits")
	p.Await("it on the overview, by itself", `[...document.querySelectorAll("[data-consumer=fulfil] td.n")].some((cell) => cell.innerText === "1")`)
	p.Run(chromedp.Navigate("http://" + s.apiAddr + "/console/spends/" + first))
	p.Await("what it waits for", `document.querySelector(".timeline").innerText.includes("Delivery owed to fulfil")`)

	p.Run(chromedp.Navigate("http://" + s.apiAddr + "/console/pauses"))
	p.Click(`.act:has([action$="/resume"]) > summary`)
	write(`[action$="/resume"] [name=reason]`, "it is repaired"+kb.Enter)
	p.Await("nothing is paused", `document.querySelector(".notice")?.innerText.startsWith("Resumed")`)
	require.Eventually(t, func() bool {
		p.Run(chromedp.Navigate("http://" + s.apiAddr + "/console/spends/" + first))
		return strings.Contains(p.Text(".title"), "fulfilled")
	}, startPatience, tick, "the spend does not go on")

	w, err := s.client.Get("http://" + s.apiAddr + "/metrics")
	require.NoError(t, err)
	defer w.Body.Close()
	metrics, err := io.ReadAll(w.Body)
	require.NoError(t, err)
	require.Contains(t, string(metrics), "/console/", "the console is in the metrics")
	for name, text := range map[string]string{"metrics": string(metrics), "log": s.log.String()} {
		for _, canary := range []string{key, eMail, token, sessionSecret, "the inventory is repaired"} {
			require.NotContains(t, text, canary, name)
		}
	}
}
