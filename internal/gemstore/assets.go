package gemstore

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"
)

//go:embed page/*
var page embed.FS

// asset is a file of the page.
type asset struct {
	content     []byte
	contentType string
	etag        string
}

// assets are the page's files by their name below Path.
var assets = map[string]asset{
	"{$}":       newAsset("page.html", "text/html; charset=utf-8"),
	"page.css":  newAsset("page.css", "text/css; charset=utf-8"),
	"page.js":   newAsset("page.js", "text/javascript; charset=utf-8"),
	"view.js":   newAsset("view.js", "text/javascript; charset=utf-8"),
	"client.js": newAsset("client.js", "text/javascript; charset=utf-8"),
	"icon.svg":  newAsset("icon.svg", "image/svg+xml"),
}

func newAsset(name, contentType string) asset {
	content, err := page.ReadFile("page/" + name)
	if err != nil { // embedded
		panic(err)
	}
	sum := sha256.Sum256(content)
	return asset{content, contentType, `"` + hex.EncodeToString(sum[:16]) + `"`}
}

// policy lets the page load what this server has, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard sets the headers that every answer has.
func guard(header http.Header) {
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
}

// serve answers 200, or 304 to whoever has this very file.
func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", a.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
}

// show answers with a value.
func show(w http.ResponseWriter, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(raw) // a reader that went away has nothing to be told
	return nil
}

func refuse(w http.ResponseWriter, status int, why string) {
	raw, err := json.Marshal(map[string]string{"error": why})
	if err != nil { // a string always encodes
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}
