package spendapi

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluice-gems/sluice/economy"
)

// grantReasonMax is the longest reason of a grant, in characters.
const grantReasonMax = 500

// grantExample is what a refused body is told to look like.
const grantExample = `{"app_user_id":"player_1","adjustments":{"GEM":100},"reason":"quest 7","idempotency_key":"a-new-key-per-grant"}`

// grantRequest is what a game server asks for, as it was sent.
type grantRequest struct {
	player      string
	adjustments economy.Amounts
	reason      string
	key         string
	hasKey      bool
}

// askGrant reads POST /grants, for game servers: what a player is to be given.
func (a *API) askGrant(x *exchange, r *http.Request) (order, *problem) {
	if p := a.server(x, r); p != nil {
		return order{}, p
	}
	request, p := readGrantRequest(x.ResponseWriter, r)
	if p == nil {
		p = granted(request.player)
	}
	if p != nil {
		return order{}, p
	}
	return a.granting(request), nil
}

// granting returns the order of a grant.
func (a *API) granting(request grantRequest) order {
	o := order{
		spend: economy.Spend{
			ID: a.newID(), Kind: economy.KindGrant, AppUserID: request.player, IdempotencyKey: request.key, Quantity: 1,
			Cost: request.adjustments, Note: request.reason, State: economy.Requested, AcceptedAt: a.now(),
		},
		same: func(before economy.Spend) bool { return before.SameGrant(request.adjustments, request.reason) },
	}
	if what := a.paused("", request.adjustments); what != "" {
		o.refused = problemf(CurrencyPaused, "The %s is paused. Grants that were accepted before go on.", what)
	}
	for _, currency := range request.adjustments.Currencies() {
		if amount := request.adjustments[currency]; amount > a.grantMax {
			o.refused = problemf(GrantTooLarge, "One call may grant %d of a currency at most, and asks for %d %s.", a.grantMax, amount, currency)
		}
	}
	return o
}

// named returns what is wrong with a player whom a game server names.
func named(player string) *problem {
	if !validAppUserID(player) {
		return problemf(MalformedRequest, `The member "app_user_id" is missing or no player's id. Send 1 to %d bytes of text without control characters.`, appUserIDMax)
	}
	return nil
}

// granted returns why a player may be granted nothing. What an anonymous player
// has goes with the app, and what becomes of it when they log in is the provider's
// secret; one whom the provider does not know cannot even be made known to it.
func granted(player string) *problem {
	if anonymous(player) {
		return problemf(AnonymousPlayer, "What an anonymous player is granted is lost with the app. Grant it to the App User ID of the game's own, once the player has one.")
	}
	return nil
}

// readGrantRequest reads the body and the headers of POST /grants.
func readGrantRequest(w http.ResponseWriter, r *http.Request) (grantRequest, *problem) {
	body := takeBuffer()
	defer body.give()
	var p *problem
	if body.b, p = readBody(w, r, body.b, bodyMax); p != nil {
		return grantRequest{}, p
	}
	request, p := parseGrant(body.b)
	if p == nil {
		request.key, p = chooseKey(r.Header["Idempotency-Key"], serverKeyMember, request.key, request.hasKey)
	}
	return request, p
}

// parseGrant reads a body. Members it does not know are ignored; one it knows may
// be there only once.
func parseGrant(raw []byte) (grantRequest, *problem) {
	raw, p := object(raw, grantExample)
	if p != nil {
		return grantRequest{}, p
	}
	var request grantRequest
	var player, adjustments, reason bool
	eachMember(raw, func(name string, value []byte) bool {
		switch name {
		case "app_user_id":
			request.player, p = oneString(name, value, MalformedRequest, &player)
		case "adjustments":
			request.adjustments, p = oneAmounts(name, value, &adjustments)
		case "reason":
			request.reason, p = oneString(name, value, MalformedRequest, &reason)
		case serverKeyMember:
			request.key, p = oneString(name, value, BadIdempotencyKey, &request.hasKey)
		}
		return p == nil
	})
	if p == nil {
		p = named(request.player)
	}
	if p == nil && len(request.adjustments) == 0 {
		p = problemf(BadAdjustments, `The member "adjustments" is missing or empty. Send what to give, such as %s.`, grantExample)
	}
	if n := utf8.RuneCountInString(request.reason); p == nil && (n < 1 || n > grantReasonMax || strings.IndexFunc(request.reason, unicode.IsControl) >= 0) {
		p = problemf(MalformedRequest, `The member "reason" is missing, longer than %d characters, or holds a control character. Send why the player is given this: operators read it.`, grantReasonMax)
	}
	return request, p
}

// oneAmounts reads a member that must be an object of currencies and whole numbers
// of at least 1, and be there once. A currency that is there twice could mean two
// things.
func oneAmounts(name string, value []byte, seen *bool) (economy.Amounts, *problem) {
	if *seen {
		return nil, problemf(BadAdjustments, "The member %q is there twice. Send it once.", name)
	}
	*seen = true
	if value[0] != '{' {
		return nil, problemf(BadAdjustments, "The member %q is not an object. Send what to give, such as {\"GEM\":100}.", name)
	}
	amounts := economy.Amounts{}
	var p *problem
	eachMember(value, func(code string, number []byte) bool {
		currency := economy.Currency(code)
		_, twice := amounts[currency]
		n, err := strconv.ParseInt(string(number), 10, 64)
		switch {
		case currency.Validate() != nil:
			p = problemf(BadAdjustments, "A currency's code has 1 to 10 letters, digits or underscores.")
		case twice:
			p = problemf(BadAdjustments, "The currency %s is there twice. Send it once.", currency)
		case err != nil && !errors.Is(err, strconv.ErrRange):
			p = problemf(BadAdjustments, "The amount of %s is not a whole number. Send one without quotes, point or exponent, such as 100.", currency)
		case n < 1 || n > int64(economy.BalanceMax):
			p = problemf(BadAdjustments, "The amount of %s is not from 1 to %d, the most that a balance holds.", currency, economy.BalanceMax)
		}
		amounts[currency] = economy.Amount(n)
		return p == nil
	})
	return amounts, p
}
