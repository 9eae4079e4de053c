package purchases

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/gather"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// ErrNotFound says that there is no such row.
var ErrNotFound = errors.New("not found")

const (
	// gatherers is how many reads of histories, and of bodies, go on at once: in a
	// burst no more of PostgreSQL is taken from players who wait.
	gatherers = 1
	// gatheredMax bounds one read.
	gatheredMax = 64
)

// Store reads what was written down. It is safe for concurrent use: what many ask at
// once is read together.
type Store struct {
	db                *sqlx.DB
	histories, bodies postgres.Prepared
	gathered          *gather.Reader[*question, snapshot]
	webhooks          *gather.Reader[string, []byte]
}

// NewStore returns what is kept in db.
func NewStore(db *sqlx.DB) *Store {
	s := &Store{
		db: db, histories: postgres.Prepared{DB: db, Query: historiesQuery}, bodies: postgres.Prepared{DB: db, Query: webhooksQuery},
	}
	s.gathered = gather.New(gatherers, gatheredMax, s.snapshots)
	s.webhooks = gather.New(gatherers, gatheredMax, s.readWebhooks)
	return s
}

// Recorded is a purchase with what its row says beside it.
type Recorded struct {
	economy.Purchase
	Version        int64 // 0: there is no row
	CatalogVersion int64 // 0: no catalogue knew its product yet
	RecordedAt     time.Time
	UsedUp         bool // from before a backfill's cut-off: as a consumable it brings no items
}

const purchaseColumns = `transaction_id, store, environment, recorded_at, catalog_version, purchased_at, expires_at, grace_until, ended_at,
	refunded_at, resumes_at, version, quantity, renewal_number, paid_micros, paid_usd_micros, reversed, app_user_id, buyer, product_id,
	original_transaction_id, ownership, period, paid_currency, intent, intent_detail, stamps, used_up`

// purchaseRow is a row of purchases as the driver or JSON brings it.
type purchaseRow struct {
	TransactionID  string          `db:"transaction_id" json:"transaction_id"`
	Store          string          `db:"store" json:"store"`
	Environment    string          `db:"environment" json:"environment"`
	RecordedAt     time.Time       `db:"recorded_at" json:"recorded_at"`
	CatalogVersion int64           `db:"catalog_version" json:"catalog_version"`
	PurchasedAt    *time.Time      `db:"purchased_at" json:"purchased_at"`
	ExpiresAt      *time.Time      `db:"expires_at" json:"expires_at"`
	GraceUntil     *time.Time      `db:"grace_until" json:"grace_until"`
	EndedAt        *time.Time      `db:"ended_at" json:"ended_at"`
	RefundedAt     *time.Time      `db:"refunded_at" json:"refunded_at"`
	ResumesAt      *time.Time      `db:"resumes_at" json:"resumes_at"`
	Version        int64           `db:"version" json:"version"`
	Quantity       *int64          `db:"quantity" json:"quantity"`
	Renewal        *int64          `db:"renewal_number" json:"renewal_number"`
	PaidMicros     *int64          `db:"paid_micros" json:"paid_micros"`
	PaidUSDMicros  *int64          `db:"paid_usd_micros" json:"paid_usd_micros"`
	Reversed       bool            `db:"reversed" json:"reversed"`
	Owner          string          `db:"app_user_id" json:"app_user_id"`
	Buyer          string          `db:"buyer" json:"buyer"`
	Product        string          `db:"product_id" json:"product_id"`
	Original       string          `db:"original_transaction_id" json:"original_transaction_id"`
	Ownership      string          `db:"ownership" json:"ownership"`
	Period         string          `db:"period" json:"period"`
	PaidCurrency   string          `db:"paid_currency" json:"paid_currency"`
	Intent         string          `db:"intent" json:"intent"`
	IntentDetail   string          `db:"intent_detail" json:"intent_detail"`
	Stamps         json.RawMessage `db:"stamps" json:"stamps"`
	UsedUp         bool            `db:"used_up" json:"used_up"`
}

