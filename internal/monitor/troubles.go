package monitor

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/handover"
)

const (
	// troubleLook is how often a process looks whether it has met trouble. Looking costs
	// nothing; a row is written only when there is some.
	troubleLook = time.Second
	// troubleTold is how often trouble that lasts unchanged is told again, and
	// troubleKept how long it counts after it was told last: then whoever told it died.
	troubleTold = 5 * time.Second
	troubleKept = 4 * troubleTold
	// troublePatience bounds one write.
	troublePatience = 5 * time.Second
)

// Troubles tells everybody, by PostgreSQL, what this process meets at the game's own
// servers: circuits are in its memory, and others answer for the whole. Each process
// that hands items over runs one.
type Troubles struct {
	DB      *sqlx.DB
	Process string                    // its name, unlike that of any other
	Look    func() []handover.Trouble // handover.Endpoints.Troubles
	Log     *slog.Logger

	told map[string]toldTrouble
}

// toldTrouble is what was written last of an endpoint.
type toldTrouble struct {
	handover.Trouble
	at time.Time
}

// Run looks every second until ctx ends, and then takes back what it told. What cannot
// be written is logged and told with the next look.
func (t *Troubles) Run(ctx context.Context) {
	ticker := time.NewTicker(troubleLook)
	defer ticker.Stop()
	if _, err := t.DB.ExecContext(ctx, "DELETE FROM handover_troubles WHERE told_at < now() - make_interval(secs => $1)", troubleKept.Seconds()); err != nil {
		t.Log.WarnContext(ctx, "forget the troubles of processes that died", "error", err)
	}
	for {
		if err := t.Tell(ctx, time.Now()); err != nil && ctx.Err() == nil {
			t.Log.WarnContext(ctx, "troubles of endpoints", "error", err)
		}
		select {
		case <-ctx.Done():
			if err := t.forget(context.WithoutCancel(ctx)); err != nil {
				t.Log.WarnContext(ctx, "troubles of endpoints", "error", err)
			}
			return
		case <-ticker.C:
		}
	}
}

// tellQuery keeps the first failure where it was: each look knows it to some milliseconds.
const tellQuery = `INSERT INTO handover_troubles AS h (told_at, since, probe_at, failures, circuit, endpoint, process, last_error)
	VALUES (now(), now() - make_interval(secs => $1), now() + make_interval(secs => $2), $3, $4, $5, $6, $7)
	ON CONFLICT (endpoint, process) DO UPDATE SET told_at = excluded.told_at, since = least(h.since, excluded.since), probe_at = excluded.probe_at,
		failures = excluded.failures, circuit = excluded.circuit, last_error = excluded.last_error`

// Tell writes what changed since the last call, or was told some seconds ago, and
// deletes what is over. A second call at once writes nothing.
func (t *Troubles) Tell(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, troublePatience)
	defer cancel()
	told := map[string]toldTrouble{} // after an error all of it is told again
	for _, trouble := range t.Look() {
		last, known := t.told[trouble.Endpoint]
		if known && last.Circuit == trouble.Circuit && last.Failures == trouble.Failures && last.Last == trouble.Last && now.Sub(last.at) < troubleTold {
			told[trouble.Endpoint] = last
			continue
		}
		if known && trouble.For < now.Sub(last.at) { // it answered meanwhile: this is another one
			if err := t.end(ctx, trouble.Endpoint); err != nil {
				return err
			}
		}
		if _, err := t.DB.ExecContext(ctx, tellQuery, trouble.For.Seconds(), trouble.Wait.Seconds(), trouble.Failures, trouble.Circuit,
			trouble.Endpoint, t.Process, trouble.Last); err != nil {
			return fmt.Errorf("tell of trouble at endpoint %s: %w", trouble.Endpoint, err)
		}
		told[trouble.Endpoint] = toldTrouble{trouble, now}
	}
	for endpoint := range t.told {
		if _, lasts := told[endpoint]; lasts {
			continue
		}
		if err := t.end(ctx, endpoint); err != nil {
			return err
		}
	}
	t.told = told
	return nil
}

// end takes back what was told of an endpoint, and what a process told that died since.
func (t *Troubles) end(ctx context.Context, endpoint string) error {
	_, err := t.DB.ExecContext(ctx, `DELETE FROM handover_troubles WHERE endpoint = $1 AND (process = $2 OR told_at < now() - make_interval(secs => $3))`,
		endpoint, t.Process, troubleKept.Seconds())
	if err != nil {
		return fmt.Errorf("take back the trouble at endpoint %s: %w", endpoint, err)
	}
	return nil
}

// forget takes back everything that this process told.
func (t *Troubles) forget(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, troublePatience)
	defer cancel()
	for endpoint := range t.told {
		if err := t.end(ctx, endpoint); err != nil {
			return err
		}
	}
	return nil
}
