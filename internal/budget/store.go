package budget

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/revenuecat"
)

const (
	// channel is where changes are announced to all processes.
	channel = "sluice_provider"
	// provider names the one circuit there is.
	provider = "revenuecat"
	// storePatience bounds every statement: whoever waits behind it waits for a second.
	storePatience = 2 * time.Second
	// swapsMax bounds the tries of one lease. Every lost swap is another's won.
	swapsMax = 50
)

// store keeps accounts and the circuit in PostgreSQL. Times are PostgreSQL's.
type store struct{ db *sqlx.DB }

// record is one domain's row, with the circuit beside it.
type record struct {
	Domain      string `db:"domain"`
	Version     int64  `db:"version"` // 0: there is no row yet
	Limit       int    `db:"limit_calls"`
	ClosedUntil int64  `db:"closed_until"`
	Account     []byte `db:"account"`
	Now         int64  `db:"now"`
	CircuitFrom int64  `db:"circuit_closed_at"`
	circuitState

	account account
}

// readRecord is completed by the domains to read. 2e9 ms are 23 days: far away.
const readRecord = `SELECT d.domain, coalesce(b.version, 0) AS version, coalesce(b.limit_calls, 0) AS limit_calls,
	coalesce(ceil(extract(epoch FROM b.closed_until) * 1000), 0)::bigint AS closed_until, coalesce(b.account::text, '{}') AS account,
	floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,
	coalesce(ceil(extract(epoch FROM c.closed_at) * 1000), 0)::bigint AS circuit_closed_at,
	coalesce(c.version, 0) AS circuit_version, coalesce(c.state = 'open', false) AS circuit_open, coalesce(c.reason, '') AS circuit_reason,
	coalesce(c.probe_until > clock_timestamp(), false) AS circuit_probing,
	coalesce(least(2e9, greatest(0, ceil(extract(epoch FROM greatest(c.probe_at, c.probe_until) - clock_timestamp()) * 1000))), 0)::bigint AS circuit_probe_ms
FROM `

const readOne = readRecord + `(VALUES ($1::text)) AS d (domain) LEFT JOIN provider_budgets b ON b.domain = d.domain
	LEFT JOIN provider_circuits c ON c.provider = '` + provider + `'`

// readAll begins with a row of no domain, for the circuit.
const readAll = readRecord + `(SELECT '' AS domain UNION ALL SELECT domain FROM provider_budgets) AS d LEFT JOIN provider_budgets b ON b.domain = d.domain
	LEFT JOIN provider_circuits c ON c.provider = '` + provider + `' ORDER BY d.domain`

func (s store) read(ctx context.Context, domain revenuecat.Domain) (record, error) {
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	var r record
	if err := s.db.GetContext(ctx, &r, readOne, string(domain)); err != nil {
		return record{}, fmt.Errorf("read budget %s: %w", domain, err)
	}
	err := r.decode()
	return r, err
}

// all reads every domain there is, and the circuit.
func (s store) all(ctx context.Context) ([]record, circuitState, error) {
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	var list []record
	if err := s.db.SelectContext(ctx, &list, readAll); err != nil {
		return nil, circuitState{}, fmt.Errorf("read budgets: %w", err)
	}
	for i := range list {
		if err := list[i].decode(); err != nil {
			return nil, circuitState{}, err
		}
	}
	return list[1:], list[0].circuitState, nil
}

func (r *record) decode() error {
	if err := json.Unmarshal(r.Account, &r.account); err != nil {
		return fmt.Errorf("budget %s: account: %w", r.Domain, err)
	}
	return nil
}

// lease changes the account of a domain by change and stores it, or does so again
// on what somebody else stored meanwhile. The record that change sees has the time
// of its reading: what is granted on it counts from then on, and since a swap names
// the version it read, every later reader sees it.
func (s store) lease(ctx context.Context, domain revenuecat.Domain, limit int, change func(*record) grant) (record, grant, error) {
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	for range swapsMax {
		r, err := s.read(ctx, domain)
		if err != nil {
			return record{}, grant{}, err
		}
		if limit > 0 {
			r.Limit = limit
		}
		g := change(&r)
		switch swapped, err := s.swap(ctx, r); {
		case err != nil:
			return record{}, grant{}, fmt.Errorf("lease %s: %w", domain, err)
		case swapped:
			return r, g, nil
		}
	}
	return record{}, grant{}, fmt.Errorf("lease %s: lost %d swaps in a row", domain, swapsMax)
}

