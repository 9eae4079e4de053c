package rcwebhook

import (
	"slices"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
)

// Environments is of which environments events are taken. What is refused is kept,
// marked, and touches nothing.
type Environments struct {
	Production bool
	Sandbox    bool
	Testers    []string // App User IDs whose sandbox events are taken in any case
}

// take reports whether an event is taken. One that names no environment is: such as
// aliases, which hold in all of them. One of an environment that we do not know is
// taken only by those who take all.
func (e Environments) take(event webhooks.Event) bool {
	switch economy.Environment(event.Environment) {
	case "":
		return true
	case economy.Production:
		return e.Production
	case economy.Sandbox:
		return e.Sandbox || slices.ContainsFunc(event.Named, func(id string) bool { return slices.Contains(e.Testers, id) })
	}
	return e.Production && e.Sandbox
}
