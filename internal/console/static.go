package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
)

//go:embed static
var static embed.FS

// staticTypes are the files there are.
var staticTypes = map[string]string{
	"console.css": "text/css; charset=utf-8",
	"console.js":  "text/javascript; charset=utf-8",
	"icon.svg":    "image/svg+xml",
}

type staticFile struct {
	body []byte
	hash string
}

var staticFiles = func() map[string]staticFile {
	files := map[string]staticFile{}
	for name := range staticTypes {
		body, err := static.ReadFile("static/" + name)
		if err != nil {
			panic(err) // it is embedded
		}
		sum := sha256.Sum256(body)
		files[name] = staticFile{body, hex.EncodeToString(sum[:6])}
	}
	return files
}()

// asset returns the address of a file, which changes with what is in it, so that a
// browser may keep it for ever.
func asset(name string) string { return Path + "static/" + staticFiles[name].hash + "/" + name }

func serveStatic(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	file, known := staticFiles[name]
	if !known {
		http.NotFound(w, r)
		return
	}
	if r.PathValue("hash") == file.hash { // another release's browser gets ours, and does not keep it
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Header().Set("Content-Type", staticTypes[name])
	_, _ = w.Write(file.body) // fails only when the client is gone
}
