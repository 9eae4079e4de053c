package main

import (
	"bufio"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// operatorPage is somebody who is logged in to the console of a running site.
type operatorPage struct {
	t      testing.TB
	base   string
	client *http.Client
}

var consoleFormToken = regexp.MustCompile(`name="form" value="([^"]+)"`)

// enterConsole logs in with a name and an admin key.
func enterConsole(t testing.TB, addr, name, key string) *operatorPage {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	p := &operatorPage{t: t, base: "http://" + addr, client: &http.Client{Jar: jar, Timeout: 45 * time.Second}}
	t.Cleanup(p.client.CloseIdleConnections)
	token := consoleFormToken.FindStringSubmatch(p.page("/console/login"))
	require.NotEmpty(t, token)
	answer, err := p.client.PostForm(p.base+"/console/login", url.Values{"form": {html.UnescapeString(token[1])}, "name": {name}, "key": {key}})
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, "/console/", answer.Request.URL.Path, "the overview follows")
	return p
}

// get reads what is at an address, whatever its status is.
func (p *operatorPage) get(path string) (status int, body string) {
	p.t.Helper()
	answer, err := p.client.Get(p.base + path)
	require.NoError(p.t, err)
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	require.NoError(p.t, err)
	return answer.StatusCode, string(raw)
}

// page reads what must be there.
func (p *operatorPage) page(path string) string {
	p.t.Helper()
	status, body := p.get(path)
	require.Equal(p.t, http.StatusOK, status, "%s\n%s", path, body)
	return body
}

// live is what the overview's stream of events says of one moment.
type live struct {
	Point struct{ Owed, Oldest float64 }
	HTML  string
}

// now reads the stream's second moment: the first is as old as the last look that was
// taken while nobody watched.
func (p *operatorPage) now() live {
	p.t.Helper()
	answer, err := p.client.Get(p.base + "/console/events")
	require.NoError(p.t, err)
	defer answer.Body.Close()
	lines, named := bufio.NewScanner(answer.Body), false
	lines.Buffer(nil, 1<<20)
	var moments []live
	for lines.Scan() {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			named = named && lines.Text() != "" || lines.Text() == "event: now"
			continue
		}
		var moment live
		if named {
			require.NoError(p.t, json.Unmarshal([]byte(data), &moment))
			moments = append(moments, moment)
		}
		if len(moments) == 2 {
			return moments[1]
		}
	}
	require.FailNow(p.t, "the stream ends without a moment", "%v", lines.Err())
	return live{}
}

var (
	consoleRow  = regexp.MustCompile(`(?s)<tr data-consumer="(\w+)">(.*?)</tr>`)
	consoleCell = regexp.MustCompile(`(?s)<td[^>]*>(.*?)</td>`)
	consoleTag  = regexp.MustCompile(`<[^>]*>`)
	ageUnit     = regexp.MustCompile(`([\d.]+) (ms|s|min|h|days)`)
)

// consumerRow is what the overview's table says of a consumer on the live lane: its
// cells, without their tags.
func consumerRow(t testing.TB, page, consumer string) []string {
	t.Helper()
	for _, row := range consoleRow.FindAllStringSubmatch(page, -1) {
		var cells []string
		for _, cell := range consoleCell.FindAllStringSubmatch(row[2], -1) {
			cells = append(cells, strings.TrimSpace(consoleTag.ReplaceAllString(cell[1], "")))
		}
		if row[1] == consumer && len(cells) == 8 && cells[1] == "live" {
			return cells
		}
	}
	require.FailNow(t, "no such row", "%s\n%s", consumer, page)
	return nil
}

// shownAge reads an age as the console writes it, such as "1 min 5 s", in seconds.
func shownAge(t testing.TB, text string) (seconds float64) {
	t.Helper()
	found := ageUnit.FindAllStringSubmatch(text, -1)
	require.NotEmpty(t, found, text)
	for _, part := range found {
		unit := map[string]float64{"ms": 0.001, "s": 1, "min": 60, "h": 3600, "days": 86_400}[part[2]]
		seconds += number(t, part[1]) * unit
	}
	return seconds
}
