package rcwebhook

import (
	"fmt"
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/producers"
)

// retryUnavailable is for whoever sends by hand: RevenueCat keeps to its own times.
const retryUnavailable = 2 * time.Second

// Problems lists every problem, in the order of their statuses.
func Problems() []*producers.Problem {
	return []*producers.Problem{
		brokenOff(), notAnEvent("why"), notAuthentic(), methodNotAllowed(), tooLarge(), internal(), unavailable(), tooManyInHand(),
	}
}

func notAuthentic() *producers.Problem {
	return &producers.Problem{
		Slug: "webhook-not-authentic", Status: http.StatusUnauthorized, Title: "The webhook is not authentic", Short: "Not authentic",
		Detail: "Send what the webhook's page in RevenueCat is configured to send. The log of Sluice says what was wrong.",
	}
}

func notAnEvent(why string) *producers.Problem {
	return &producers.Problem{
		Slug: "webhook-not-an-event", Status: http.StatusBadRequest, Title: "The body is no event of RevenueCat's", Short: "Bad request",
		Detail: "The body is authentic and was kept, but " + why + ".",
	}
}

func brokenOff() *producers.Problem {
	return &producers.Problem{
		Slug: "malformed-request", Status: http.StatusBadRequest, Title: "The request cannot be understood", Short: "Bad request",
		Detail: "The body broke off before its end. Send it again.",
	}
}

func tooLarge() *producers.Problem {
	return &producers.Problem{
		Slug: "body-too-large", Status: http.StatusRequestEntityTooLarge, Title: "The body is too large", Short: "Bad request",
		Detail: fmt.Sprintf("The body may have %d bytes at most.", BodyMax),
	}
}

func unavailable() *producers.Problem {
	return &producers.Problem{
		Slug: "unavailable", Status: http.StatusServiceUnavailable, Title: "The service is not available", Short: "Please try again in a moment",
		Detail: "The database cannot be reached. Send the same event again: it is taken once.", RetryAfter: retryUnavailable,
	}
}

func tooManyInHand() *producers.Problem {
	return &producers.Problem{
		Slug: "webhooks-overloaded", Status: http.StatusServiceUnavailable, Title: "Too many webhooks at once", Short: "Please try again in a moment",
		Detail: "Too many webhooks are in hand. Send the same event again: it is taken once.", RetryAfter: retryUnavailable,
	}
}

func internal() *producers.Problem {
	return &producers.Problem{
		Slug: "internal", Status: http.StatusInternalServerError, Title: "Something went wrong on our side", Short: "Something went wrong, please try again",
		Detail: "This is a mistake of the service. Send the same event again: it is taken once.",
	}
}

func methodNotAllowed() *producers.Problem {
	return &producers.Problem{
		Slug: "method-not-allowed", Status: http.StatusMethodNotAllowed, Title: "The method is not allowed here", Short: "Bad request",
		Detail: "Use POST.",
	}
}
