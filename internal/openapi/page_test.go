package openapi_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sluice-gems/sluice/internal/openapi"
	"github.com/sluice-gems/sluice/internal/testenv/contract"
)

// all returns what a pattern's group matches.
func all(pattern, text string) []string {
	var found []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

func TestThePageNeedsNothingButItself(t *testing.T) {
	t.Parallel()
	w := get(t, http.MethodGet, "/docs")
	page, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
	require.NotRegexp(t, `(?i)<(script|img|iframe|object|embed|form|base)|\s(src|srcset|style|on[a-z]+)=|@import|url\(`, page)
	require.Equal(t, []string{`rel="icon" href="data:,"`}, all(`<link ([^>]*)>`, page), "or the browser asks for /favicon.ico")
	for _, address := range all(`href="([^"]*)"`, page) {
		require.Regexp(t, `^(#|/openapi\.(yaml|json)$|data:,$)`, address)
	}
	styles := all(`(?s)<style>(.*?)</style>`, page)
	require.Len(t, styles, 1)
	hash := sha256.Sum256([]byte(styles[0]))
	require.Contains(t, policy, "style-src 'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'")
	require.True(t, strings.HasPrefix(policy, "default-src 'none';"), policy)
	require.NotContains(t, policy, "unsafe")
}

func TestEveryLinkOfThePageLeadsSomewhere(t *testing.T) {
	t.Parallel()
	page := get(t, http.MethodGet, "/docs").Body.String()
	anchors := map[string]bool{}
	for _, id := range all(` id="([^"]*)"`, page) {
		require.False(t, anchors[id], "two anchors %s", id)
		anchors[id] = true
	}
	for _, id := range all(`href="#([^"]*)"`, page) {
		require.True(t, anchors[id], "no anchor %s", id)
	}
	require.NotEmpty(t, contract.Problems())
	for _, slug := range contract.Problems() {
		require.True(t, anchors[slug], "the type of %s leads nowhere", slug)
		w := get(t, http.MethodGet, "/problems/"+slug)
		require.Equal(t, http.StatusFound, w.Code)
		require.Equal(t, "/docs#"+slug, w.Header().Get("Location"))
	}
}

// TestThePageShowsTheWholeDescription: every text of openapi.yaml that is for
// people, every call, status, member and header is on the page.
func TestThePageShowsTheWholeDescription(t *testing.T) {
	t.Parallel()
	page := get(t, http.MethodGet, "/docs").Body.String()
	page = words(html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, "")))
	var document map[string]any
	require.NoError(t, yaml.Unmarshal(openapi.YAML(), &document))
	wanted := func(text string) {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks: %s", text)
		}
	}
	var look func(at any, under string)
	look = func(at any, under string) {
		switch at := at.(type) {
		case map[string]any:
			for key, value := range at {
				text, isText := value.(string)
				switch {
				case isText && (key == "summary" || key == "description" || key == "title"):
					for _, line := range strings.Split(text, "\n\n") {
						wanted(plain(line))
					}
				case under == "paths", under == "properties", under == "responses", under == "headers":
					wanted(key)
				case key == "example" && isText:
					wanted(text)
				}
				if key != "value" && key != "examples" { // of examples: the tests of the API compare them
					look(value, key)
				}
			}
		case []any:
			for _, value := range at {
				look(value, "")
			}
		}
	}
	components := document["components"].(map[string]any)
	delete(components, "securitySchemes") // the introduction is about them
	for _, of := range components {
		for _, component := range of.(map[string]any) {
			look(component, "") // their names are not the callers'
		}
	}
	delete(document, "components")
	look(document, "")
}

// words writes a text with single spaces, as a browser shows it.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

// plain writes CommonMark without its marks.
func plain(markdown string) string {
	markdown = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(markdown, "$1")
	return words(strings.NewReplacer("`", "", "**", "", "## ", "").Replace(markdown))
}
