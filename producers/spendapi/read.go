package spendapi

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// getSpend is GET /spends/{id}: the spend or grant object, whatever its state.
// Game servers and operators read any player's. To a player, another's is 404,
// exactly as one that does not exist.
func (a *API) getSpend(x *exchange, r *http.Request) *problem {
	token, _ := bearer(r.Header["Authorization"])
	anyPlayers := a.readers.holds(token)
	player := ""
	if !anyPlayers {
		var p *problem
		if player, p = a.player(x, r); p != nil {
			return p
		}
	}
	missing := func() *problem { return problemf(NotFound, "This player has no spend with this id.") }
	id := r.PathValue("id")
	if len(id) != len(uuid.UUID{}.String()) || uuid.Validate(id) != nil { // one spelling, not the four that uuid knows
		return missing()
	}
	ctx, cancel := context.WithTimeout(r.Context(), readOnePatience)
	defer cancel()
	spend, err := a.books.Spend(ctx, id)
	switch {
	case errors.Is(err, books.ErrNotFound), err == nil && !anyPlayers && spend.AppUserID != player:
		return missing()
	case err != nil:
		return failed(r.Context(), err)
	}
	x.outcome, x.spendID = "read", spend.ID
	body := takeBuffer()
	defer body.give()
	body.b = a.appendExpected(ctx, appendSpend(body.b, spend), spend)
	x.send(http.StatusOK, typeJSON, body.b)
	return nil
}

// appendExpected adds to the object of a spend that waits for its charge how long
// that is expected to take, "eta_seconds", when the provider's limit is known.
func (a *API) appendExpected(ctx context.Context, object []byte, spend economy.Spend) []byte {
	if spend.State != economy.Requested || a.eta == nil {
		return object
	}
	eta, known := a.eta(ctx)
	if !known {
		return object
	}
	object = append(object[:len(object)-1], `,"eta_seconds":`...)
	object = strconv.AppendInt(object, int64(math.Ceil(eta.Seconds())), 10)
	return append(object, '}')
}

// json answers 200 with a value.
func (x *exchange) json(outcome string, value any) *problem {
	return x.jsonAs(http.StatusOK, outcome, value)
}

// jsonAs answers with a value.
func (x *exchange) jsonAs(status int, outcome string, value any) *problem {
	body, err := json.Marshal(value)
	if err != nil {
		return internal(err)
	}
	x.outcome = outcome
	x.send(status, typeJSON, body)
	return nil
}
