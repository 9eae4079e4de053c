package main

import (
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/producers/spendapi"
)

// What is planted below. Every secret holds the first word; the others are what tells
// of a person, or is a client's own.
const (
	secretCanary = "secretcanary"
	mailCanary   = "jane.mailcanary@mail.example.com"
	playerCanary = "playercanary"
	keyCanary    = "keycanary"
)

// planted are the settings of a farm all of whose secrets are canaries. The game knows
// one more, of the setting handOver.
func planted(handOver string) []string {
	return []string{
		"SLUICE_SESSION_SECRET=" + secretCanary + "-session-0123456789-0123456789", "SLUICE_REVENUECAT_SECRET_KEY=sk_" + secretCanary,
		"SLUICE_SERVER_KEYS=" + secretCanary + "-server-1," + secretCanary + "-server-2",
		"SLUICE_ADMIN_KEYS=viewer:" + secretCanary + "-viewer,support:" + secretCanary + "-support,operator:" + secretCanary + "-operator",
		"SLUICE_WEBHOOK_AUTHORIZATION=Bearer " + secretCanary + "-webhook",
		"SLUICE_WEBHOOK_SIGNING_SECRETS=" + secretCanary + "-signing-1," + secretCanary + "-signing-2",
		handOver + ",game=whsec_" + base64.StdEncoding.EncodeToString([]byte(secretCanary+"-hand-over-0123456789")), "SLUICE_LOG_LEVEL=debug",
	}
}

// TestNoSecretGetsOut: secrets, session tokens, players' e-mail addresses, their ids
// and their keys are planted wherever they may come in, and everything goes wrong that
// can. None of them is in a log at its most talkative, in the metrics of any role, in a
// trace, or in the answer to an error. The pages of the console, as everybody who may
// log in, name players and their keys, and neither secrets nor addresses.
//
// Every role is a process of its own, and every page is read, so it takes about 25 s.
func TestNoSecretGetsOut(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	_, game := games(t, "game")
	settings := append(append(game[:1:1], r.settings()...), planted(game[1])...)
	f := newFarm(t, settings...)
	workAddr, relayAddr := freeAddr(t), freeAddr(t)
	work := launch(t, append(slices.Clone(f.env), "SLUICE_METRICS_ADDR="+workAddr, "SLUICE_DATABASE_URL="+withPassword(t, f.databaseURL())), "work")
	relay := launch(t, append(slices.Clone(f.env), "SLUICE_METRICS_ADDR="+relayAddr), "relay")
	c := &canaries{t: t, farm: f, tokens: map[string]string{}}
	for _, player := range []string{playerCanary, mailCanary} {
		f.give(player, economy.Amounts{"GEM": 500})
	}
	c.goWrong()
	c.tellOfPurchases()
	c.operate()
	db, rest := f.database(), 0 // a claim waits some minutes for its webhook, and that does not matter here
	require.Eventually(t, func() bool {
		return db.Get(&rest, "SELECT (SELECT count(*) FROM spends WHERE finished_at IS NULL) + (SELECT count(*) FROM outbox WHERE consumer <> 'resync')") == nil && rest == 0
	}, time.Minute, 5*tick)

	pages := c.crawl(secretCanary + "-operator")
	require.Greater(t, len(pages), 40, "few pages: this tests little")
	for _, part := range []string{"spends/", "players?", "players/proof", "purchases/show", "webhooks/", "body=shown", "deadletters/show", "refunds", "backfills", "reconciliation", "pauses", "audit", "configuration"} {
		require.True(t, slices.ContainsFunc(pages, func(page told) bool { return strings.Contains(page.where, part) }), "no page of %s", part)
	}
	pages = append(pages, c.crawl(secretCanary+"-support")...)
	pages = append(pages, c.crawl(secretCanary+"-viewer")...)

	var scrapes []told
	for name, addr := range map[string]string{"serve": f.apiAddr, "work": workAddr, "relay": relayAddr} {
		answer, err := f.client.Get("http://" + addr + "/metrics")
		require.NoError(t, err)
		scrapes = append(scrapes, told{"/metrics of " + name, bodyOf(t, answer)})
		require.Contains(t, scrapes[len(scrapes)-1].text, "sluice_consumer_oldest_age_seconds")
	}
	for _, p := range []*program{f.serve, work, relay} {
		p.finish()
		require.True(t, p.log.has(`"level":"DEBUG"`) || p == relay, "%s says little: this tests nothing", p)
		scrapes = append(scrapes, told{"the log of " + p.String(), p.log.String()}, told{"what " + p.String() + " prints", p.out.String()})
	}
	require.True(t, f.serve.log.has(`"event_id":"plain-1"`))
	require.True(t, work.log.has(`"msg":"delivery"`))
	traces := r.received()
	for _, name := range []string{"POST /spend", "POST /grants", "/webhooks/revenuecat", "spend.charged.v1", "sluice-work", "COMMIT"} {
		require.Contains(t, traces, name, "the traces lack it: this tests nothing")
	}
	secrets := append(c.secrets(), mailCanary, "mailcanary")
	nowhere(t, append(scrapes, told{"the traces", traces}), append(secrets, playerCanary, keyCanary)...)
	require.Greater(t, len(c.refused), 15)
	nowhere(t, c.refused, secrets...)
	nowhere(t, pages, secrets...)
}

