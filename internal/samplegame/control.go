package samplegame

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
)

func (g *Game) routeControl() {
	faults := func(w http.ResponseWriter, _ *http.Request) { show(w, g.Faults()) }
	routes := map[string]http.HandlerFunc{
		"GET /control":                  faults,
		"GET /control/{$}":              faults,
		"GET /control/faults":           faults,
		"PUT /control/faults":           func(w http.ResponseWriter, r *http.Request) { g.change(w, r, Faults{}) },
		"PATCH /control/faults":         func(w http.ResponseWriter, r *http.Request) { g.change(w, r, g.Faults()) },
		"GET /control/spends/{spend}":   func(w http.ResponseWriter, r *http.Request) { show(w, g.Record(r.PathValue("spend"))) },
		"GET /control/players/{player}": func(w http.ResponseWriter, r *http.Request) { show(w, g.Holds(r.PathValue("player"))) },
		"/control/": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no such control: GET /control shows the faults, PATCH /control/faults changes them; /control/players/{player} and /control/spends/{id} show what is held", http.StatusNotFound)
		},
	}
	for pattern, handle := range routes {
		g.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if !loopback(r.RemoteAddr) {
				http.Error(w, "the control side answers this machine only", http.StatusForbidden)
				return
			}
			handle(w, r)
		})
	}
}

func (g *Game) change(w http.ResponseWriter, r *http.Request, from Faults) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
	if err == nil {
		from, err = from.merge(raw)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	g.SetFaults(from)
	g.log.InfoContext(r.Context(), "faults changed", "faults", from)
	show(w, from)
}

// loopback reports whether a caller is on this machine.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

func show(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
