package operations

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// Committer commits effects; outbox.Committer does.
type Committer interface {
	Commit(ctx context.Context, effects outbox.Effects) (outbox.Result, error)
}

// Catalogs reads a stored version of the catalogue; books.Catalogs does.
type Catalogs interface {
	Catalog(ctx context.Context, version int64) (economy.Catalog, error)
}

// Spends reads a spend; books.Books does.
type Spends interface {
	Spend(ctx context.Context, id string) (economy.Spend, error)
	// RefundGivenUp tells whether an operator gave up a refund of the spend before.
	RefundGivenUp(ctx context.Context, id string) (bool, error)
}

// Config configures a Desk.
type Config struct {
	DB        *sqlx.DB
	Committer Committer
	Catalogs  Catalogs
	Spends    Spends // nil: those of DB
	// Owed tells which consumers are owed an event of a type, as the committer does: a
	// dead letter that is edited must stay one that its consumer takes.
	Owed outbox.Subscriptions
	// Alone is how much of a currency one person may refund by one act; more needs a
	// second person. A currency that is not in it has no limit.
	Alone economy.Amounts
	Now   func() time.Time // cut to microseconds, as PostgreSQL keeps it
	NewID func() string    // UUIDv7
	// Patience is how long a cancel waits for a call that is under way for the player; 0:
	// two seconds. Negative: not at all.
	Patience time.Duration
}

// Desk is where operators act. It is safe for concurrent use.
type Desk struct{ Config }

// New returns a desk.
func New(config Config) *Desk {
	if config.Spends == nil {
		config.Spends = books.New(config.DB)
	}
	if config.Patience == 0 {
		config.Patience = callPatience
	}
	return &Desk{config}
}

// Via is the road by which an act came.
type Via string

// The roads.
const (
	CLI     Via = "cli"
	Console Via = "console"
)

// Who acts.
type Who struct {
	Name string // of the admin key; on the command line --by, or the user of the operating system
	Via  Via
	// Login is who it certainly is where Name is only said: the user of the operating
	// system, such as anna@host. Empty: the same as Name. A second person has another Name
	// and another Login, whatever the host.
	Login string
}

func (w Who) login() string {
	if w.Login != "" {
		return w.Login
	}
	return w.Name
}

// same reports whether two may be one person. The host of a login does not count: one
// person has several, and every container is another.
func (w Who) same(other Who) bool {
	return strings.EqualFold(w.Name, other.Name) || account(w.login()) == account(other.login())
}

// account is a login without its host.
func account(login string) string {
	name, _, _ := strings.Cut(login, "@")
	return name
}

// ErrNotFound says that there is nothing of that name.
var ErrNotFound = books.ErrNotFound

// RefusedError says why an act was not made: what it leaves is not so, or not so
// any more. Nothing changed.
type RefusedError struct{ Why string }

// Error implements error.
func (e *RefusedError) Error() string { return e.Why }

func refused(format string, args ...any) error {
	return &RefusedError{Why: fmt.Sprintf(format, args...)}
}

// InputError says what is wrong with what an operator wrote. Nothing changed.
type InputError struct{ Why string }

// Error implements error.
func (e *InputError) Error() string { return e.Why }

func badInput(format string, args ...any) error {
	return &InputError{Why: fmt.Sprintf(format, args...)}
}

// reasonMax is the longest reason, in characters.
const reasonMax = 1000

// told checks who acts and why, which every act must say.
func told(who Who, reason string) error {
	switch {
	case strings.TrimSpace(who.Name) == "":
		return errors.New("an act without anybody who does it")
	case strings.TrimSpace(reason) == "":
		return badInput("say why: the reason is kept with the act")
	case utf8.RuneCountInString(reason) > reasonMax:
		return badInput("the reason is longer than %d characters", reasonMax)
	case strings.ContainsRune(reason, 0) || !utf8.ValidString(reason):
		return badInput("the reason is not text")
	}
	return nil
}