// told is a text that somebody may read.
type told struct{ where, text string }

// nowhere wants none of the words in any of the texts.
func nowhere(t *testing.T, texts []told, words ...string) {
	t.Helper()
	for _, text := range texts {
		lower := strings.ToLower(text.text)
		for _, word := range words {
			if at := strings.Index(lower, strings.ToLower(word)); at >= 0 {
				assert.Fail(t, "it got out", "%q in %s: ...%s", word, text.where, text.text[max(0, at-150):min(len(text.text), at+len(word)+20)])
			}
		}
	}
}

// canaries are what was planted, and what was said to whoever used it.
type canaries struct {
	t       *testing.T
	farm    *farm
	tokens  map[string]string // of sessions, of clients and of the console
	refused []told            // the answers to errors
}

// secrets are what may stand nowhere at all.
func (c *canaries) secrets() []string {
	list := []string{secretCanary, base64.StdEncoding.EncodeToString([]byte(secretCanary))[:15]}
	for _, token := range c.tokens {
		list = append(list, token)
	}
	return list
}

// token is a session of a player, by the right secret.
func (c *canaries) token(player string) string {
	c.t.Helper()
	if c.tokens[player] == "" {
		token, err := spendapi.SignSession([]byte(secretCanary+"-session-0123456789-0123456789"), player, time.Hour, time.Now(), "", "")
		require.NoError(c.t, err)
		c.tokens[player] = token
	}
	return c.tokens[player]
}

// send keeps what is answered to errors.
func (c *canaries) send(method, path, body string, header ...string) int {
	c.t.Helper()
	r, err := c.farm.send(method, path, body, append([]string{"Content-Type", "application/json", "Tracestate", "canary=" + secretCanary}, header...)...)
	require.NoError(c.t, err)
	if r.code >= http.StatusBadRequest {
		c.refused = append(c.refused, told{fmt.Sprintf("%s %s: %d", method, path, r.code), r.raw + fmt.Sprint(r.header)})
	}
	return r.code
}

func (c *canaries) spend(token, item, key string, header ...string) int {
	c.t.Helper()
	return c.send(http.MethodPost, "/spend", fmt.Sprintf(`{"item":%q,"idempotencyKey":%q}`, item, key), append(header, "Authorization", "Bearer "+token)...)
}

