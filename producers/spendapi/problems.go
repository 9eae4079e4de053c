package spendapi

import (
	"net/http"

	"github.com/sluice-gems/sluice/producers"
)

// ProblemBase begins the `type` of every problem.
const ProblemBase = producers.ProblemBase

// ProblemType is one way in which a request can fail (RFC 9457). Apps tell
// problems apart by Type, never by the texts.
type ProblemType struct {
	Slug   string // the last part of the type; also the outcome in the log and in metrics
	Status int
	Title  string // what it is, the same for every occurrence
	Short  string // the extra member `error`: a short text that an app may show
}

// Type returns the problem's URI.
func (t *ProblemType) Type() string { return ProblemBase + t.Slug }

// The problems of the requests themselves.
var (
	// MalformedRequest: the body is not the JSON object that the call takes.
	MalformedRequest = &ProblemType{"malformed-request", http.StatusBadRequest, "The request cannot be understood", "Bad request"}
	// BadIdempotencyKey: the idempotency key is missing, too long, given twice, or not plain text.
	BadIdempotencyKey = &ProblemType{"bad-idempotency-key", http.StatusBadRequest, "The idempotency key is missing or not valid", "Bad request"}
	// UnknownItem: the catalogue has no such item.
	UnknownItem = &ProblemType{"unknown-item", http.StatusBadRequest, "There is no such item", "Unknown item"}
	// BadQuantity: the quantity is not a whole number, or not one that the item allows.
	BadQuantity = &ProblemType{"bad-quantity", http.StatusBadRequest, "The quantity is not allowed", "This quantity is not allowed"}
	// BadAdjustments: a grant's amounts are not whole numbers of at least 1, or their currencies are no codes.
	BadAdjustments = &ProblemType{"bad-adjustments", http.StatusBadRequest, "The adjustments are not valid", "Bad request"}
	// UnknownStore: the catalogue sells no package in such a store.
	UnknownStore = &ProblemType{"unknown-store", http.StatusBadRequest, "Nothing is sold in that store", "Unknown store"}
	// UnknownProduct: no package of the catalogue is sold as that product of the store.
	UnknownProduct = &ProblemType{"unknown-product", http.StatusBadRequest, "There is no such product", "Unknown product"}
	// Unauthenticated: no session token, or one that proves nobody. Get a new one.
	Unauthenticated = &ProblemType{"unauthenticated", http.StatusUnauthorized, "A valid session token is needed", "Please sign in again"}
	// ServerKeyNeeded: the call is for game servers, and the bearer token is no live server key.
	ServerKeyNeeded = &ProblemType{"server-key-needed", http.StatusUnauthorized, "A server key is needed", "Bad request"}
	// AnonymousPlayer: `$RCAnonymousID:` players may look, but neither spend nor be granted anything.
	AnonymousPlayer = &ProblemType{"anonymous-player", http.StatusForbidden, "Not for anonymous players", "Please sign in first"}
	// NotFound: no such resource, or not this player's.
	NotFound = &ProblemType{"not-found", http.StatusNotFound, "There is no such resource", "Not found"}
	// MethodNotAllowed: the resource has other methods; `Allow` lists them.
	MethodNotAllowed = &ProblemType{"method-not-allowed", http.StatusMethodNotAllowed, "The method is not allowed here", "Bad request"}
	// IdempotencyKeyReused: the key belongs to another spend or grant of the player. A mistake of the app; `spend` or `grant` is the one it belongs to.
	IdempotencyKeyReused = &ProblemType{"idempotency-key-reused", http.StatusConflict, "The idempotency key was used for another request", "Bad request"}
	// BodyTooLarge: the body exceeds 16 KiB, or 1 MiB for a batch.
	BodyTooLarge = &ProblemType{"body-too-large", http.StatusRequestEntityTooLarge, "The body is too large", "Bad request"}
	// UnsupportedMediaType: the body is not declared as application/json.
	UnsupportedMediaType = &ProblemType{"unsupported-media-type", http.StatusUnsupportedMediaType, "The body must be JSON", "Bad request"}
)

// The problems of what is bought.
var (
	// InsufficientFunds: the balance did not cover the cost. Nothing was charged. Final for this key.
	InsufficientFunds = &ProblemType{"insufficient-funds", http.StatusPaymentRequired, "The balance does not cover the cost", "Not enough gems"}
	// ItemPaused: live-ops took the item off sale for now.
	ItemPaused = &ProblemType{"item-paused", http.StatusForbidden, "The item is paused", "Not available right now"}
	// NotYetOnSale: the item's time window has not begun.
	NotYetOnSale = &ProblemType{"not-yet-on-sale", http.StatusForbidden, "The item is not on sale yet", "Not available yet"}
	// NoLongerOnSale: the item's time window is over.
	NoLongerOnSale = &ProblemType{"no-longer-on-sale", http.StatusForbidden, "The item is no longer on sale", "No longer available"}
	// LimitReached: the player holds, or has under way, as many of the item as one player may.
	LimitReached = &ProblemType{"limit-reached", http.StatusForbidden, "The player's limit for the item is reached", "You have as many of these as you can"}
	// GrantTooLarge: one call may not grant as much of a currency.
	GrantTooLarge = &ProblemType{"grant-too-large", http.StatusForbidden, "The grant is larger than allowed", "This is more than can be given"}
	// CurrencyPaused: an operator paused a currency that is to be granted. Nothing was accepted.
	CurrencyPaused = &ProblemType{"currency-paused", http.StatusForbidden, "The currency is paused", "Not available right now"}
	// SpendCancelled: an operator took the spend or grant back before it was charged. Final for this key.
	SpendCancelled = &ProblemType{"spend-cancelled", http.StatusForbidden, "The spend was cancelled", "This purchase was cancelled"}
	// SpendRefunded: the item was handed over; later an operator took it back and gave its cost back. Final for this key.
	SpendRefunded = &ProblemType{"spend-refunded", http.StatusForbidden, "The spend was refunded", "This was refunded, your gems are back"}
	// ItemNotHandedOver: the item could not be handed over and the cost was given back. Final for this key.
	ItemNotHandedOver = &ProblemType{"item-not-handed-over", http.StatusInternalServerError, "The item could not be handed over, the cost was refunded", "Something went wrong, your gems are back"}
	// ProviderRefused: the provider refused the charge for good. Nothing was charged. Final for this key.
	ProviderRefused = &ProblemType{"provider-refused", http.StatusBadGateway, "The provider refused the charge", "This purchase was refused"}
	// GrantRefused: the provider refused the grant for good. Nothing was given. Final for this key.
	GrantRefused = &ProblemType{"grant-refused", http.StatusBadGateway, "The provider refused the grant", "This could not be given"}
)

