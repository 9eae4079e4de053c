package openapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var document []byte

// YAML returns the description as it is served at /openapi.yaml.
func YAML() []byte { return bytes.Clone(document) }

// maxAge is how long a copy is used unasked. A release changes the files at most;
// five minutes later everybody has the new ones.
const maxAge = "public, max-age=300"

// file is something that is served, the same to everybody.
type file struct {
	contentType string
	policy      string // Content-Security-Policy
	content     []byte
	etag        string
}

func newFile(contentType, policy string, content []byte) file {
	sum := sha256.Sum256(content)
	return file{contentType, policy, content, `"` + hex.EncodeToString(sum[:16]) + `"`}
}

// files are made at the first request for one of them: most processes never show
// them, and what they are made of is part of the program.
var files = sync.OnceValues(func() (made struct{ yaml, json, page file }, err error) {
	const nothing = "default-src 'none'; frame-ancestors 'none'"
	var tree map[string]any
	if err := yaml.Unmarshal(document, &tree); err != nil {
		return made, fmt.Errorf("openapi.yaml: %w", err)
	}
	asJSON, err := json.Marshal(tree)
	if err != nil {
		return made, fmt.Errorf("openapi.yaml: %w", err)
	}
	page, style, err := render(document)
	if err != nil {
		return made, err
	}
	hash := sha256.Sum256([]byte(style))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; img-src data:; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	made.yaml = newFile("application/yaml", nothing, document)
	made.json = newFile("application/json", nothing, asJSON)
	made.page = newFile("text/html; charset=utf-8", policy, page)
	return made, nil
})

// Routes registers the description, its page, and the way from a problem's type to
// its place on the page.
func Routes(mux *http.ServeMux) {
	serve := func(pattern string, pick func() (file, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			f, err := pick()
			if err != nil { // a mistake in the program, which tests find
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			f.serve(w, r)
		})
	}
	serve("GET /openapi.yaml", func() (file, error) { made, err := files(); return made.yaml, err })
	serve("GET /openapi.json", func() (file, error) { made, err := files(); return made.json, err })
	serve("GET /docs", func() (file, error) { made, err := files(); return made.page, err })
	mux.HandleFunc("GET /problems/{problem}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/docs#"+r.PathValue("problem"), http.StatusFound)
	})
}

// serve answers 200, or 304 to whoever has this very file.
func (f file) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", f.contentType)
	header.Set("Content-Security-Policy", f.policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", maxAge)
	header.Set("ETag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}
