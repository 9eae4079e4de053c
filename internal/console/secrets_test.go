package console_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestNoPageTellsWhatIsNobodysBusiness plants what must never be shown wherever it may
// come in, then looks for it on every page, as everybody, and in the log.
func TestNoPageTellsWhatIsNobodysBusiness(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const eMail, phone, secret = "jane.canary+1@mail.example.com", "+43-660-CANARY", "whsec_CANARY"
	addresses := h.everyPage()
	exec := func(query string, args ...any) {
		t.Helper()
		_, err := h.db.Exec(query, args...)
		require.NoError(t, err)
	}
	body := `{"event":{"id":"event-1","app_user_id":"ann","price":12345678901234567890,"subscriber_attributes":{"$email":{"value":"` + eMail + `"},"$phoneNumber":{"value":"` + phone + `"}}}}`
	exec(`UPDATE webhook_events SET body = $1, error = $2`, []byte(body), "cannot read "+eMail)
	exec(`UPDATE dead_letters SET error = $1, stack = $1, failures = json_build_array(json_build_object('at', now(), 'attempt', 1, 'error', $1::text))`, "lookup of "+eMail+" failed")
	exec(`UPDATE dead_letters SET payload = convert_to(replace(convert_from(payload, 'UTF8'), '"ann"', '"' || $1 || '"'), 'UTF8')`, eMail)
	require.Equal(t, 1, h.count("SELECT count(*) FROM dead_letters WHERE position($1 IN convert_from(payload, 'UTF8')) > 0", eMail))
	exec(`UPDATE spends SET needs_operator = $1, note = $1`, "ask "+eMail)
	exec(`UPDATE adjustments SET last_error = $1`, "refused for "+eMail)
	exec(`UPDATE outbox SET last_error = $1`, "endpoint guild: "+eMail)
	exec(`UPDATE handover_troubles SET last_error = $1`, "no answer for "+eMail)
	exec(`UPDATE pauses SET reason = $1`, "asked by "+eMail)
	h.spend(eMail, "sword", "fulfilled", time.Now()) // an App User ID that is one
	var tokens []string
	for _, key := range []string{viewerKey, supportKey, operatorKey} {
		p := h.enter(key)
		for _, cookie := range p.client.Jar.Cookies(address(t, h.url+"/console/")) {
			tokens = append(tokens, cookie.Value)
		}
		for _, path := range addresses {
			page := p.get("/console/" + path).body
			for _, canary := range append([]string{phone, secret, viewerKey, supportKey, operatorKey}, tokens...) {
				require.NotContains(t, page, canary, path)
			}
			// An App User ID that is an e-mail is in links, which need it; nowhere is it written.
			shown := strings.NewReplacer("id=jane.canary%2B1%40mail.example.com", "", "id=jane.canary&#43;1%40mail.example.com", "").Replace(page)
			require.NotContains(t, shown, "canary", path)
		}
		bodyPage := p.get("/console/webhooks/" + strings.TrimPrefix(find(t, addresses, "webhooks/"), "webhooks/") + "?body=shown")
		if key == viewerKey {
			require.Equal(t, http.StatusForbidden, bodyPage.status, "raw bodies are not for viewers")
			continue
		}
		require.Contains(t, bodyPage.body, "12345678901234567890", "the rest of a body is there, to the last digit")
		require.Contains(t, bodyPage.body, "(hidden)")
	}
	for _, canary := range append([]string{"canary", "CANARY", viewerKey, supportKey, operatorKey}, tokens...) {
		require.NotContains(t, h.log.String(), canary)
	}
}

func find(t *testing.T, list []string, prefix string) string {
	t.Helper()
	for _, text := range list {
		if strings.HasPrefix(text, prefix) && !strings.Contains(text, "?") {
			return text
		}
	}
	require.FailNow(t, "none begins with "+prefix)
	return ""
}

// TestThePagesNeedNothingButOurFiles: whoever opens the console asks nobody else.
func TestThePagesNeedNothingButOurFiles(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	addresses := h.everyPage()
	p := h.enter(operatorKey)
	for _, path := range addresses {
		a := p.get("/console/" + path)
		require.NotRegexp(t, `(?i)(src|href|action)="?(https?:)?//`, a.body, path)
		require.NotRegexp(t, `(?i)<script>|<style|\sstyle=|\son[a-z]+=|javascript:`, a.body, path)
		require.Equal(t, "no-store", a.header.Get("Cache-Control"), path)
		require.Equal(t, "DENY", a.header.Get("X-Frame-Options"), path)
	}
	page := p.page("/console/spends")
	for _, name := range []string{"console.css", "console.js", "icon.svg"} {
		file := regexp.MustCompile(`/console/static/[0-9a-f]+/` + regexp.QuoteMeta(name)).FindString(page)
		a := h.visitor().get(file)
		require.Equal(t, http.StatusOK, a.status, file)
		require.Contains(t, a.header.Get("Cache-Control"), "immutable")
		require.NotRegexp(t, `https?://(?:[^w]|w[^w])|@import|url\(`, strings.ReplaceAll(a.body, "http://www.w3.org/2000/svg", ""))
	}
	require.Equal(t, http.StatusNotFound, h.visitor().get("/console/static/x/other.css").status)
	require.NotContains(t, h.visitor().get("/console/static/old/console.css").header.Get("Cache-Control"), "immutable", "another release's address")
}

func TestTheLiveStreamEndsWithTheServerAndTheSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	stop := h.running()
	defer stop()
	watching := func(p *person) (*http.Response, chan struct{}) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url+"/console/events", nil)
		require.NoError(t, err)
		w, err := p.client.Do(r)
		require.NoError(t, err)
		ended := make(chan struct{})
		go func() { defer close(ended); _, _ = io.Copy(io.Discard, w.Body); _ = w.Body.Close() }()
		return w, ended
	}
	leaver := h.enter(viewerKey)
	w, ended := watching(leaver)
	require.Equal(t, "text/event-stream", w.Header.Get("Content-Type"))
	require.Equal(t, http.StatusSeeOther, leaver.send("/console/logout").status)
	<-ended
	_, ended = watching(h.enter(viewerKey))
	h.Leave()
	<-ended
}

func address(t *testing.T, text string) *url.URL {
	t.Helper()
	parsed, err := url.Parse(text)
	require.NoError(t, err)
	return parsed
}