// The problems of purchases made with money; `claim` is how the claim stands.
var (
	// PurchaseOfAnother: the purchase belongs to another player. The provider may still move it.
	PurchaseOfAnother = &ProblemType{"purchase-of-another", http.StatusForbidden, "The purchase is another player's", "This purchase belongs to another account"}
	// PurchaseRefunded: the money of the purchase went back.
	PurchaseRefunded = &ProblemType{"purchase-refunded", http.StatusForbidden, "The purchase was refunded", "This purchase was refunded"}
	// PurchaseUnknown: the provider, when asked, did not know the purchase. It may still tell of it later.
	PurchaseUnknown = &ProblemType{"purchase-unknown", http.StatusNotFound, "The provider does not know the purchase", "This purchase was not found"}
	// RestoreFailed: the provider refuses to tell this player's purchases; `Retry-After` says when a new restore asks again.
	RestoreFailed = &ProblemType{"restore-failed", http.StatusBadGateway, "The purchases could not be read", "Your purchases could not be restored"}
)

// The problems of the service. All of them may be tried again with the same key.
var (
	// TooManyRequests: the player sends faster than allowed; `Retry-After` says when to go on.
	TooManyRequests = &ProblemType{"too-many-requests", http.StatusTooManyRequests, "Too many requests of this player", "Please wait a moment"}
	// TooManyOpenSpends: the player has so many spends and grants that are still to be settled; `Retry-After` says when to look again. Nothing was accepted.
	TooManyOpenSpends = &ProblemType{"too-many-open-spends", http.StatusTooManyRequests, "Too many open spends of this player", "Please wait for your other purchases"}
	// TooManyOpenClaims: the player has so many claims that nobody has confirmed yet; `Retry-After` says when to look again. Nothing was accepted.
	TooManyOpenClaims = &ProblemType{"too-many-open-claims", http.StatusTooManyRequests, "Too many open claims of this player", "Please wait for your other purchases"}
	// Overloaded: the service takes no new spends for a moment. Nothing was accepted.
	Overloaded = &ProblemType{"overloaded", http.StatusTooManyRequests, "The service is busy", "Please try again in a moment"}
	// Internal: a mistake of ours. Whether the spend was accepted is not known; the same key tells.
	Internal = &ProblemType{"internal", http.StatusInternalServerError, "Something went wrong on our side", "Something went wrong, please try again"}
	// Unavailable: the database cannot be reached. Whether the spend was accepted is not known; the same key tells.
	Unavailable = &ProblemType{"unavailable", http.StatusServiceUnavailable, "The service is not available", "Please try again in a moment"}
	// SessionsUnavailable: the keys that sign session tokens cannot be fetched, so it cannot be told whether this one is good. Keep the token.
	SessionsUnavailable = &ProblemType{"sessions-unavailable", http.StatusServiceUnavailable, "Session tokens cannot be verified now", "Please try again in a moment"}
	// BalanceUnavailable: the provider cannot be asked for a balance that was never read before.
	BalanceUnavailable = &ProblemType{"balance-unavailable", http.StatusServiceUnavailable, "The balance is not known yet", "Please try again in a moment"}
)

// Problems lists every problem, in the order of the documentation.
var Problems = []*ProblemType{
	MalformedRequest, BadIdempotencyKey, UnknownItem, BadQuantity, BadAdjustments, UnknownStore, UnknownProduct, Unauthenticated, ServerKeyNeeded, AnonymousPlayer, NotFound,
	MethodNotAllowed, IdempotencyKeyReused, BodyTooLarge, UnsupportedMediaType,
	InsufficientFunds, ItemPaused, NotYetOnSale, NoLongerOnSale, LimitReached, GrantTooLarge, CurrencyPaused, SpendCancelled, SpendRefunded, ItemNotHandedOver,
	ProviderRefused, GrantRefused,
	PurchaseOfAnother, PurchaseRefunded, PurchaseUnknown, RestoreFailed,
	TooManyRequests, TooManyOpenSpends, TooManyOpenClaims, Overloaded, Internal, Unavailable, SessionsUnavailable, BalanceUnavailable,
}