func (r purchaseRow) key() economy.PurchaseKey {
	return economy.PurchaseKey{Store: economy.Store(r.Store), Environment: economy.Environment(r.Environment), TransactionID: r.TransactionID}
}

func (r purchaseRow) recorded() (Recorded, error) {
	p := economy.Purchase{Key: r.key()}
	p.Owner.Value, p.Buyer.Value, p.Product.Value, p.Original.Value = r.Owner, r.Buyer, r.Product, r.Original
	p.PurchasedAt.Value, p.ExpiresAt.Value, p.GraceUntil.Value, p.EndedAt.Value = moment(r.PurchasedAt), moment(r.ExpiresAt), moment(r.GraceUntil), moment(r.EndedAt)
	p.Quantity.Value, p.Renewal.Value, p.PaidUSD.Value = deref(r.Quantity), deref(r.Renewal), deref(r.PaidUSDMicros)
	p.Ownership.Value, p.Period.Value = economy.Ownership(r.Ownership), economy.Period(r.Period)
	p.Paid.Value = economy.Price{Currency: r.PaidCurrency, Micros: deref(r.PaidMicros)}
	p.Refund.Value = economy.Refund{At: moment(r.RefundedAt), Reversed: r.Reversed}
	p.Intent.Value = economy.Intent{Code: r.Intent, Detail: r.IntentDetail, Resumes: moment(r.ResumesAt)}
	err := decodeStamps(r.Stamps, &p)
	return Recorded{Purchase: p, Version: r.Version, CatalogVersion: r.CatalogVersion, RecordedAt: r.RecordedAt.UTC(), UsedUp: r.UsedUp}, err
}

func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func deref(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// Purchase returns what is known of a purchase, or ErrNotFound.
func (s *Store) Purchase(ctx context.Context, key economy.PurchaseKey) (Recorded, error) {
	var row purchaseRow
	switch err := s.db.GetContext(ctx, &row, `SELECT `+purchaseColumns+` FROM purchases
		WHERE transaction_id = $1 AND store = $2 AND environment = $3`, key.TransactionID, string(key.Store), string(key.Environment)); {
	case errors.Is(err, sql.ErrNoRows):
		return Recorded{}, ErrNotFound
	case err != nil:
		return Recorded{}, fmt.Errorf("read %s: %w", key, err)
	}
	return row.recorded()
}

// Said is one statement about a purchase, for people.
type Said struct {
	Source     string          `db:"source" json:"source"`
	By         string          `db:"said_by" json:"by"`
	Kind       int             `db:"kind" json:"kind"`
	At         time.Time       `db:"said_at" json:"at"`
	RecordedAt time.Time       `db:"recorded_at" json:"recorded_at"`
	Fact       json.RawMessage `db:"fact" json:"fact"`
}

// Versions returns every statement about a purchase, oldest first by the sources' own time.
func (s *Store) Versions(ctx context.Context, key economy.PurchaseKey) ([]Said, error) {
	known, err := s.Purchase(ctx, key) // first: what changes it meanwhile writes the first statement down
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	var list []Said
	if err := s.db.SelectContext(ctx, &list, `SELECT source, said_by, kind, said_at, recorded_at, fact FROM purchase_versions
		WHERE transaction_id = $1 AND store = $2 AND environment = $3`,
		key.TransactionID, string(key.Store), string(key.Environment)); err != nil {
		return nil, fmt.Errorf("read versions of %s: %w", key, err)
	}
	if first, ok := firstStatement(&known); ok && !slices.ContainsFunc(list, first.is) {
		list = append(list, first.said())
	}
	slices.SortFunc(list, func(a, b Said) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind), strings.Compare(a.By, b.By))
	})
	return list, nil
}

// said is the statement for people.
func (r versionRow) said() Said {
	return Said{Source: string(r.fact.Source), By: r.fact.By, Kind: int(r.fact.Kind), At: r.fact.At, RecordedAt: r.at, Fact: appendFact(nil, &r.fact)}
}

// is reports whether the statement is one that was written down.
func (r versionRow) is(said Said) bool {
	return said.Source == string(r.fact.Source) && said.By == r.fact.By && said.At.Equal(r.fact.At)
}
