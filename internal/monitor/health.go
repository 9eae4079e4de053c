package monitor

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// readyPatience bounds the look at the database for one readiness answer.
const readyPatience = 2 * time.Second

// Health answers /livez and /readyz.
type Health struct {
	DB       *sqlx.DB
	Conn     *broker.Conn
	Provider func() string // how the provider was at the last call, in a word; nil: not asked here
	draining atomic.Bool
}

// Drain makes /readyz answer 503 from now on.
func (h *Health) Drain() { h.draining.Store(true) }

// Live answers 200 for as long as the process can answer at all.
func (h *Health) Live(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "alive"})
}

// Ready answers 200 while requests can be accepted: the database answers and its
// schema is current. It says how the broker and the provider are, but stays 200
// without them, because accepted spends wait for them in the outbox.
func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	if h.draining.Load() { // at once: a load balancer must not wait for a slow database to hear it
		answer(w, http.StatusServiceUnavailable, map[string]string{"status": "draining"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyPatience)
	defer cancel()
	status := map[string]string{"status": "ready", "database": "ok", "broker": h.Conn.Status()}
	if h.Provider != nil {
		status["provider"] = h.Provider()
	}
	code := http.StatusOK
	switch current, err := postgres.MigrationsCurrent(ctx, h.DB); {
	case err != nil:
		code, status["status"], status["database"] = http.StatusServiceUnavailable, "not ready", "unavailable"
	case !current:
		code, status["status"], status["database"] = http.StatusServiceUnavailable, "not ready", "migrations are pending: run sluice migrate"
	}
	answer(w, code, status)
}

func answer(w http.ResponseWriter, code int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // a reader that went away has nothing to be told
}