// goWrong asks for what is right, for what no client should, and while the provider
// fails in the ways it can.
func (c *canaries) goWrong() {
	t, player := c.t, c.token(playerCanary)
	foreign := session(t, playerCanary) // signed by another secret
	c.tokens["foreign"] = foreign
	require.Equal(t, http.StatusOK, c.spend(player, "extra_life", keyCanary+"-1", "Prefer", "wait=30"))
	require.Equal(t, http.StatusOK, c.spend(player, "guild_banner", keyCanary+"-2", "Prefer", "wait=30"))
	require.Equal(t, http.StatusPaymentRequired, c.spend(player, "legendary_skin", keyCanary+"-3", "Prefer", "wait=30"))
	require.Equal(t, http.StatusInternalServerError, c.spend(player, "cursed_relic", keyCanary+"-4", "Prefer", "wait=30"))
	require.Contains(t, []int{http.StatusOK, http.StatusBadGateway}, c.spend(c.token(mailCanary), "extra_life", keyCanary+"-5", "Prefer", "wait=30"))
	require.Equal(t, http.StatusBadGateway, c.spend(c.token(playerCanary+" /unknown"), "extra_life", keyCanary+"-6", "Prefer", "wait=30"))
	require.Equal(t, http.StatusUnauthorized, c.spend(foreign, "extra_life", keyCanary+"-7"))
	require.Equal(t, http.StatusUnauthorized, c.spend(secretCanary+"-garbage", "extra_life", keyCanary+"-8"))
	require.Equal(t, http.StatusConflict, c.spend(player, "founders_badge", keyCanary+"-1"))
	require.Equal(t, http.StatusBadRequest, c.spend(player, "no-such-item", keyCanary+"-9"))
	for _, fault := range []string{`{"unauthorized":true}`, `{"fail_before":1}`, `{"lose_answer":1}`, `{"locked":1}`, `{"replay_conflict":1}`} {
		c.farm.faults(fault)
		require.Contains(t, []int{http.StatusAccepted, http.StatusOK}, c.spend(player, "extra_life", keyCanary+"-fault", "Prefer", "wait=1", "X-Request-Id", "plain"))
	}
	c.farm.faults(`{}`)
	for _, path := range []string{"/spends/" + playerCanary, "/" + playerCanary + "?token=" + player, "/wallet?player=" + mailCanary, "/inventory"} {
		c.send(http.MethodGet, path, "", "Authorization", "Bearer "+player)
		c.send(http.MethodGet, path, "", "Authorization", "Bearer "+foreign)
	}
	grant := fmt.Sprintf(`{"app_user_id":%q,"adjustments":{"GEM":7},"reason":"asked by %s","idempotency_key":"%s-g"}`, playerCanary, mailCanary, keyCanary)
	require.Equal(t, http.StatusOK, c.send(http.MethodPost, "/grants", grant, "Authorization", "Bearer "+secretCanary+"-server-2", "Prefer", "wait=30"))
	require.Equal(t, http.StatusUnauthorized, c.send(http.MethodPost, "/grants", grant, "Authorization", "Bearer "+secretCanary+"-server-3"))
	require.Equal(t, http.StatusConflict, c.send(http.MethodPost, "/grants", strings.Replace(grant, "7", "8", 1), "Authorization", "Bearer "+secretCanary+"-server-1"))
}

// tellOfPurchases sends webhooks, right ones and others, and claims.
func (c *canaries) tellOfPurchases() {
	t := c.t
	attributes := `"subscriber_attributes":{"$email":{"value":"` + mailCanary + `"}}`
	enrolled := `{"event":{"id":"plain-1","type":"EXPERIMENT_ENROLLMENT","app_user_id":"` + playerCanary + `",` + attributes + `}}`
	bought := `{"api_version":"1.0","event":{"id":"plain-2","type":"INITIAL_PURCHASE","event_timestamp_ms":1772366400000,"app_user_id":"` + mailCanary + `",
		"original_app_user_id":"` + mailCanary + `","aliases":["` + mailCanary + `"],"product_id":"season_pass_1","store":"APP_STORE","environment":"PRODUCTION","transaction_id":"t-of-` + mailCanary + `",
		"original_transaction_id":"t-of-` + mailCanary + `","purchased_at_ms":1772366400000,"expiration_at_ms":1872366400000,"price":4.99,"currency":"EUR",` + attributes + `}}`
	for _, test := range []struct {
		body, authorization, secret string
		code                        int
	}{
		{enrolled, "-webhook", "-signing-2", http.StatusOK}, {bought, "-webhook", "-signing-1", http.StatusOK}, {enrolled, "-webhook", "-signing-3", http.StatusUnauthorized},
		{enrolled, "-else", "-signing-1", http.StatusUnauthorized}, {`{"event":` + mailCanary, "-webhook", "-signing-1", http.StatusBadRequest},
	} {
		code := c.send(http.MethodPost, "/webhooks/revenuecat", test.body, "Authorization", "Bearer "+secretCanary+test.authorization,
			"X-RevenueCat-Webhook-Signature", signWebhook(test.body, secretCanary+test.secret))
		require.Equal(t, test.code, code, test.body)
	}
	c.send(http.MethodPost, "/purchases/claims", `{"store":"app_store","transaction_id":"`+mailCanary+`","product_id":"gems_100"}`, "Authorization", "Bearer "+c.token(playerCanary))
	c.send(http.MethodPost, "/purchases/restore", `{}`, "Authorization", "Bearer "+c.token(mailCanary))
}

