package main

import (
	"fmt"
	"strings"

	"github.com/sluice-gems/sluice/economy"
)

// printDecision prints the commands of which a person chooses one for a spend that
// needs an operator or is held; nothing when it is neither.
func printDecision(io stdio, s economy.Spend) {
	commands := decisions(s)
	if len(commands) == 0 {
		return
	}
	_, _ = fmt.Fprintf(io.Out, "\n%s, one of:\n", s.ID)
	for _, command := range commands {
		_, _ = fmt.Fprintln(io.Out, "  "+command)
	}
}

// decisions are the commands that end what a spend waits for a person for, to paste,
// each with what it means.
func decisions(s economy.Spend) []string {
	command := func(format, means string) string {
		return "sluice " + strings.ReplaceAll(format, "ID", s.ID) + " --reason 'WHY'   # " + means
	}
	again := command("spend refund ID --again", "try it again")
	giveUp := command("spend refund ID --give-up", "the item stays, the cost stays spent")
	switch {
	case s.Held:
		return []string{command("spend release ID", "let it go on")}
	case s.NeedsOperator == "":
		return nil
	case s.State == economy.Fulfilled:
		return []string{
			command("spend refund ID", "give the cost back"),
			command("handover settle ID --granted", "the player has the item, or something else for it"),
		}
	case s.State != economy.Refunding:
		return nil
	case s.NeedsOperator == economy.KeptByGame:
		return []string{again, giveUp, command("handover settle ID --revoked", "the player keeps the item and gets the cost")}
	case s.Reason == economy.OperatorRefund && s.RevokedAt.IsZero():
		return []string{again, giveUp}
	}
	return []string{again}
}