func (s store) swap(ctx context.Context, r record) (bool, error) {
	text, err := json.Marshal(r.account)
	if err != nil {
		return false, err
	}
	result, err := s.db.ExecContext(ctx, `INSERT INTO provider_budgets AS b (domain, version, limit_calls, account) VALUES ($1, $2 + 1, $3, $4)
		ON CONFLICT (domain) DO UPDATE SET version = b.version + 1, limit_calls = excluded.limit_calls, account = excluded.account
		WHERE b.version = $2`, r.Domain, r.Version, r.Limit, string(text))
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// close records that no call of a domain starts for a time, and tells everybody.
// Leases under way lose their swap.
func (s store) close(ctx context.Context, domain revenuecat.Domain, pause time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	_, err := s.db.ExecContext(ctx, `WITH closed AS (
			INSERT INTO provider_budgets AS b (domain, version, closed_until) VALUES ($1, 1, clock_timestamp() + $2 * interval '1 millisecond')
			ON CONFLICT (domain) DO UPDATE SET version = b.version + 1, closed_until = greatest(b.closed_until, excluded.closed_until)
			RETURNING closed_until)
		SELECT pg_notify('`+channel+`', json_build_object('domain', $1::text,
			'closed_ms', ceil(extract(epoch FROM closed_until - clock_timestamp()) * 1000)::bigint)::text) FROM closed`,
		string(domain), pause.Milliseconds())
	if err != nil {
		return fmt.Errorf("close %s: %w", domain, err)
	}
	return nil
}

// The changes of the circuit. Each changes nothing when the circuit is not in the
// state that the change leaves. Times are milliseconds.
const (
	openCircuit = `INSERT INTO provider_circuits AS c (provider, version, state, opens, opened_at, probe_at, reason)
		SELECT '` + provider + `', 1, 'open', 1, clock_timestamp(), clock_timestamp() + $1 * interval '1 millisecond', $2
		ON CONFLICT (provider) DO UPDATE SET version = c.version + 1, state = 'open', opens = 1, opened_at = excluded.opened_at,
			probe_at = excluded.probe_at, probe_by = '', probe_until = NULL, reason = excluded.reason
		WHERE c.state = 'closed' AND c.version = $3::bigint`
	claimProbe = `UPDATE provider_circuits SET version = version + 1, probe_by = $2, probe_until = clock_timestamp() + $1 * interval '1 millisecond'
		WHERE provider = '` + provider + `' AND state = 'open' AND probe_at <= clock_timestamp()
			AND (probe_until IS NULL OR probe_until < clock_timestamp())`
	closeCircuit = `UPDATE provider_circuits SET version = version + 1, state = 'closed', opens = 0, closed_at = clock_timestamp(),
			probe_at = NULL, probe_by = '', probe_until = NULL
		WHERE provider = '` + provider + `' AND state = 'open' AND probe_by = $1`
	stayOpen = `UPDATE provider_circuits SET version = version + 1, opens = opens + 1, probe_by = '', probe_until = NULL,
			probe_at = clock_timestamp() + least($2, $1 * 2 ^ least(opens, 20)) * interval '1 millisecond'
		WHERE provider = '` + provider + `' AND state = 'open' AND probe_by = $3`
	releaseProbe = `UPDATE provider_circuits SET version = version + 1, probe_by = '', probe_until = NULL
		WHERE provider = '` + provider + `' AND state = 'open' AND probe_by = $1`
)

// circuit carries out one of the changes above and tells everybody. changed is
// false when it was not in the state for it.
func (s store) circuit(ctx context.Context, change string, args ...any) (state circuitState, changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	err = s.db.GetContext(ctx, &state, `WITH changed AS (`+change+` RETURNING version AS circuit_version, state = 'open' AS circuit_open, reason AS circuit_reason,
			coalesce(probe_until > clock_timestamp(), false) AS circuit_probing,
			coalesce(greatest(0, ceil(extract(epoch FROM greatest(probe_at, probe_until) - clock_timestamp()) * 1000)), 0)::bigint AS circuit_probe_ms),
		told AS (SELECT pg_notify('`+channel+`', json_build_object('circuit', json_build_object('version', circuit_version,
			'open', circuit_open, 'probing', circuit_probing, 'probe_ms', circuit_probe_ms))::text) FROM changed)
		SELECT circuit_version, circuit_open, circuit_reason, circuit_probing, circuit_probe_ms FROM changed, told`, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return circuitState{}, false, nil
	}
	if err != nil {
		return circuitState{}, false, fmt.Errorf("circuit: %w", err)
	}
	return state, true, nil
}
