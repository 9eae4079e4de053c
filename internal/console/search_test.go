package console_test

import (
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/console"
)

var spendLinks = regexp.MustCompile(`href="/console/spends/([0-9a-f-]{36})"`)

func spendsOn(page string) (ids []string) {
	for _, match := range spendLinks.FindAllStringSubmatch(page, -1) {
		ids = append(ids, match[1])
	}
	return ids
}

func TestSpendsAreFoundByEverythingTheyAre(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	first := h.spend("ann", "sword", "fulfilled", at)
	second := h.spend("ann", "shield", "requested", at.Add(time.Hour))
	third := h.spend("o'b\"<i>/%:\u00e4", "sword", "refunded", at.Add(2*time.Hour))
	_, err := h.db.Exec("UPDATE spends SET needs_operator = 'look' WHERE id = $1", third)
	require.NoError(t, err)
	p := h.enter(viewerKey)
	for query, want := range map[string][]string{
		"":                      {third, second, first},
		"player=ann":            {second, first},
		"player=ann&state=open": {second},
		"player=" + url.QueryEscape("o'b\"<i>/%:\u00e4"): {third},
		"player=Ann":                                       nil,
		"id=" + first:                                      {first},
		"key=" + second + "-tap":                           {second},
		"player=ann&key=" + first + "-tap":                 {first},
		"player=bob&key=" + first + "-tap":                 nil,
		"player=ann&key=" + first + "-tap&state=requested": nil,
		"item=sword":                                       {third, first},
		"state=fulfilled":                                  {first},
		"state=requested":                                  {second},
		"state=open":                                       {second},
		"state=attention":                                  {third},
		"state=attention&item=shield":                      nil,
		"from=2026-11-22T11:00":                            {third, second},
		"to=2026-11-22T11:00":                              {first},
		"from=2026-11-22T11:00:00&to=2026-11-22+11:00:01":  {second},
		"player=ann&from=2026-11-22T10:30":                 {second},
	} {
		require.Equal(t, want, spendsOn(p.page("/console/spends?"+query)), query)
	}
	for _, query := range []string{"id=nonsense", "state=nonsense", "from=yesterday", "before=1"} {
		require.Equal(t, 400, p.get("/console/spends?"+query).status, query)
	}
	require.Equal(t, "/console/spends/"+first, p.get("/console/find?q=+"+first+"+").header.Get("Location"))
	require.Equal(t, "/console/players?id=ann", p.get("/console/find?q=ann").header.Get("Location"))
}

// TestPagesOfASearchLeaveNothingOut walks through what is more than one page, and
// more than one look at the newest spends.
func TestPagesOfASearchLeaveNothingOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	many := console.ScanMax + 2*console.PageSize
	// Every spend of the same second has its id from a counter. The oldest are axes.
	_, err := h.db.Exec(`INSERT INTO spends (id, quantity, catalog_version, accepted_at, finished_at, change_id, app_user_id, idempotency_key, item, state, left_state, cost)
		SELECT id, 1, 1, now(), now(), id, 'p' || n % 100, 'k' || n, CASE WHEN n <= 70 THEN 'axe' ELSE 'sword' END, 'declined', 'requested', '{"GEM":1}'
		FROM (SELECT n, ('01a20000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id FROM generate_series(1, $1::int) AS n) AS made`, many)
	require.NoError(t, err)
	p := h.enter(viewerKey)
	next := regexp.MustCompile(`rel="next" href="([^"]+)">([^<]+)<`)
	walk := func(query string) (ids []string, links []string) {
		for address := "/console/spends?" + query; ; {
			page := p.page(address)
			ids = append(ids, spendsOn(page)...)
			found := next.FindStringSubmatch(page)
			if found == nil {
				return ids, links
			}
			require.Less(t, len(links), 20, "it does not end")
			links = append(links, found[2])
			address = regexp.MustCompile(`&amp;`).ReplaceAllString(found[1], "&")
		}
	}
	ofPlayer, _ := walk("player=p7")
	require.Len(t, ofPlayer, many/100)
	axes, links := walk("item=axe")
	require.Len(t, axes, 70)
	require.Equal(t, []string{"Look further back", "Older spends"}, links)
	require.True(t, slices.IsSortedFunc(axes, func(a, b string) int { return -1 * compare(a, b) }))
	require.Equal(t, fmt.Sprintf("01a20000-0000-7000-8000-%012x", 70), axes[0])
	require.Empty(t, spendsOn(p.page("/console/spends?item=bow")))
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// What is rare is looked for among the newest 20,000 webhooks, and then further back.
func TestAWebhookIsFoundHoweverOldItIs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, err := h.db.Exec(`INSERT INTO webhook_events (id, received_at, event_key, verdict, type, environment, headers)
		SELECT ('01a196fb-1600-7000-8000-' || lpad(n::text, 12, '0'))::uuid, '2026-11-01T12:00Z', 'e' || n, 'accepted', CASE n WHEN 1 THEN 'TRANSFER' ELSE 'RENEWAL' END, 'production', '{}'
		FROM generate_series(1, 20010) AS n`)
	require.NoError(t, err)
	p := h.enter(viewerKey)
	page := p.page("/console/webhooks?type=TRANSFER")
	require.NotContains(t, page, ">e1</a>")
	require.Contains(t, page, "No webhook is like that")
	further := regexp.MustCompile(`rel="next" href="([^"]+)">Look further back`).FindStringSubmatch(page)
	require.NotEmpty(t, further)
	page = p.page(html.UnescapeString(further[1]))
	require.Contains(t, page, ">e1</a>")
	require.NotContains(t, page, "Look further back")
}
