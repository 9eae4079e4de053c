package spendapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/producers"
)

// problem is one occurrence of a ProblemType: what a handler returns instead of
// an answer.
type problem struct {
	kind       *ProblemType
	detail     string         // what happened here and what to do about it
	spend      *economy.Spend // the spend it is about; nil: there is none
	claim      []byte         // the claim it is about, as JSON; nil: there is none
	spendID    string         // for the log only: a spend that may or may not be there
	retryAfter time.Duration  // 0: no header
	cause      error          // for the log only; nil: the problem says it all
}

func problemf(kind *ProblemType, format string, args ...any) *problem {
	return &problem{kind: kind, detail: fmt.Sprintf(format, args...)}
}

// retryUnavailable is when to come back after a 503. A restart of PostgreSQL
// takes a few seconds, and a repeated key makes coming early harmless.
const retryUnavailable = 2 * time.Second

// errGone says that the client hung up, so nobody reads an answer.
var errGone = errors.New("client is gone")

// failed turns an error of the database into a problem: 503 when it could not be
// reached or did not answer in time, 500 otherwise. ctx is the request's.
func failed(ctx context.Context, err error) *problem {
	switch class := postgres.Classify(err); {
	case gone(ctx):
		return &problem{cause: errGone}
	case class == postgres.Unavailable, class == postgres.Canceled, class == postgres.Deadlock:
		return unavailable(err)
	}
	return internal(err)
}

// gone reports whether a request's client hung up. Only that cancels its context;
// a time limit of ours ends it otherwise.
func gone(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// sendAgain ends the problems that may pass.
const sendAgain = "Send the same request again: one idempotency key never makes two spends or grants."

func unavailable(cause error) *problem {
	return &problem{
		kind: Unavailable, retryAfter: retryUnavailable, cause: cause,
		detail: "The database cannot be reached. " + sendAgain,
	}
}

func internal(cause error) *problem {
	return &problem{
		kind: Internal, cause: cause,
		detail: "This is a mistake of the service. " + sendAgain,
	}
}

// appendProblem appends the problem's JSON form.
func appendProblem(out []byte, p *problem) []byte {
	told := producers.Problem{Slug: p.kind.Slug, Status: p.kind.Status, Title: p.kind.Title, Short: p.kind.Short, Detail: p.detail}
	if p.spend != nil {
		told.Instance = "/spends/" + p.spend.ID
	}
	out = told.AppendTo(out)
	if p.spend != nil {
		out = append(out, ',')
		out = appendMember(out, *p.spend)
	}
	if p.claim != nil {
		out = append(append(out, `,"claim":`...), p.claim...)
	}
	return append(out, '}')
}

// problem answers with p, or with nothing when the client is gone.
func (x *exchange) problem(p *problem) {
	x.cause = p.cause
	if errors.Is(p.cause, errGone) {
		x.spendID = cmp.Or(x.spendID, p.spendID)
		x.gone()
		return
	}
	x.outcome = p.kind.Slug
	if p.spendID != "" {
		x.spendID = p.spendID
	}
	if p.spend != nil {
		x.spendID = p.spend.ID
	}
	if p.retryAfter > 0 {
		x.Header().Set("Retry-After", seconds(p.retryAfter))
	}
	buffer := takeBuffer()
	defer buffer.give()
	buffer.b = appendProblem(buffer.b, p)
	x.send(p.kind.Status, typeProblem, buffer.b)
}

// seconds formats a wait for Retry-After.
func seconds(wait time.Duration) string { return producers.Seconds(wait) }

var (
	typeProblem = []string{"application/problem+json"}
	typeJSON    = []string{"application/json"}
	noStore     = []string{"no-store"}
)

// notFound answers whatever has no route.
func (a *API) notFound(*exchange, *http.Request) *problem {
	return problemf(NotFound, "There is nothing at this address.")
}

// notAllowed answers a method that the resource does not have.
func notAllowed(allow string) handler {
	return func(x *exchange, _ *http.Request) *problem {
		x.Header().Set("Allow", allow)
		return problemf(MethodNotAllowed, "Use %s.", allow)
	}
}