// operate has operators write down what they should not, and a delivery die of it.
func (c *canaries) operate() {
	t := c.t
	for _, args := range [][]string{{"pause", "item", "new_year_hat"}, {"resync", mailCanary}, {"spend", "refund", c.fulfilled()}} {
		if args[0] == "resync" {
			code, _, log := runs(t, c.farm.env, args...)
			require.Zero(t, code, log)
			continue
		}
		code, _, log := runs(t, c.farm.env, append(args, "--reason", "asked by "+mailCanary)...)
		require.Zero(t, code, log)
	}
	code, _, log := runs(t, c.farm.env, "resync", "..", "--wait")
	require.Equal(t, exitFailed, code, log)
	_, err := c.farm.database().Exec("UPDATE dead_letters SET app_user_id = $1, error = error || $2", mailCanary, " of "+mailCanary)
	require.NoError(t, err)
}

// fulfilled is the id of a spend that can be refunded.
func (c *canaries) fulfilled() (id string) {
	c.t.Helper()
	require.NoError(c.t, c.farm.database().Get(&id, "SELECT id FROM spends WHERE kind = 'spend' AND state = 'fulfilled' AND app_user_id = $1 AND item = 'extra_life' LIMIT 1", playerCanary))
	return id
}

var (
	consoleLink = regexp.MustCompile(`href="(/console/[^"]*)"`)
	// consoleNamed is what must hold a player's id to do its work, and shows it to nobody
	// who did not write it: links, and fields of forms.
	consoleNamed = regexp.MustCompile(`href="/console/[^"]*"|<input [^>]*name="(id|player|subject|transaction)" value="` + `(t-of-)?` + regexp.QuoteMeta(mailCanary) + `"`)
)

// crawl reads every page that the console leads to, as whoever has a key.
func (c *canaries) crawl(key string) []told {
	c.t.Helper()
	p := enterConsole(c.t, c.farm.apiAddr, "Anna", key)
	address, err := url.Parse(p.base + "/console/")
	require.NoError(c.t, err)
	for i, cookie := range p.client.Jar.Cookies(address) {
		if cookie.Value != "" {
			c.tokens[fmt.Sprint(key, i)] = cookie.Value
		}
	}
	var list []told
	next := []string{"/console/", "/console/players?id=" + url.QueryEscape(mailCanary), "/console/players?id=" + playerCanary, "/console/spends?key=" + keyCanary + "-1",
		"/console/nothing-of-" + url.QueryEscape(mailCanary), "/console/spends?id=" + url.QueryEscape(mailCanary)}
	seen := map[string]bool{}
	for len(next) > 0 && len(list) < 400 {
		path := next[0]
		next = next[1:]
		if seen[path] || strings.HasPrefix(path, "/console/static/") {
			continue
		}
		seen[path] = true
		status, body := p.get(path)
		require.Less(c.t, status, http.StatusInternalServerError, "%s\n%s", path, body)
		for _, link := range consoleLink.FindAllStringSubmatch(body, -1) {
			next = append(next, html.UnescapeString(link[1]))
		}
		list = append(list, told{path + " with " + key[len(secretCanary)+1:], consoleNamed.ReplaceAllString(body, "")})
	}
	return list
}

// withPassword is a database's address with a password that nobody asks for.
func withPassword(t *testing.T, address string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	parsed.User = url.UserPassword(parsed.User.Username(), secretCanary+"-database")
	return parsed.String()
}

// bodyOf reads an answer to its end.
func bodyOf(t *testing.T, answer *http.Response) string {
	t.Helper()
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(raw)
}
